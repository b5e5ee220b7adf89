package instances

import (
	"context"
	"errors"
	"time"
)

// The values that Err of an InitError may have, apart from the errors that Init returns.
var (
	// ErrTimeout means that Init took longer than InitTimeout.
	ErrTimeout = errors.New("it took longer than WithInitTimeout")
	// ErrNothing means that Init returned a nil handler and a nil error.
	ErrNothing = errors.New("it returned neither a handler nor an error")
	// ErrExited means that Init ended its goroutine.
	ErrExited = errors.New("init exited without returning")
)

// InitError is the error if an instance could not be opened. All calls that waited for that
// instance get the same pointer.
type InitError struct {
	Err error // what Init returned, or ErrTimeout, ErrNothing or ErrExited
}

// Error returns a text that contains the text of Err. Err may be foreign code.
func (e *InitError) Error() string { return "init failed: " + e.Err.Error() }

// Unwrap returns Err.
func (e *InitError) Unwrap() error { return e.Err }

// After the first failure no init begins for firstBackoff. The pause doubles with
// each further failure, up to maxBackoff. One success ends it.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// start starts one more instance: it starts an init on a goroutine of its own. s.mu must be
// held.
func (s *Set) start() *Instance {
	in := &Instance{at: len(s.starting)}
	s.live++
	s.starting = append(s.starting, in)
	s.unclaimed += s.config.Seats
	go s.runInit(in)
	return in
}

// runInit is the goroutine of one init. s.mu must not be held.
//
// Either the end of the init or its timeout decides what happens to the instance: the one that
// locks s.mu first, since both end the phase starting. If the timeout is first and the init
// opens something later, that is closed again.
//
// The timeout comes from ctx, and not from a timer that calls giveUp. The runtime may keep a
// stopped timer, and everything that it refers to, in memory for a while. The func that
// AfterFunc adds to ctx is released at once when it is removed.
func (s *Set) runInit(in *Instance) {
	ctx, stop := context.WithTimeout(context.Background(), s.config.InitTimeout)
	unhook := context.AfterFunc(ctx, func() { s.giveUp(in, &InitError{ErrTimeout}) })
	s.beginInit(in, stop)
	var made product
	err := ErrExited // this value stays if Init does not return
	defer func() {   // runs also if Init ends the goroutine
		unhook()
		stop()
		s.finishInit(in, made, err)
	}()
	made.handler, made.closer, err = s.config.Init(ctx)
	if err == nil && made.handler == nil {
		err = ErrNothing
	}
}

// beginInit stores the func with which abandon can stop the init. If the instance was abandoned
// before its goroutine got here, beginInit stops the init at once. s.mu must not be held.
func (s *Set) beginInit(in *Instance, stop context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.stop = stop
	if in.phase == dropped {
		stop()
	}
}

// finishInit stores what an init has opened, or handles its error. s.mu must not be held.
func (s *Set) finishInit(in *Instance, made product, err error) {
	defer s.config.Ended() // runs after the unlock
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case in.phase == dropped: // giveUp or abandon came first, and counted this init in s.closing
		s.closing--
		if err == nil {
			s.closeInstance(made)
		}
	case err != nil:
		s.fail(in, &InitError{err})
	default:
		in.product = made
		s.open(in)
	}
}

// open puts an instance into service: first for the calls that claimed a seat in it, then for
// other calls that wait. s.mu must be held.
func (s *Set) open(in *Instance) {
	s.removeStarting(in)
	in.phase, in.rested = ready, s.config.Now()
	s.ready++
	s.failures, s.failure = 0, nil
	s.failing.Store(false)
	if m := s.minimum; m != nil {
		if m.missing--; m.missing == 0 {
			s.answerMinimum(nil)
		}
	}
	for len(in.claims) > 0 {
		in.calls++
		s.answer(in.claims[0], Grant{Instance: in, Cold: true})
	}
	s.offer(in)
	s.dropIdle(in.rested)
}

