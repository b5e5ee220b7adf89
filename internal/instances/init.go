package instances

import (
	"context"
	"errors"
	"time"
)

// What can be the Err of an InitError, apart from the errors that Init returns.
var (
	// ErrTimeout is the cause when Init took longer than InitTimeout.
	ErrTimeout = errors.New("it took longer than WithInitTimeout")
	// ErrNothing is the cause when Init returned a nil handler and a nil error.
	ErrNothing = errors.New("it answered neither a handler nor an error")
	// ErrExited is the cause when Init ended its goroutine.
	ErrExited = errors.New("init exited without returning")
)

// InitError says that an instance could not be opened. All calls that waited for it
// get the same pointer.
type InitError struct {
	Err error // what Init returned, or ErrTimeout, ErrNothing or ErrExited
}

// Error returns the text of Err, which may be foreign code.
func (e *InitError) Error() string { return "init failed: " + e.Err.Error() }

// Unwrap returns Err.
func (e *InitError) Unwrap() error { return e.Err }

// After the first failure no init begins for firstBackoff. The pause doubles with
// each failure that follows, up to maxBackoff. One success ends it.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// start starts one more instance: an init on a goroutine of its own. s.mu must be
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
// Either the init or its timeout decides what becomes of the instance: the one that
// takes s.mu first, since both leave the phase starting. If the timeout does, what a
// late init opens is closed again.
//
// The timeout comes through ctx, and not from a timer that calls giveUp: the runtime
// may keep a stopped timer, and what it refers to, for a while. The func that
// AfterFunc adds to ctx is let go at once when it is taken off.
func (s *Set) runInit(in *Instance) {
	ctx, stop := context.WithTimeout(context.Background(), s.config.InitTimeout)
	unhook := context.AfterFunc(ctx, func() { s.giveUp(in, &InitError{ErrTimeout}) })
	s.beginInit(in, stop)
	var made product
	err := ErrExited // unless Init returns
	defer func() {   // also where Init ends the goroutine
		unhook()
		stop()
		s.finishInit(in, made, err)
	}()
	made.handler, made.closer, err = s.config.Init(ctx)
	if err == nil && made.handler == nil {
		err = ErrNothing
	}
}

// beginInit lets abandon stop the init. If the instance was abandoned before its
// goroutine got here, it stops the init at once. s.mu must not be held.
func (s *Set) beginInit(in *Instance, stop context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.stop = stop
	if in.phase == dropped {
		stop()
	}
}

// finishInit takes what an init has opened, or its error. s.mu must not be held.
func (s *Set) finishInit(in *Instance, made product, err error) {
	defer s.config.Ended() // after the unlock
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case in.phase == dropped: // giveUp or abandon came first, and counted it in s.closing
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

// open puts an instance into service: first for the calls that claimed it, then for
// the others that wait. s.mu must be held.
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

// fail drops an instance whose init has failed, and the calls that claimed it fail
// with it. If it was the last instance, all other calls that wait fail too: there is
// none whose seat could come free, and none may be started during the pause. s.mu
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

// removeStarting takes an instance off the list s.starting, and its unclaimed seats
// out of s.unclaimed. The last of the list takes its place. s.mu must be held.
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
	if s.failures < 9 { // the shift must not overflow, and is over maxBackoff from 9 on
		pause = min(firstBackoff<<s.failures, maxBackoff)
	}
	s.failures++
	s.failing.Store(true)
	s.failure = err
	s.retryAt = s.config.Now() + int64(pause)
}

// initBackoff returns for how long no init may begin; 0: one may. s.mu must be held.
func (s *Set) initBackoff() time.Duration {
	if s.failures == 0 {
		return 0
	}
	return time.Duration(max(0, s.retryAt-s.config.Now()))
}

// InitBackoff tells whether a call can be refused at once: there is no instance, the
// last init failed, and the next may begin only after retry. err is that failure, an
// *InitError. If retry is 0, the call should Acquire. It takes no lock as long as
// inits succeed.
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
	missing int        // so many have still to become ready
	reached chan error // has a buffer of one, so that the answer is sent under s.mu without a wait
}

// Provision raises the target to n, and starts the instances that are missing. It
// returns nil when they are ready, an *InitError when one could not be opened, and
// ErrRemoved or ErrClosed when Retire was called. One Provision at a time may run.
func (s *Set) Provision(n int) error {
	return <-s.startMinimum(n).reached
}

func (s *Set) startMinimum(n int) *minimum {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &minimum{missing: n - s.ready, reached: make(chan error, 1)} // calls that came before may have had some started
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
