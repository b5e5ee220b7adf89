package cost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas"
)

// degrader keeps functions' limits as low as the budgets want them. It goes by the
// state of the budgets and not by events: several goroutines would report events in any
// order, and an old one could undo a newer one.
type degrader struct {
	trackers []*tracker // those of budgets with Degrade

	// mu guards what follows. It is held while the router and the budgets are asked, so
	// that the last change made is the last one decided. That can't deadlock: the
	// degrader takes the locks of budgets under mu, never the other way round (see
	// notices), and a change of a limit only wakes waiting calls.
	mu      sync.Mutex
	lowered map[string]lowered // by function
	// timer fires at the end of the window that ends next; nil: no function is slowed
	// down.
	timer  *time.Timer
	closed bool

	// absent are the functions to be slowed down that are not registered; nil: none. A
	// map is never changed once it is stored here, so it may be read without mu.
	absent atomic.Pointer[map[string]bool]
}

// lowered is a function's limit before it was slowed down, and the one it has since.
type lowered struct{ original, to int }

// newDegrader returns nil if no budget has Degrade.
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
// accounts, so it runs only when an account reaches its mark and when a window ends.
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

// awaits reports whether the function was not registered when it was to be slowed down.
// It takes no lock, since every call asks.
func (d *degrader) awaits(function string) bool {
	absent := d.absent.Load()
	return absent != nil && (*absent)[function]
}

// wanted returns the limits that the budgets want, and when the first of their windows
// ends. d.mu must be held.
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

// lower sets a function's limit; false: there is no such function. If the limit is not
// the one that lower set last, the program has changed it, and that is the limit to
// give back. d.mu must be held.
func (d *degrader) lower(r *faas.Router, function string, to int) bool {
	info, err := r.Info(function)
	if err != nil { // it was removed; one that is registered anew has its own limit
		delete(d.lowered, function)
		return false
	}
	before, ok := d.lowered[function]
	if !ok || info.Limit != before.to {
		before = lowered{original: info.Limit}
	}
	before.to = min(to, before.original)
	if before.to != info.Limit && r.SetConcurrency(function, before.to) != nil {
		delete(d.lowered, function) // it was removed just now
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
		_ = r.SetConcurrency(function, before.original) // unless it was removed just now
	}
}

// arm starts the timer that gives limits back at the end of a window: calls that wait
// in the queue were admitted already, so perhaps no new call comes to do it. By the
// wall clock the timer may be early, if the clock was put back; then update arms it
// again. d.mu must be held.
func (d *degrader) arm(r *faas.Router, until time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !until.IsZero() {
		d.timer = time.AfterFunc(max(time.Until(until), time.Millisecond), func() { d.update(r) })
	}
}

// close gives all limits back.
func (d *degrader) close(r *faas.Router) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.update(r)
}
