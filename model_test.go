package faas_test

import (
	"slices"
	"time"

	"github.com/inproc/faas"
)

// twin is a model of a router, as simple as possible: it keeps all calls in one slice,
// searches it for each decision, and has no lock, no goroutine and no fast path.
//
// Functions have ranks. They call themselves or functions of a higher rank, so that no call can
// wait for itself; the tests of package admission test that case.
type twin struct {
	now       time.Duration
	capacity  int
	maxDepth  int
	functions []*twinFunction
	turns     int // counts the turns
	calls     []*twinCall
	unknown   map[faas.Reason]uint64 // refusals that are not counted by a function
	draining  bool
	closed    bool
}

type twinFunction struct {
	rank         int
	limit, queue int
	budget       int // how many runaways may be replaced
	replaced     int
	timeout      time.Duration
	queueTimeout time.Duration
	removed      bool
	turn         int // when the function last got a slot that others waited for, or gave one back
	waiting      []*twinCall
	rejected     map[faas.Reason]uint64
}

type twinCall struct {
	fn     *twinFunction
	maker  *twinCall // the call that made it
	lender *twinCall // the maker, as long as it can lend a slot
	depth  int
	heeds  bool // the handler returns when its context ends
	phase  phase
	answer string // the text of the outcome or the reason

	leaves  time.Duration // when its caller's context ends
	gives   time.Duration // when the call has waited too long
	expires time.Duration // the handler's deadline
	sticks  time.Duration // when the handler has outlived its call by the grace
	stuck   bool

	// holds reports whether the call still has its slot. ownFn and ownRouter report, for the
	// function's half and the router's half of the slot, whether that half is the call's own or was
	// lent by a call above it.
	holds            bool
	ownFn, ownRouter *twinCall
	lent             *twinCall // the call to which this one has lent the router's half
	giver, heir      *twinCall // giver has lent this call the function's half; heir has got it from this call
	replaced         bool      // the call is a runaway that gave its slot back
}

type phase int

const (
	waits phase = iota
	runs
	runsOn // the call is settled, and its handler still runs
	isOver
)

// grace is the router's default, see WithStuck.
const grace = time.Second

const never = time.Duration(1<<63 - 1)

// half is one half of a slot: the call that owns it, and the call that it is lent to.
type half struct{ own, to func(*twinCall) *twinCall }

var (
	fnHalf     = half{func(k *twinCall) *twinCall { return k.ownFn }, func(k *twinCall) *twinCall { return k.heir }}
	routerHalf = half{func(k *twinCall) *twinCall { return k.ownRouter }, func(k *twinCall) *twinCall { return k.lent }}
)

// inUse reports whether o's own half of a slot is in use: by o, or by a call to which o has
// lent it, directly or through others.
func (h half) inUse(o *twinCall) bool {
	for k := o; k != nil; k = h.to(k) {
		if k.holds {
			return true
		}
	}
	return false
}

func halfOf(fn *twinFunction) half {
	if fn == nil {
		return routerHalf
	}
	return fnHalf
}

// owners returns the calls that have a slot of fn; if fn is nil, of the router.
func (w *twin) owners(fn *twinFunction) (os []*twinCall) {
	half := halfOf(fn)
	for _, k := range w.calls {
		if half.own(k) == k && (fn == nil || k.fn == fn) && half.inUse(k) {
			os = append(os, k)
		}
	}
	return os
}

func (w *twin) room(fn *twinFunction) bool {
	if fn == nil {
		return len(w.owners(nil)) < w.capacity
	}
	return len(w.owners(fn)) < fn.limit
}

// stuck reports whether all slots are stuck, so that no call can get one.
func (w *twin) stuck(fn *twinFunction) bool {
	limit, half, n := w.capacity, halfOf(fn), 0
	if fn != nil {
		limit = fn.limit
	}
	for _, o := range w.owners(fn) {
		if slices.ContainsFunc(w.calls, func(k *twinCall) bool { return k.holds && k.stuck && half.own(k) == o }) {
			n++
		}
	}
	return n > 0 && n >= limit
}

// refuseStuck refuses the calls that could only wait for stuck slots.
func (w *twin) refuseStuck() {
	for _, k := range w.calls {
		if k.phase == waits && (w.stuck(k.fn) || w.stuck(nil)) {
			w.refuse(k, faas.ReasonRunaways)
		}
	}
}

// parentCanLend reports whether the call that made k has a slot to lend to it.
func (k *twinCall) parentCanLend() bool {
	return k.lender != nil && k.lender.holds && k.lender.lent == nil
}

