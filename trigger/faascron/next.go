package faascron

import "time"

// plan decides when a timer fires. It reads no clock.
type plan struct {
	schedule

	catchUp Missed
}

// state says which scheduled times have been handled.
type state struct {
	Mark   time.Time `json:"mark"`             // every scheduled time up to Mark has been fired or left out
	Missed int       `json:"missed,omitempty"` // how many of those were left out since the last tick
}

// firing is a scheduled time that is to be fired, and how many were left out before it.
type firing struct {
	at     time.Time
	missed int
}

// punctual is the most that a firing may be late without counting as missed.
const punctual = time.Minute

// mostMissed is the most that Tick.Missed counts.
const mostMissed = 1000

// next returns the firings that are due when the wall clock shows wall, the state after them,
// and the time at which to call next again; zero means never. It is a pure function: whatever
// clocks do, it only gets a sequence of wall times.
func (p plan) next(s state, wall time.Time) (due []firing, after state, wake time.Time) {
	if back := s.Mark.Sub(wall); back > 0 {
		if back <= correction {
			return nil, s, p.after(s.Mark)
		}
		s.Mark = wall // the clock was set back by more than a correction: the new time holds
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

// due returns the firings for the scheduled times in (from, to], and how many of these times
// are left out.
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

// count returns the number of scheduled times in (from, to], or mostMissed if there are more.
func (p plan) count(from, to time.Time) (n int) {
	for at := p.after(from); n < mostMissed && !at.IsZero() && !at.After(to); at = p.after(at) {
		n++
	}
	return n
}

// lastOf returns the last n scheduled times in (from, to]. It looks back from to, twice as far
// in each round, since there may be very many times after from.
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
