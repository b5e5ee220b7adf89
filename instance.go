package faas

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas/internal/foreign"
)

// product is what an init func has made: a handler, and how to close what it
// stands on.
type product struct {
	handler any                         // a Handler[In, Out]
	closer  func(context.Context) error // or nil
}

// instance is a place where calls run. All is guarded by the lock of its fleet,
// but whoever has a place in it may read its handler: it is set before the first
// is given, and cleared after the last is given back.
type instance struct {
	product // nothing yet, or any more, but while it is ready or draining

	stop   context.CancelFunc // ends its init; nil: that has not begun
	calls  int                // that have a place in it
	needs  []*placeWait       // calls that it is being made for
	at     int                // its index in fleet.starting
	spare  *list.Element      // in fleet.spare; nil: full, or not to be used
	phase  phase
	rested int64 // when its last call ended
}

type phase uint8

const (
	starting phase = iota
	ready
	draining // takes no more calls, and is closed when those it has are over
	dropped  // closed, or its init failed
)

// fleet is the instances of one function. A call that has a slot takes a place in
// the one used last, so that the others can grow cold; if all are full it waits
// for the first place that comes free, and one more is made, unless enough are
// being made already for all who wait.
type fleet struct {
	fn      *function
	failing atomic.Bool  // the last init has failed; written under the lock
	goal    atomic.Int64 // how many there should be; a call that comes may raise it, and need not wait for the lock

	mu       sync.Mutex // guards what follows, and the instances
	spare    list.List  // of *instance, with room; the one used last at the back
	waiting  list.List  // of *placeWait, in the order of arrival
	starting []*instance
	unneeded int // places of theirs that are made for nobody
	live     int // starting, ready or draining
	ready    int
	closing  int  // close functions, and inits that were given up, that still run
	gone     bool // the function is removed: what is idle goes
	over     bool // the router is closed: nothing is made any more

	promised *promise // or nil

	failures int // inits that failed one after the other
	failure  error
	retryAt  int64
}

// placeWait is a call that waits for a place.
type placeWait struct {
	got  chan placed   // one place: whoever hands over never waits
	line *list.Element // in fleet.waiting; nil once it has its answer
	made *instance     // the one that is being made for it; nil: it waits for others
}

// placed is the answer.
type placed struct {
	in   *instance
	cold bool // in was made for it, or could not be
	err  error
}

// promise is the minimum that a registration waits for.
type promise struct {
	missing int        // so many are to become ready yet
	kept    chan error // one place: whoever answers never waits
}

// place gives the call a place in an instance, and waits for one no longer
// than its caller does; then the answer is errLeft.
func (f *fleet) place(q *caller) (got placed, waited bool) {
	in, w := f.ask()
	if w == nil {
		return placed{in: in}, false
	}
	return f.await(q, w), true
}

var errLeft = errors.New("the caller has left")

// ask takes a place, or stands in line for one.
func (f *fleet) ask() (*instance, *placeWait) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in := f.warmest(); in != nil {
		f.enter(in)
		return in, nil
	}
	w := &placeWait{got: make(chan placed, 1)}
	w.line = f.waiting.PushBack(w)
	f.seekFor(w)
	return nil, w
}

func (f *fleet) await(q *caller, w *placeWait) placed {
	if q.done == nil { // a select with one way out would cost a fresh stack its first growth
		return <-w.got
	}
	return f.awaitEither(q, w)
}

func (f *fleet) awaitEither(q *caller, w *placeWait) placed {
	select {
	case got := <-w.got:
		return got
	case <-q.done:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer(w, placed{err: errLeft}) // unless it has been answered in the same moment: that stands
	return <-w.got
}

// warmest is the instance with room that was used last, or nil; the lock is
// held here and below, unless it says otherwise.
func (f *fleet) warmest() *instance {
	if e := f.spare.Back(); e != nil {
		in, _ := e.Value.(*instance)
		return in
	}
	return nil
}

// enter takes a place in an instance that has one.
func (f *fleet) enter(in *instance) {
	in.calls++
	if in.calls >= f.fn.perInstance {
		f.hide(in)
	}
}

// join takes a place for a call that has borrowed the slot of a call above it: in
// that one's instance, full or not, for it waits meanwhile. To wait for another place
// could be to wait for that call. It is false if that has ended meanwhile, and its
// instance with it: then there is no such call to wait for.
func (f *fleet) join(in *instance) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.phase == dropped {
		return false
	}
	f.enter(in)
	return true
}

