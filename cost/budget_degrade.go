package cost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// degrader sets the limits of functions as low as the budgets want them. It reads the state
// of the budgets and gets no events: several goroutines would report events in any order, and
// an old event could undo a newer one.
type degrader struct {
	trackers []*tracker // those of budgets with Degrade

	// mu guards the fields below. It is held from reading the budgets until the router's
	// limits are set, so that the last decision is also the last one carried out. This can't
	// deadlock: the degrader takes the locks of trackers under mu, and never the other way
	// round (see notices), and a change of a limit only wakes waiting calls.
	mu      sync.Mutex
	lowered map[string]lowered // by function
	// timer fires at the end of the window that ends next. It is nil if no function is slowed
	// down.
	timer  *time.Timer
	closed bool

	// absent has the functions that are to be slowed down and are not registered; it is nil
	// if there are none. A map that is stored here is never changed, so it may be read
	// without mu.
	absent atomic.Pointer[map[string]bool]
}

// lowered is a function's limit before it was slowed down, and its limit since then.
type lowered struct{ original, to int }

// newDegrader returns a degrader, or nil if no budget has Degrade.
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

// update sets the limits that the budgets want. d.mu must not be held. It copies all
// accounts, so it is called only by Bind, when an account reaches Degrade.At, when a limit
// changes, when a window begins or ends, and at a call of a function for which the method
// awaits returns true.
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

// awaits reports whether the function is to be slowed down but was not registered at the last
// update. It takes no lock, because every call runs it.
func (d *degrader) awaits(function string) bool {
	absent := d.absent.Load()
	return absent != nil && (*absent)[function]
}

// wanted returns the limits that the budgets want, by function, and the earliest end of their
// windows. d.mu must be held.
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

// lower sets a function's limit. It returns false if there is no such function. If the
// function's limit is not the one that lower set last, the program has changed it, and
// restore will give back the program's limit. d.mu must be held.
func (d *degrader) lower(r *faas.Router, function string, to int) bool {
	info, err := r.Info(function)
	if err != nil { // the function was removed; if it is registered again, it has a limit of its own
		delete(d.lowered, function)
		return false
	}
	before, ok := d.lowered[function]
	if !ok || info.Limit != before.to {
		before = lowered{original: info.Limit}
	}
	before.to = min(to, before.original)
	if before.to != info.Limit && r.SetConcurrency(function, before.to) != nil {
		delete(d.lowered, function) // the function was removed just now
		return false
	}
	d.lowered[function] = before
	return true
}

// restore gives a function back its limit, unless the program has set another one
// meanwhile. d.mu must be held.
func (d *degrader) restore(r *faas.Router, function string) {
	before := d.lowered[function]
	delete(d.lowered, function)
	if info, err := r.Info(function); err == nil && info.Limit == before.to {
		_ = r.SetConcurrency(function, before.original) // fails only if the function was removed just now
	}
}

// arm starts the timer that gives limits back at the end of a window. It can't be left to the
// next call: calls that wait in the queue are admitted already, and there may be no new one.
// If the clock was put back, the timer fires before the window ends by the wall clock; then
// update arms it again. d.mu must be held.
func (d *degrader) arm(r *faas.Router, until time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !until.IsZero() {
		d.timer = time.AfterFunc(max(time.Until(until), time.Millisecond), func() { d.update(r) })
	}
}

// close gives all functions their limits back, and slows none down from then on.
func (d *degrader) close(r *faas.Router) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.update(r)
}
