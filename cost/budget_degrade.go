package cost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// degrader keeps functions' limits as low as budgets want them. It does not go
// by what has happened, which several goroutines would tell it in any order, but
// by how the budgets are at the moment.
type degrader struct {
	trackers []*tracker // those with Degrade

	// mu guards what follows. Unlike a budget's lock it is held while the router
	// and the budgets are asked, so that the last change made is the last one
	// decided. Neither calls back from there: a change of a limit only wakes
	// calls that wait.
	mu      sync.Mutex
	lowered map[string]lowered // by function
	timer   *time.Timer        // at the end of the next window that ends
	closed  bool

	absent atomic.Pointer[map[string]bool] // functions to be slowed down that are not registered; nil: none
}

// lowered is the limit of a function, as it was and as it is now.
type lowered struct{ original, to int }

func newDegrader(trackers []*tracker) *degrader {
	d := &degrader{lowered: map[string]lowered{}}
	for _, p := range trackers {
		if p.declared.Degrade != nil {
			d.trackers = append(d.trackers, p)
		}
	}
	if len(d.trackers) == 0 {
		return nil
	}
	return d
}

// update has the limits follow the budgets. It is cheap only where it is
// needed: when an account reaches its mark and when a window ends.
func (d *degrader) update(r *faas.Router) {
	if r == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted, until := d.wanted(time.Now())
	absent := map[string]bool{}
	for function := range d.lowered {
		if _, ok := wanted[function]; !ok {
			d.restore(r, function)
		}
	}
	for function, to := range wanted {
		if !d.lower(r, function, to) {
			absent[function] = true
		}
	}
	d.absent.Store(nil)
	if len(absent) > 0 {
		d.absent.Store(&absent)
	}
	d.arm(r, until)
}

// awaits tells whether a function, which is called, was not registered when it was
// to be slowed down. It takes no lock: every call asks.
func (d *degrader) awaits(function string) bool {
	absent := d.absent.Load()
	return absent != nil && (*absent)[function]
}

// wanted returns the limits that the budgets want, and when the first of their
// windows ends.
func (d *degrader) wanted(now time.Time) (limits map[string]int, until time.Time) {
	limits = map[string]int{}
	if d.closed {
		return limits, until
	}
	for _, p := range d.trackers {
		p.degraded(now, func(function string, to int, end time.Time) {
			if other, ok := limits[function]; !ok || to < other {
				limits[function] = to
			}
			if until.IsZero() || end.Before(until) {
				until = end
			}
		})
	}
	return limits, until
}

// lower sets a function's limit. One that is not what it was set to before has
// been set by somebody else, and counts as the original from now on. It is false if
// there is no such function.
func (d *degrader) lower(r *faas.Router, function string, to int) bool {
	info, err := r.Info(function)
	if err != nil { // it was removed; another of that name is not this one
		delete(d.lowered, function)
		return false
	}
	before, ok := d.lowered[function]
	if !ok || info.Limit != before.to {
		before = lowered{original: info.Limit}
	}
	before.to = min(to, before.original)
	if before.to != info.Limit && r.SetConcurrency(function, before.to) != nil {
		delete(d.lowered, function) // removed just now
		return false
	}
	d.lowered[function] = before
	return true
}

// restore gives a function back what it had, unless its limit is not the
// lowered one any more.
func (d *degrader) restore(r *faas.Router, function string) {
	before := d.lowered[function]
	delete(d.lowered, function)
	if info, err := r.Info(function); err == nil && info.Limit == before.to {
		_ = r.SetConcurrency(function, before.original) // unless it was removed just now
	}
}

// arm sees to it that limits are given back even if no call comes, for those
// that wait have been admitted in the old window. The timer may be early by the
// wall clock, which can be put back: then it is armed again.
func (d *degrader) arm(r *faas.Router, until time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !until.IsZero() {
		d.timer = time.AfterFunc(max(time.Until(until), time.Millisecond), func() { d.update(r) })
	}
}

func (d *degrader) close(r *faas.Router) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.update(r)
}
