package faascron

import "time"

// plan is what a timer does, whatever the clock shows.
type plan struct {
	schedule

	catchUp Missed
}

// state is what has been dealt with.
type state struct {
	Mark   time.Time `json:"mark"`             // every scheduled time up to it
	Missed int       `json:"missed,omitempty"` // how many of those were left out since the last tick
}

// firing is one firing of a timer.
type firing struct {
	at     time.Time
	missed int
}

// punctual is how late a firing may be and still be none that was missed.
const punctual = time.Minute

// mostMissed is how many are counted.
const mostMissed = 1000

// next returns what is to be fired when the clock shows wall, the state after that, and when there will
// be more: at what the clock shows then; zero: never. It is pure, so that all that clocks do is a sequence of
// wall times.
func (p plan) next(s state, wall time.Time) (due []firing, after state, wake time.Time) {
	if back := s.Mark.Sub(wall); back > 0 {
		if back <= correction {
			return nil, s, p.after(s.Mark)
		}
		s.Mark = wall // a new time
	}
	due, left := p.due(s.Mark, wall)
	if len(due) > 0 {
		due[0].missed = min(s.Missed+left, mostMissed)
		s.Missed = 0
	} else {
		s.Missed = min(s.Missed+left, mostMissed)
	}
	s.Mark = wall
	return due, s, p.after(wall)
}

// due returns what is to be fired of the scheduled times in (from, to], and how many are left out.
func (p plan) due(from, to time.Time) (due []firing, left int) {
	all := p.count(from, to)
	if all == 0 {
		return nil, 0
	}
	for _, at := range p.lastOf(from, to, max(1, int(p.catchUp))) {
		due = append(due, firing{at: at})
	}
	last := due[len(due)-1].at
	late := to.Sub(last)
	if p.catchUp == None && late > punctual && (!p.isFixed() || late > correction) {
		due = nil
	}
	return due, all - min(all, len(due))
}

// count counts the scheduled times in (from, to], up to mostMissed.
func (p plan) count(from, to time.Time) (n int) {
	for at := p.after(from); n < mostMissed && !at.IsZero() && !at.After(to); at = p.after(at) {
		n++
	}
	return n
}

// lastOf returns the last n scheduled times in (from, to]. It looks back from to, in each round
// twice as far, since there may be very many times after from.
func (p plan) lastOf(from, to time.Time, n int) (all []time.Time) {
	for back := time.Minute; ; back *= 2 {
		begin := to.Add(-back)
		whole := !begin.After(from) || back > time.Duration(1)<<61
		if whole {
			begin = from
		}
		all = all[:0]
		for at := p.after(begin); !at.IsZero() && !at.After(to); at = p.after(at) {
			all = append(all, at)
		}
		if whole || len(all) >= n {
			return all[len(all)-min(n, len(all)):]
		}
	}
}
