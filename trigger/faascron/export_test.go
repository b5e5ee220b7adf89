package faascron

import (
	"time"

	"github.com/inproc/faas"
)

// AtSince is At as a goroutine calls it that has read the clock at since, and was then delayed.
func AtSince(r *faas.Router, function string, t, since time.Time) (*Timer, error) {
	return start(r, function, once{t.Round(0)}, newSettings(function, []Option{Log(nil)}), since.Round(0))
}

// Walk is a timer's plan and state. Tests call it with sequences of wall times.
type Walk struct {
	plan  plan
	state state
}

// NewWalk returns a timer that begins when the clock shows begin.
func NewWalk(expr, zone string, strict bool, catchUp Missed, begin time.Time) (*Walk, error) {
	s := &settings{zone: zone, strict: strict}
	sched, err := s.parseSchedule(expr)
	if err != nil {
		return nil, err
	}
	return &Walk{plan{sched, catchUp}, state{Mark: begin}}, nil
}

// Fired is a firing: its scheduled time, and how many were left out before it.
type Fired struct {
	At     time.Time
	Missed int
}

// Look returns what the timer fires when the clock shows wall.
func (w *Walk) Look(wall time.Time) (all []Fired) {
	due, after, _ := w.plan.next(w.state, wall)
	w.state = after
	for _, f := range due {
		all = append(all, Fired{f.at, f.missed})
	}
	return all
}

// After returns the first scheduled time after t.
func (w *Walk) After(t time.Time) time.Time { return w.plan.after(t) }