// giveUp fails an init that still runs. s.mu must not be held.
func (s *Set) giveUp(in *Instance, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.phase == starting {
		s.closing++ // until finishInit
		s.fail(in, err)
	}
}

// fail drops an instance whose init has failed, and the calls that claimed a seat in it fail
// with the same error. If it was the last instance, all other calls that wait fail, too: no
// instance is left whose seat could become free, and none may be started during the pause. s.mu
// must be held.
func (s *Set) fail(in *Instance, err error) {
	s.removeStarting(in)
	in.phase = dropped
	s.live--
	s.scheduleRetry(err)
	s.answerMinimum(err)
	for len(in.claims) > 0 {
		s.answer(in.claims[0], Grant{Cold: true, Err: err})
	}
	for s.live == 0 && s.waiting.Len() > 0 {
		s.answer(s.firstWaiter(), Grant{Cold: true, Err: err})
	}
}

// abandon drops a starting instance that no call has claimed, and stops its init.
// It is not a failure, and begins no pause. s.mu must be held.
func (s *Set) abandon(in *Instance) {
	s.removeStarting(in)
	in.phase = dropped
	if in.stop != nil {
		in.stop()
	}
	s.live--
	s.closing++ // until finishInit
}

// removeStarting removes an instance from the list s.starting, and its unclaimed seats
// from s.unclaimed. The last instance of the list takes its place. s.mu must be held.
func (s *Set) removeStarting(in *Instance) {
	last := len(s.starting) - 1
	s.starting[in.at] = s.starting[last]
	s.starting[in.at].at = in.at
	s.starting[last] = nil
	s.starting = s.starting[:last]
	s.unclaimed -= s.config.Seats - len(in.claims)
}

// scheduleRetry begins the pause that follows a failure. s.mu must be held.
func (s *Set) scheduleRetry(err error) {
	pause := maxBackoff
	if s.failures < 9 { // from 9 on the shifted value would exceed maxBackoff, and could overflow
		pause = min(firstBackoff<<s.failures, maxBackoff)
	}
	s.failures++
	s.failing.Store(true)
	s.failure = err
	s.retryAt = s.config.Now() + int64(pause)
}

// initBackoff returns for how long no init may begin; 0: an init may begin now. s.mu must be held.
func (s *Set) initBackoff() time.Duration {
	if s.failures == 0 {
		return 0
	}
	return time.Duration(max(0, s.retryAt-s.config.Now()))
}

// InitBackoff reports whether a call can be refused at once. If retry is positive, there is no
// instance, the last init failed with err (an *InitError), and the next init may begin only
// after the time retry. If retry is 0, the call should Acquire. InitBackoff takes no lock as long
// as inits succeed.
func (s *Set) InitBackoff() (retry time.Duration, err error) {
	if !s.failing.Load() {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live > 0 {
		return 0, nil
	}
	return s.initBackoff(), s.failure
}

// minimum is the number of instances that Provision waits for.
type minimum struct {
	missing int        // how many have still to become ready
	reached chan error // has a buffer of one, so that the answer is sent with s.mu held, without a wait
}

// Provision raises the target to n, and starts the instances that are missing. It
// returns nil when they are ready, an *InitError if one could not be opened, and
// ErrRemoved or ErrClosed if Retire was called. Only one Provision may run at a time.
func (s *Set) Provision(n int) error {
	return <-s.startMinimum(n).reached
}

func (s *Set) startMinimum(n int) *minimum {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &minimum{missing: n - s.ready, reached: make(chan error, 1)} // instances that were started for earlier calls count, too
	s.minimum = m
	switch {
	case s.removed:
		s.answerMinimum(s.whyRetired())
	case m.missing <= 0:
		s.answerMinimum(nil)
	default:
		s.target.Store(int64(n))
		s.startForWaiters()
	}
	return m
}

// answerMinimum ends the wait of Provision, if there is one. s.mu must be held.
func (s *Set) answerMinimum(err error) {
	if s.minimum != nil {
		s.minimum.reached <- err
		s.minimum = nil
	}
}