// giverFor returns the nearest call above k that is of k's function and has not lent its slot.
func (k *twinCall) giverFor() *twinCall {
	for p := k.lender; p != nil; p = p.lender {
		if p.fn == k.fn && p.holds && p.heir == nil {
			return p
		}
	}
	return nil
}

// take starts k if it can have a slot.
func (w *twin) take(k *twinCall) bool {
	home, giver := k.parentCanLend(), k.giverFor()
	if giver == nil && !w.room(k.fn) || !home && !w.room(nil) {
		return false
	}
	k.ownFn, k.ownRouter = k, k
	if giver != nil {
		k.ownFn, k.giver, giver.heir = giver.ownFn, giver, k
	}
	if home {
		k.ownRouter, k.lender.lent = k.lender.ownRouter, k
	}
	k.holds, k.phase, k.expires = true, runs, w.now+k.fn.timeout
	w.tidy()
	return true
}

// tidy removes the calls that no longer wait from the queue.
func (w *twin) tidy() {
	for _, fn := range w.functions {
		fn.waiting = slices.DeleteFunc(fn.waiting, func(k *twinCall) bool { return k.phase != waits })
	}
}

// nextFunction returns the function that gets the next slot: the one with the fewest slots, and of
// several such functions the one that has waited longest for a slot. It is nil if no waiting call
// has room in its function.
func (w *twin) nextFunction() (next *twinFunction) {
	held := func(fn *twinFunction) (n int) {
		for _, o := range w.owners(nil) {
			if o.fn == fn {
				n++
			}
		}
		return n
	}
	for _, fn := range w.functions {
		if w.nextOf(fn) == nil {
			continue
		}
		if next == nil || held(fn) < held(next) || held(fn) == held(next) && fn.turn < next.turn {
			next = fn
		}
	}
	return next
}

// nextOf returns the call that gets the router's next slot for fn, or nil. It is the first call, or
// the first that can borrow a slot of the function.
func (w *twin) nextOf(fn *twinFunction) *twinCall {
	for _, k := range fn.waiting {
		if w.room(fn) || k.giverFor() != nil {
			return k
		}
	}
	return nil
}

// serve starts the calls that can start: first with free slots, one after the other, and then with
// lent slots, beginning with those that were just returned.
func (w *twin) serve(homes, returned []*twinCall) {
	w.tidy()
	for fn := w.nextFunction(); fn != nil && w.room(nil); fn = w.nextFunction() {
		w.turns++
		fn.turn = w.turns
		w.take(w.nextOf(fn))
	}
	for _, p := range homes {
		for _, k := range w.calls {
			if k.phase == waits && k.lender == p && w.take(k) {
				break
			}
		}
	}
	for _, p := range returned {
		for _, k := range w.calls {
			if k.phase == waits && k.giverFor() == p && w.take(k) {
				break
			}
		}
	}
	for _, fn := range w.functions {
		for _, k := range slices.Clone(fn.waiting) {
			if k.phase == waits && k.parentCanLend() {
				w.take(k)
			}
		}
	}
}

// invoke makes a call of fn. maker is the call that makes it; nil: it comes from outside.
func (w *twin) invoke(fn *twinFunction, maker *twinCall, heeds bool, patience time.Duration) *twinCall {
	k := &twinCall{fn: fn, maker: maker, lender: maker, heeds: heeds, leaves: never, gives: never, expires: never, sticks: never}
	if patience != never {
		k.leaves = w.now + patience
	}
	if maker != nil {
		k.depth = maker.depth + 1
	}
	w.calls = append(w.calls, k)
	switch {
	case maker != nil && maker.phase != runs: // its context has ended
		w.refuse(k, faas.ReasonQueueCanceled)
	case k.depth >= w.maxDepth:
		w.refuse(k, faas.ReasonDepth)
	case fn.removed:
		w.refuse(k, faas.ReasonNotFound)
	case w.closed, w.draining && maker == nil:
		w.refuse(k, faas.ReasonClosed)
	case w.take(k):
	case w.stuck(fn), w.stuck(nil):
		w.refuse(k, faas.ReasonRunaways)
	case len(fn.waiting) >= fn.queue:
		w.refuse(k, faas.ReasonOverloaded)
	default:
		k.gives = w.now + fn.queueTimeout
		fn.waiting = append(fn.waiting, k)
		w.tidy()
	}
	return k
}

func (w *twin) refuse(k *twinCall, why faas.Reason) {
	k.phase, k.answer = isOver, string(why)
	if why == faas.ReasonNotFound {
		w.unknown[why]++
	} else {
		k.fn.rejected[why]++
	}
	w.tidy()
}