func (f *fleet) hide(in *instance) {
	if in.spare != nil {
		f.spare.Remove(in.spare)
		in.spare = nil
	}
}

// leave gives a place back. An instance whose handler panicked, or ended its
// goroutine, is spent: nobody knows what it left behind.
func (f *fleet) leave(in *instance, spent bool, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in.calls--
	in.rested = now
	if spent && in.phase == ready {
		f.drain(in)
	}
	if in.phase == draining {
		if in.calls == 0 {
			f.drop(in)
		}
		f.refill()
		return
	}
	f.offer(in)
	f.trim(now)
}

// offer hands the places of an instance to those who wait, and shows it if
// some are left.
func (f *fleet) offer(in *instance) {
	for in.calls < f.fn.perInstance && f.waiting.Len() > 0 {
		in.calls++
		f.answer(f.first(), placed{in: in})
	}
	f.hide(in)
	if in.calls < f.fn.perInstance {
		in.spare = f.spare.PushBack(in)
	}
}

func (f *fleet) first() *placeWait {
	w, _ := f.waiting.Front().Value.(*placeWait)
	return w
}

// answer ends a wait, unless it has ended. What was being made for it is for
// others now.
func (f *fleet) answer(w *placeWait, with placed) {
	if w.line == nil {
		return
	}
	f.waiting.Remove(w.line)
	w.line = nil
	if m := w.made; m != nil {
		if i := slices.Index(m.needs, w); i >= 0 {
			m.needs = slices.Delete(m.needs, i, i+1)
			if m.phase == starting {
				f.unneeded++
			}
		}
	}
	w.got <- with
}

// seekFor has an instance made for w, or counts w in for one that is being
// made and has a place to spare. Where neither can be, w waits for a place in
// those there are; and if there are none, for nothing.
func (f *fleet) seekFor(w *placeWait) {
	if in := f.unclaimed(); in != nil {
		f.need(in, w)
		return
	}
	switch {
	case f.over:
		f.answer(w, placed{err: ErrClosed})
	case f.live < f.most() && f.backedOff() == 0:
		f.need(f.start(), w)
	case f.live == 0:
		f.answer(w, placed{cold: true, err: f.failure})
	}
}

// unclaimed is an instance that is being made and has a place to spare, or nil.
// A burst of calls, each with an instance of its own in the making, does not look
// through those of all the others.
func (f *fleet) unclaimed() *instance {
	if f.unneeded == 0 {
		return nil
	}
	i := slices.IndexFunc(f.starting, func(in *instance) bool { return len(in.needs) < f.fn.perInstance })
	return f.starting[i]
}

// need has in made for w.
func (f *fleet) need(in *instance, w *placeWait) {
	w.made = in
	in.needs = append(in.needs, w)
	f.unneeded--
}

// most is how many there may be: one more for each runaway that has given its
// slot to a replacement, and keeps its place.
func (f *fleet) most() int { return f.fn.maxInstances + int(f.fn.replaced.Load()) }

// refill makes instances for those who wait without one that is being made:
// others have ended since they came. So it does for a minimum that is promised.
func (f *fleet) refill() {
	for e := f.waiting.Front(); e != nil; {
		next := e.Next()
		if w, _ := e.Value.(*placeWait); w.made == nil {
			f.seekFor(w)
		}
		e = next
	}
	for p := f.promised; p != nil && len(f.starting) < p.missing && f.live < f.most(); {
		f.start()
	}
}

// aim sets how many there should be, and has those made that are missing, no
// more than at most; those that are too many go once they are idle.
func (f *fleet) aim(n, most int, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goal.Store(int64(n))
	f.refill()
	for f.live < min(n, most, f.most()) && !f.over && f.backedOff() == 0 {
		f.start()
	}
	f.trim(now)
}

