package faas

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// instance is what an init func has built: a handler, and what it stands on.
// handler and closer are written by its init alone, before it is shown to
// anybody; the rest is guarded by the lock of instances.
type instance struct {
	handler any // a Handler[In, Out]
	closer  func(context.Context) error

	stop   context.CancelFunc // ends its init
	calls  int                // that have a place in it
	needs  []*placeWait       // calls that it is being made for
	spare  *list.Element      // in instances.spare; nil: full, or not to be used
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

// instances are those of one function. A call that has a slot takes a place in
// the one used last, so that the others can grow cold; if all are full it waits
// for the first place that comes free, and one more is made, unless enough are
// being made already for all who wait.
type instances struct {
	fn *function

	mu       sync.Mutex // guards what follows, and the instances
	spare    list.List  // of *instance, with room; the one used last at the back
	waiting  list.List  // of *placeWait, in the order of arrival
	starting []*instance
	live     int // starting, ready or draining
	ready    int
	goal     int  // how many there should be
	closing  int  // close functions, and inits that were given up, that still run
	gone     bool // the function is removed: what is idle goes
	over     bool // the router is closed: nothing is made any more

	failures int // inits that failed one after the other
	failure  error
	retryAt  int64
}

// placeWait is a call that waits for a place.
type placeWait struct {
	got  chan placed   // one place: whoever hands over never waits
	line *list.Element // in instances.waiting; nil once it has its answer
	made *instance     // the one that is being made for it; nil: it waits for others
}

// placed is the answer.
type placed struct {
	in   *instance
	cold bool // in was made for it, or could not be
	err  error
}

// place gives the call a place in an instance, and waits for one no longer
// than ctx lasts.
func (p *instances) place(ctx context.Context) placed {
	p.mu.Lock()
	if in := p.warmest(); in != nil {
		p.enter(in)
		p.mu.Unlock()
		return placed{in: in}
	}
	w := &placeWait{got: make(chan placed, 1)}
	w.line = p.waiting.PushBack(w)
	p.seekFor(w)
	p.mu.Unlock()
	select {
	case got := <-w.got:
		return got
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer(w, placed{err: ctx.Err()}) // unless it has been answered in the same moment: that stands
	return <-w.got
}

// warmest is the instance with room that was used last, or nil; the lock is
// held here and below, unless it says otherwise.
func (p *instances) warmest() *instance {
	if e := p.spare.Back(); e != nil {
		in, _ := e.Value.(*instance)
		return in
	}
	return nil
}

// enter takes a place in an instance that has one.
func (p *instances) enter(in *instance) {
	in.calls++
	if in.calls >= p.fn.perInstance {
		p.hide(in)
	}
}

// join takes a place for a call that has borrowed its parent's slot: in the
// parent's instance, full or not, for the parent waits meanwhile. To wait for
// another place could be to wait for the parent.
func (p *instances) join(in *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(in)
}

func (p *instances) hide(in *instance) {
	if in.spare != nil {
		p.spare.Remove(in.spare)
		in.spare = nil
	}
}

// leave gives a place back. An instance whose handler panicked, or ended its
// goroutine, is spent: nobody knows what it left behind.
func (p *instances) leave(in *instance, spent bool, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in.calls--
	in.rested = now
	if spent && in.phase == ready {
		p.drain(in)
	}
	if in.phase == draining {
		if in.calls == 0 {
			p.drop(in)
		}
		p.refill()
		return
	}
	p.offer(in)
	p.trim(now)
}

// offer hands the places of an instance to those who wait, and shows it if
// some are left.
func (p *instances) offer(in *instance) {
	for in.calls < p.fn.perInstance && p.waiting.Len() > 0 {
		in.calls++
		p.answer(p.first(), placed{in: in})
	}
	p.hide(in)
	if in.calls < p.fn.perInstance {
		in.spare = p.spare.PushBack(in)
	}
}

func (p *instances) first() *placeWait {
	w, _ := p.waiting.Front().Value.(*placeWait)
	return w
}

// answer ends a wait, unless it has ended. What was being made for it is for
// others now.
func (p *instances) answer(w *placeWait, with placed) {
	if w.line == nil {
		return
	}
	p.waiting.Remove(w.line)
	w.line = nil
	if m := w.made; m != nil {
		for i, n := range m.needs {
			if n == w {
				m.needs = append(m.needs[:i], m.needs[i+1:]...)
				break
			}
		}
	}
	w.got <- with
}

// seekFor has an instance made for w, or counts w in for one that is being
// made and has a place to spare. Where neither can be, w waits for a place in
// those there are; and if there are none, for nothing.
func (p *instances) seekFor(w *placeWait) {
	for _, in := range p.starting {
		if len(in.needs) < p.fn.perInstance {
			w.made = in
			in.needs = append(in.needs, w)
			return
		}
	}
	switch {
	case p.over:
		p.answer(w, placed{err: ErrClosed})
	case p.live < p.most() && p.backedOff() == 0:
		w.made = p.start()
		w.made.needs = append(w.made.needs, w)
	case p.live == 0:
		p.answer(w, placed{cold: true, err: p.failure})
	}
}

// most is how many there may be: one more for each runaway that has given its
// slot to a replacement, and keeps its place.
func (p *instances) most() int { return p.fn.maxInstances + int(p.fn.replaced.Load()) }

// refill makes instances for those who wait without one that is being made:
// others have ended since they came.
func (p *instances) refill() {
	for e := p.waiting.Front(); e != nil; {
		next := e.Next()
		if w, _ := e.Value.(*placeWait); w.made == nil {
			p.seekFor(w)
		}
		e = next
	}
}

// aim sets how many there should be, and has those made that are missing, no
// more than at most; those that are too many go once they are idle.
func (p *instances) aim(n, most int, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goal = n
	p.refill()
	for p.live < min(n, most, p.most()) && !p.over && p.backedOff() == 0 {
		p.start()
	}
	p.trim(now)
}

// trim ends idle instances while there are more than there should be, the
// coldest first.
func (p *instances) trim(now int64) {
	for p.live > p.goal {
		in := p.idle()
		if in == nil || !p.gone && now-in.rested < int64(p.fn.keepAlive) {
			return
		}
		p.drop(in)
	}
}

// idle finds the coldest instance without a call, or nil. Where instances serve
// several calls, it may stand behind some that are half full.
func (p *instances) idle() *instance {
	for e := p.spare.Front(); e != nil; e = e.Next() {
		if in, _ := e.Value.(*instance); in.calls == 0 {
			return in
		}
	}
	return nil
}

// drain takes an instance out of use.
func (p *instances) drain(in *instance) {
	in.phase = draining
	p.ready--
	p.hide(in)
}

// drop ends an instance that has no call and, where it was ready, closes it on a
// goroutine of its own.
func (p *instances) drop(in *instance) {
	if in.phase == ready {
		p.drain(in)
	}
	in.phase = dropped
	p.live--
	p.close(in)
}

// start has an instance made, on its own goroutine.
func (p *instances) start() *instance {
	ctx, stop := context.WithTimeout(context.Background(), p.fn.initTimeout)
	in := &instance{stop: stop}
	p.live++
	p.starting = append(p.starting, in)
	go p.build(ctx, in)
	return in
}

var (
	errInitSlow = errors.New("it took longer than WithInitTimeout")
	errInitNil  = errors.New("it answered neither a handler nor an error")
)

// build runs init; the lock is not held. Whoever comes first, init or its
// timeout, decides; an instance that comes late is closed again.
func (p *instances) build(ctx context.Context, in *instance) {
	timer := time.AfterFunc(p.fn.initTimeout, func() { p.giveUp(in, because{ErrInit, errInitSlow}) })
	var err error = because{ErrInit, ErrExited}
	defer func() { // by return, panic and Goexit alike
		if r := recover(); r != nil {
			err = because{ErrInit, &PanicError{Value: r, Stack: stack()}}
		}
		timer.Stop()
		in.stop()
		p.built(in, err)
	}()
	var cause error
	if in.handler, in.closer, cause = p.fn.init(ctx); cause == nil && in.handler == nil {
		cause = errInitNil
	}
	err = nil
	if cause != nil {
		err = because{ErrInit, cause}
	}
}

// built takes what init has made, or that it made nothing.
func (p *instances) built(in *instance, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.fn.router.tellIfClosing()
	switch {
	case in.phase == dropped: // it was given up meanwhile
		p.closing--
		if err == nil {
			p.close(in)
		}
	case err != nil:
		p.fail(in, err)
	default:
		p.open(in)
	}
}

// open puts an instance into service.
func (p *instances) open(in *instance) {
	p.unlist(in)
	in.phase, in.rested = ready, p.fn.router.clock.now()
	p.ready++
	p.failures, p.failure = 0, nil
	for len(in.needs) > 0 {
		in.calls++
		p.answer(in.needs[0], placed{in: in, cold: true})
	}
	p.offer(in)
	p.trim(in.rested)
}

// giveUp does not wait for an init any longer; without the lock.
func (p *instances) giveUp(in *instance, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in.phase == starting {
		p.closing++ // until it has ended
		p.fail(in, err)
	}
}

// fail drops an instance whose init has failed, and turns away those who waited
// for it; and, with the last, everybody who waits.
func (p *instances) fail(in *instance, err error) {
	p.unlist(in)
	in.phase = dropped
	p.live--
	p.backOff(err)
	for len(in.needs) > 0 {
		p.answer(in.needs[0], placed{cold: true, err: err})
	}
	for p.live == 0 && p.waiting.Len() > 0 {
		p.answer(p.first(), placed{cold: true, err: err})
	}
}

func (p *instances) unlist(in *instance) {
	for i, s := range p.starting {
		if s == in {
			p.starting = append(p.starting[:i], p.starting[i+1:]...)
			return
		}
	}
}

// After the first failure the next try is not before firstBackoff, and the
// pause doubles with each that follows, up to maxBackoff.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

func (p *instances) backOff(err error) {
	pause := maxBackoff
	if p.failures < 9 {
		pause = min(firstBackoff<<p.failures, maxBackoff)
	}
	p.failures++
	p.failure = err
	p.retryAt = p.fn.router.clock.now() + int64(pause)
}

// backedOff is how long no instance may be made.
func (p *instances) backedOff() time.Duration {
	if p.failures == 0 {
		return 0
	}
	return time.Duration(max(0, p.retryAt-p.fn.router.clock.now()))
}

// refuses tells whether a call has no instance to hope for, why, and when
// another try is made; without the lock.
func (p *instances) refuses() (retry time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live > 0 {
		return 0, nil
	}
	return p.backedOff(), p.failure
}

// close has an instance closed, once, on a goroutine of its own.
func (p *instances) close(in *instance) {
	if in.closer != nil {
		p.closing++
		go p.runCloser(in.closer)
	}
}

func (p *instances) runCloser(closer func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.fn.initTimeout)
	defer func() {
		cancel()
		p.mu.Lock()
		p.closing--
		p.mu.Unlock()
		p.fn.router.tellIfClosing()
	}()
	defer p.fn.router.guardHook("close", p.fn.name)
	if err := closer(ctx); err != nil {
		p.fn.router.settings.logger.Error("faas: an instance could not be closed", "function", p.fn.name, "error", plainText(err))
	}
}

// retire has all instances go, each with its last call. With over, nobody gets
// a place any more, and inits are told to stop.
func (p *instances) retire(over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goal, p.gone = 0, true
	if over {
		p.over = true
		for p.waiting.Len() > 0 {
			p.answer(p.first(), placed{err: ErrClosed})
		}
		for len(p.starting) > 0 {
			p.abandon(p.starting[0])
		}
	}
	p.trim(0)
}

// abandon tells an init to stop, and drops what it may still make.
func (p *instances) abandon(in *instance) {
	p.unlist(in)
	in.phase = dropped
	in.stop()
	p.live--
	p.closing++
}

// provision makes n instances, and returns when they are ready or one could
// not be made; without the lock.
func (p *instances) provision(n int) error {
	waits := make([]*placeWait, n)
	p.mu.Lock()
	p.goal = n
	for i := range waits {
		w := &placeWait{got: make(chan placed, 1), made: p.start()}
		w.line = p.waiting.PushBack(w)
		w.made.needs = append(w.made.needs, w)
		waits[i] = w
	}
	p.mu.Unlock()
	var err error
	for _, w := range waits {
		if got := <-w.got; got.err != nil {
			err = got.err
		} else {
			p.leave(got.in, false, p.fn.router.clock.now())
		}
	}
	return err
}

// busy tells whether inits or close functions are at work; without the lock.
func (p *instances) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closing+len(p.starting) > 0
}

// count tells how many there are, and how many can serve; without the lock.
func (p *instances) count() (live, ready int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live, p.ready
}
