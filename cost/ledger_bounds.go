package cost

import (
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Overflow is the tenant under which a [Ledger] counts calls for whose key it has no room,
// and the account to which a [Budget] charges calls for whose account it has no room. A real
// tenant of this name is counted together with them.
const Overflow = "(overflow)"

// The bounds of a ledger, unless SetMaxKeys or SetMaxPeriods sets others.
const (
	defaultMaxKeys    = 100_000
	defaultMaxPeriods = 10_000
)

// shared is the state that the stripes of a ledger have in common. A stripe uses it only when
// a key or a period is new to the stripe, which is seldom.
type shared struct {
	// mu guards the fields below. It may be locked while a stripe's mu is held, and never the
	// other way round.
	mu         sync.Mutex
	maxKeys    int
	maxPeriods int
	periods    map[int64]*period // by start, in seconds since 1970
	// evicted is the end of the latest period that was dropped to make room, and forgotten
	// the end of the latest period that Forget dropped. Both only grow: a statement that
	// needs an earlier period is refused.
	evicted, forgotten int64
	refused            uint64 // records that no period contains
	maxJobs            int    // of CountJobs
	ended              func(uuid.UUID) (faas.JobState, bool)
	why                error // the error of the first refused record
}

// period is a period for which at least one stripe has a table. shared.mu guards keys and
// jobs.
type period struct {
	start, end int64 // in seconds since 1970
	keys       map[uint64]struct{}
	jobs       map[uuid.UUID]struct{} // the jobs that are counted one by one
}

// open returns the period that contains the given second since 1970. It begins the period if
// there is none; if that makes too many, it drops the oldest, which may be the new one.
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
		return nil, s.evicted, fmt.Errorf("cost: period %s was dropped to make room for later ones: %w", w, ErrPeriod)
	}
	return p, s.evicted, nil
}

// evictOldest drops the oldest period. s.mu must be held.
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

// forget drops the periods that ended at the time end (seconds since 1970) or before.
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

// starts returns the start, in UTC, of each period that has records and begins within the
// given one.
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

// dropped returns an error if the usage of a part of the given period was dropped.
func (s *shared) dropped(in Period) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := max(s.evicted, s.forgotten); last > in.Start.Unix() && in.Start.Before(in.End) {
		return fmt.Errorf("cost: the usage of %s up to %s was dropped, and without it the bill would be wrong: %w",
			in, time.Unix(last, 0).In(in.End.Location()).Format(time.RFC3339), ErrPeriod)
	}
	return nil
}

// missing returns an error if no period contains t, or if that period was dropped.
func (s *shared) missing(c Calendar, t time.Time) error {
	w, err := c.window(t)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.End.Unix() <= s.evicted {
		return fmt.Errorf("cost: period %s was dropped to make room for later ones, since the ledger keeps %d (SetMaxPeriods): %w", w, s.maxPeriods, ErrPeriod)
	}
	return nil
}

// admit reports whether the period has room for a key that is new to a stripe.
func (s *shared) admit(p *period, key uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := p.keys[key]; !known && len(p.keys) >= s.maxKeys {
		return false
	}
	p.keys[key] = struct{}{}
	return true
}