// trim ends idle instances while there are more than there should be, the
// coldest first.
func (f *fleet) trim(now int64) {
	for int64(f.live) > f.goal.Load() {
		in := f.idle()
		if in == nil || !f.gone && now-in.rested < int64(f.fn.keepAlive) {
			return
		}
		f.drop(in)
	}
}

// idle finds the coldest instance without a call, or nil. Where instances serve
// several calls, it may stand behind some that are half full.
func (f *fleet) idle() *instance {
	for e := f.spare.Front(); e != nil; e = e.Next() {
		if in, _ := e.Value.(*instance); in.calls == 0 {
			return in
		}
	}
	return nil
}

// drain takes an instance out of use.
func (f *fleet) drain(in *instance) {
	in.phase = draining
	f.ready--
	f.hide(in)
}

// drop ends an instance that has no call and, where it was ready, closes it on a
// goroutine of its own.
func (f *fleet) drop(in *instance) {
	if in.phase == ready {
		f.drain(in)
	}
	in.phase = dropped
	f.live--
	f.close(in.product)
	in.product = product{} // slots that have served it, and contexts that are kept, still know it
}

// start has an instance made, on its own goroutine.
func (f *fleet) start() *instance {
	in := &instance{at: len(f.starting)}
	f.live++
	f.starting = append(f.starting, in)
	f.unneeded += f.fn.perInstance
	go f.build(in)
	return in
}

var (
	errInitSlow = errors.New("it took longer than WithInitTimeout")
	errInitNil  = errors.New("it answered neither a handler nor an error")
)

// build runs init; the lock is not held. Whichever comes first, init or its
// timeout, decides; an instance that comes late is closed again. The timeout is
// told through the context, which lets go of the fleet at once when it is not
// wanted any more; the runtime may keep a stopped timer, and what it calls.
func (f *fleet) build(in *instance) {
	ctx, stop := context.WithTimeout(context.Background(), f.fn.initTimeout)
	unhook := context.AfterFunc(ctx, func() { f.giveUp(in, wrapCause(ErrInit, errInitSlow)) })
	f.begin(in, stop)
	var made product
	var err error = wrapCause(ErrInit, ErrExited)
	defer func() { // by return, panic and Goexit alike
		if r := recover(); r != nil {
			err = wrapCause(ErrInit, &PanicError{Value: r, Stack: stack()})
		}
		unhook()
		stop()
		f.built(in, made, err)
	}()
	var cause error
	if made.handler, made.closer, cause = f.fn.init(ctx); cause == nil && made.handler == nil {
		cause = errInitNil
	}
	err = nil
	if cause != nil {
		err = wrapCause(ErrInit, cause)
	}
}

// begin makes known how to stop an init, and stops it if it was given up before.
func (f *fleet) begin(in *instance, stop context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in.stop = stop
	if in.phase == dropped {
		stop()
	}
}

// built takes what init has made, or that it made nothing.
func (f *fleet) built(in *instance, made product, err error) {
	defer f.fn.tellIfEnding()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case in.phase == dropped: // it was given up meanwhile
		f.closing--
		if err == nil {
			f.close(made)
		}
	case err != nil:
		f.fail(in, err)
	default:
		in.product = made
		f.open(in)
	}
}

// open puts an instance into service.
func (f *fleet) open(in *instance) {
	f.unlist(in)
	in.phase, in.rested = ready, f.fn.router.clock.now()
	f.ready++
	f.failures, f.failure = 0, nil
	f.failing.Store(false)
	if p := f.promised; p != nil {
		if p.missing--; p.missing == 0 {
			f.keep(nil)
		}
	}
	for len(in.needs) > 0 {
		in.calls++
		f.answer(in.needs[0], placed{in: in, cold: true})
	}
	f.offer(in)
	f.trim(in.rested)
}

// giveUp does not wait for an init any longer; without the lock.
func (f *fleet) giveUp(in *instance, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.phase == starting {
		f.closing++ // until it has ended
		f.fail(in, err)
	}
}

// fail drops an instance whose init has failed, and turns away those who waited
// for it; and, with the last, everybody who waits.
func (f *fleet) fail(in *instance, err error) {
	f.unlist(in)
	in.phase = dropped
	f.live--
	f.backOff(err)
	f.keep(err)
	for len(in.needs) > 0 {
		f.answer(in.needs[0], placed{cold: true, err: err})
	}
	for f.live == 0 && f.waiting.Len() > 0 {
		f.answer(f.first(), placed{cold: true, err: err})
	}
}

