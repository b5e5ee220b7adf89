package cost

import (
	"fmt"
	"sync"
	"time"
)

// Overflow is the tenant of the calls whose own key found no room in a [Ledger]
// any more, and the account of those that found none in a [Budget]. A tenant that
// has this name is counted with them.
const Overflow = "(overflow)"

// What a ledger keeps if it is not told otherwise.
const (
	defaultMaxKeys    = 100_000
	defaultMaxPeriods = 10_000
)

// shared is what the stripes of a ledger have in common. They ask it when a key or
// a period is new to them, and so seldom.
type shared struct {
	mu         sync.Mutex // guards what follows; may be taken with a stripe's held, never the other way round
	maxKeys    int
	maxPeriods int
	periods    map[int64]*period // by their start
	evicted    int64             // the end of the last period that was dropped for want of room
	forgotten  int64             // the end of the last period that Forget dropped
	refused    uint64            // records that no period contains
	why        error             // of the first of them
}

// period is one that some stripe has a table of.
type period struct {
	start, end int64 // in seconds since 1970
	keys       map[uint64]struct{}
}

// open finds or begins the period that the second is in. Where there is no room for
// one more, the oldest is given up, perhaps the new one itself.
func (s *shared) open(c Calendar, second int64) (p *period, evicted int64, err error) {
	w, err := c.window(time.Unix(second, 0))
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p = s.periods[w.Start.Unix()]; p != nil {
		return p, s.evicted, nil
	}
	p = &period{start: w.Start.Unix(), end: w.End.Unix(), keys: map[uint64]struct{}{}}
	s.periods[p.start] = p
	for len(s.periods) > s.maxPeriods {
		s.evictOldest()
	}
	if p.end <= s.evicted {
		delete(s.periods, p.start)
		return nil, s.evicted, fmt.Errorf("cost: period %s was given up for later ones: %w", w, ErrPeriod)
	}
	return p, s.evicted, nil
}

// evictOldest drops the oldest period. s.mu is held.
func (s *shared) evictOldest() {
	var oldest *period
	for _, p := range s.periods {
		if oldest == nil || p.start < oldest.start {
			oldest = p
		}
	}
	delete(s.periods, oldest.start)
	s.evicted = max(s.evicted, oldest.end)
}

func (s *shared) forget(end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for start, p := range s.periods {
		if p.end <= end {
			delete(s.periods, start)
			s.forgotten = max(s.forgotten, p.end)
		}
	}
}

// starts are the beginnings, in UTC, of the periods within a stretch of time that
// have records.
func (s *shared) starts(in Period) (all []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for start := range s.periods {
		if t := time.Unix(start, 0).UTC(); in.Contains(t) {
			all = append(all, t)
		}
	}
	return all
}

// dropped is an error if some of what was used in a stretch of time is no longer
// known.
func (s *shared) dropped(in Period) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := max(s.evicted, s.forgotten); last > in.Start.Unix() && in.Start.Before(in.End) {
		return fmt.Errorf("cost: what was used in %s up to %s was dropped, and counts for what is free and for price tiers: %w",
			in, time.Unix(last, 0).In(in.End.Location()).Format(time.RFC3339), ErrPeriod)
	}
	return nil
}

// missing is an error if what was used in the period of t is not, or no longer, known.
func (s *shared) missing(c Calendar, t time.Time) error {
	w, err := c.window(t)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.End.Unix() <= s.evicted {
		return fmt.Errorf("cost: period %s was given up for later ones, of which the ledger keeps %d: %w", w, s.maxPeriods, ErrPeriod)
	}
	return nil
}

// admit tells whether there is room for a key that is new to a stripe.
func (s *shared) admit(p *period, key uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := p.keys[key]; !known && len(p.keys) >= s.maxKeys {
		return false
	}
	p.keys[key] = struct{}{}
	return true
}