// finish ends a handler.
func (w *twin) finish(k *twinCall, outcome faas.Outcome) {
	if k.phase == runs {
		k.answer = outcome.String()
	}
	k.phase = isOver
	if k.replaced {
		k.fn.replaced--
	} else {
		w.release(k)
	}
}

// abandon answers a call while its handler continues.
func (w *twin) abandon(k *twinCall, outcome faas.Outcome) {
	k.phase, k.answer, k.sticks = runsOn, outcome.String(), w.now+grace
	if k.fn.replaced < k.fn.budget {
		k.fn.replaced++
		k.replaced = true
		w.release(k)
	}
	if k.heeds {
		w.finish(k, outcome)
	}
}

// release gives k's slot back: to the pool, or to the call that lent it.
func (w *twin) release(k *twinCall) {
	k.holds = false
	var homes, returned []*twinCall
	for x := k; x.heir == nil && x.giver != nil && x.giver.heir == x; {
		x = x.giver
		x.heir = nil
		if x.holds {
			returned = append(returned, x)
			break
		}
	}
	if o := k.ownRouter; !routerHalf.inUse(o) && w.nextFunction() != nil {
		w.turns++
		o.fn.turn = w.turns
	}
	for k.lent == nil && k.lender != nil && k.lender.lent == k {
		k = k.lender
		k.lent = nil
		if k.holds {
			homes = append(homes, k)
			break
		}
	}
	w.serve(homes, returned)
}

// leave ends the caller's context.
func (w *twin) leave(k *twinCall) {
	if k.phase == waits {
		w.refuse(k, faas.ReasonQueueCanceled)
	} else {
		w.abandon(k, faas.Canceled)
	}
}

// next returns when something happens to k by itself.
func (k *twinCall) next() time.Duration {
	switch k.phase {
	case waits:
		return min(k.leaves, k.gives)
	case runs:
		return min(k.leaves, k.expires)
	case runsOn:
		if k.stuck || k.replaced {
			return never
		}
		return k.sticks
	default:
		return never
	}
}

// pass lets time pass.
func (w *twin) pass(d time.Duration) {
	for until := w.now + d; ; {
		w.now = until
		var first *twinCall
		for _, k := range w.calls {
			if k.next() <= w.now {
				first, w.now = k, k.next()
			}
		}
		if first == nil {
			return
		}
		w.happen(first)
	}
}

func (w *twin) happen(k *twinCall) {
	switch {
	case k.phase != runsOn && k.leaves <= w.now:
		w.leave(k)
	case k.phase == waits:
		w.refuse(k, faas.ReasonQueueTimeout)
	case k.phase == runsOn:
		k.stuck = true
		w.refuseStuck()
	default:
		w.abandon(k, faas.TimedOut)
	}
}

// undecided returns the time until two things happen at the same moment. The model does not
// decide which of them comes first.
func (w *twin) undecided() time.Duration {
	seen, first := map[time.Duration]bool{}, never
	mark := func(at time.Duration) {
		if at != never && seen[at] {
			first = min(first, at-w.now)
		}
		seen[at] = true
	}
	for _, k := range w.calls {
		if k.phase == waits {
			mark(k.gives)
		}
		if k.phase == waits || k.phase == runs {
			mark(k.leaves)
		}
		if k.phase == runs {
			mark(k.expires)
		}
		if k.phase == runsOn && !k.stuck {
			mark(k.sticks)
		}
	}
	return first
}

func (w *twin) close() {
	w.draining, w.closed = true, true
	for _, k := range w.calls {
		switch k.phase {
		case waits:
			w.refuse(k, faas.ReasonClosed)
		case runs:
			k.phase, k.answer, k.sticks = runsOn, faas.Canceled.String(), w.now+grace
			if k.heeds {
				k.phase = isOver
			}
		default: // it is settled already
		}
	}
}

// count returns how many calls of fn are in a phase; if fn is nil, of all functions.
func (w *twin) count(fn *twinFunction, p phase) (n int) {
	for _, k := range w.calls {
		if k.phase == p && (fn == nil || k.fn == fn) {
			n++
		}
	}
	return n
}

func (w *twin) quiet() bool {
	return w.count(nil, waits)+w.count(nil, runs)+w.count(nil, runsOn) == 0
}

// busy reports whether a call that k made is not settled.
func (w *twin) busy(k *twinCall) bool {
	return slices.ContainsFunc(w.calls, func(c *twinCall) bool { return c.maker == k && (c.phase == waits || c.phase == runs) })
}