// unlist takes an instance out of those that are being made; nobody needs it as
// one of them any more.
func (f *fleet) unlist(in *instance) {
	last := len(f.starting) - 1
	f.starting[in.at] = f.starting[last]
	f.starting[in.at].at = in.at
	f.starting[last] = nil
	f.starting = f.starting[:last]
	f.unneeded -= f.fn.perInstance - len(in.needs)
}

// After the first failure the next try is not before firstBackoff, and the
// pause doubles with each that follows, up to maxBackoff.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

func (f *fleet) backOff(err error) {
	pause := maxBackoff
	if f.failures < 9 {
		pause = min(firstBackoff<<f.failures, maxBackoff)
	}
	f.failures++
	f.failing.Store(true)
	f.failure = err
	f.retryAt = f.fn.router.clock.now() + int64(pause)
}

// backedOff is how long no instance may be made.
func (f *fleet) backedOff() time.Duration {
	if f.failures == 0 {
		return 0
	}
	return time.Duration(max(0, f.retryAt-f.fn.router.clock.now()))
}

// refuses tells whether a call has no instance to hope for, why, and when
// another try is made; without the lock.
func (f *fleet) refuses() (retry time.Duration, err error) {
	if !f.failing.Load() {
		return 0, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live > 0 {
		return 0, nil
	}
	return f.backedOff(), f.failure
}

// close has an instance closed, once, on a goroutine of its own.
func (f *fleet) close(p product) {
	if p.closer != nil {
		f.closing++
		go f.runCloser(p.closer)
	}
}

func (f *fleet) runCloser(closer func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), f.fn.initTimeout)
	defer func() {
		cancel()
		f.mu.Lock()
		f.closing--
		f.mu.Unlock()
		f.fn.tellIfEnding()
	}()
	defer f.fn.router.guardHook("close", f.fn.name)
	if err := closer(ctx); err != nil {
		f.fn.router.settings.logger.Error("faas: an instance could not be closed", "function", f.fn.name, "error", foreign.Plain(err))
	}
}

// retire has all instances go, each with its last call, and stops the inits that
// no call waits for. With over, no call gets a place any more, and all inits are
// told to stop.
func (f *fleet) retire(over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goal.Store(0)
	f.gone, f.over = true, f.over || over
	f.keep(f.whyGone())
	for over && f.waiting.Len() > 0 {
		f.answer(f.first(), placed{err: ErrClosed})
	}
	f.refill() // before the look at what is not needed
	for _, in := range slices.Clone(f.starting) {
		if len(in.needs) == 0 {
			f.abandon(in)
		}
	}
	f.trim(0)
}

var errRemoved = errors.New("it was removed")

func (f *fleet) whyGone() error {
	if f.over {
		return ErrClosed
	}
	return wrapCause(ErrNotFound, errRemoved)
}

// abandon tells an init to stop, and drops what it may still make.
func (f *fleet) abandon(in *instance) {
	f.unlist(in)
	in.phase = dropped
	if in.stop != nil {
		in.stop()
	}
	f.live--
	f.closing++
}

// provision makes n instances, and returns when they are ready, or one could not
// be made, or the function is gone; without the lock.
func (f *fleet) provision(n int) error {
	return <-f.promise(n).kept
}

func (f *fleet) promise(n int) *promise {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &promise{missing: n - f.ready, kept: make(chan error, 1)} // a call may have come first, and brought one about
	f.promised = p
	switch {
	case f.gone:
		f.keep(f.whyGone())
	case p.missing <= 0:
		f.keep(nil)
	default:
		f.goal.Store(int64(n))
		f.refill()
	}
	return p
}

// keep ends the wait for the minimum, if there is one.
func (f *fleet) keep(err error) {
	if f.promised != nil {
		f.promised.kept <- err
		f.promised = nil
	}
}

// busy tells whether inits or close functions are at work; without the lock.
func (f *fleet) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closing+len(f.starting) > 0
}

// count tells how many there are, and how many can serve; without the lock.
func (f *fleet) count() (live, ready int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live, f.ready
}
