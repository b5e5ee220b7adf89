package instances

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrClosed is the error for calls and for Provision after Retire(true).
	ErrClosed = errors.New("the instances are closed")
	// ErrRemoved is the error for Provision after Retire(false).
	ErrRemoved = errors.New("the function was removed")
	// ErrLeft is the error for a call whose done channel was closed before it got
	// a seat.
	ErrLeft = errors.New("the caller has left")
)

// Closer closes an instance; a nil Closer closes nothing.
type Closer = func(context.Context) error

// Config is what a Set needs from its owner. All funcs must be set, and must be
// safe for concurrent use. Limit and Now are called with the lock of the Set held, so these two
// must not block, and must not call the Set. The other funcs are called without the lock.
type Config struct {
	// Init opens an instance. It is called on a goroutine of its own. ctx ends
	// after InitTimeout, or when the instance is no longer needed; it has no
	// values. Init may end its goroutine (runtime.Goexit), but must not panic.
	Init func(ctx context.Context) (handler any, closer Closer, err error)
	// Close calls closer, which Init returned, on a goroutine of its own. ctx ends
	// after InitTimeout. Close may end its goroutine, but must not panic: it has to
	// recover a panic of closer, and has to report closer's error itself.
	Close func(ctx context.Context, closer Closer)
	// Ended is called each time an init or a Close is over, at the end of its
	// goroutine. By then Busy does not count it.
	Ended func()
	// Limit returns how many instances there may be. It may change. After it has risen,
	// the next Release or Scale starts what waiting calls need.
	Limit func() int
	// Now returns the time of a monotonic clock, in nanoseconds.
	Now func() int64

	Seats       int           // of each instance, 1 or more: how many calls may run in it at once
	InitTimeout time.Duration // how long Init may take; positive
	KeepAlive   time.Duration // how long an instance must be idle before Scale or Release drops it; 0: it is dropped at once
}

// Instance is what calls run on. A call that has a seat in it may use its Handler. All other
// parts of it belong to the Set.
//
// s.mu of its Set guards all fields, with one exception: a call with a seat
// reads handler without the lock. That is safe because handler is written before
// the first seat is granted (the grant passes through s.mu or a channel), and is
// cleared after the last seat was released (with s.mu held).
type Instance struct {
	product // zero in the phases starting and dropped

	stop   context.CancelFunc // ends the context of the init; nil: the init has not begun
	calls  int                // seats that are taken
	claims []*waiter          // the calls for which this instance is being started; at most Seats
	at     int                // the instance's index in Set.starting
	free   *list.Element      // the instance's place in Set.free; nil: it is full, or not ready
	phase  phase
	rested int64 // when the last call ended, as a time of Config.Now
}

// product is what Init returned.
type product struct {
	handler any
	closer  Closer
}

// Handler returns the handler that Init made. Only a call that has a seat in the
// instance may call it.
func (in *Instance) Handler() any { return in.handler }

// phase is the state of an instance; doc.go has the diagram.
type phase uint8

const (
	starting phase = iota
	ready
	draining // gets no more calls; it is dropped when its present calls are over
	dropped  // it is closed or being closed, or its init has failed or was given up
)

// Set has the instances of one function. It starts goroutines for inits and for
// closing, and for nothing else: a Set without instances costs only its memory. To end
// it, call Retire(true), and wait until Busy is false. All methods may be called
// concurrently.
type Set struct {
	config Config

	// failing has the value of failures > 0. It is written with mu held, and read without it, so
	// that InitBackoff takes no lock as long as inits succeed.
	failing atomic.Bool
	// target is how many instances there should be. SetTarget stores it without mu, so
	// that a call that raises it need not wait for the lock. Code with mu held loads it
	// when it has to decide; it need not be consistent with the other fields.
	target atomic.Int64

	mu        sync.Mutex  // guards the fields below, and the fields of all instances
	free      list.List   // of *Instance: the ready ones with a free seat; the one that was used last is at the back
	waiting   list.List   // of *waiter, in the order of arrival
	starting  []*Instance // in no order
	unclaimed int         // seats of starting instances that no waiter has claimed
	live      int         // instances that are starting, ready or draining
	ready     int         // instances that are ready
	closing   int         // goroutines that close an instance, and inits that were given up and still run
	removed   bool        // Retire was called: idle instances go at once
	closed    bool        // Retire(true) was called: no instance is started any more
	minimum   *minimum    // what Provision waits for, or nil

	failures int   // how many inits in a row have failed
	failure  error // the error of the last failed init
	retryAt  int64 // no init begins before this time of Config.Now
}

// New returns a Set without instances, whose target is 0.
func New(c Config) *Set { return &Set{config: c} }

// SetTarget sets how many instances there should be. It neither starts nor drops
// any: if a call needs one more, Acquire starts it. SetTarget takes no lock.
func (s *Set) SetTarget(n int) { s.target.Store(int64(n)) }

// Scale sets how many instances there should be. It starts missing ones until there are n,
// or atMost if that is fewer. If there are more than n, it drops those that have been idle
// for KeepAlive, beginning with the one that was used longest ago. Instances in use are dropped
// later: when they are released, or with the next Scale. After Retire, n has to be 0.
func (s *Set) Scale(n, atMost int, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target.Store(int64(n))
	s.startForWaiters()
	for s.live < min(n, atMost, s.config.Limit()) && !s.closed && s.initBackoff() == 0 {
		s.start()
	}
	s.dropIdle(now)
}

// Retire drops all instances, each when its last call has ended, and stops the
// inits that no call waits for. If closed is true, it also stops all other inits, calls that
// wait get ErrClosed, and so do later calls, unless an instance has a free seat.
// After Retire(false), Retire(true) may be called. Retire does not wait: see Busy.
func (s *Set) Retire(closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target.Store(0)
	s.removed, s.closed = true, s.closed || closed
	s.answerMinimum(s.whyRetired())
	for closed && s.waiting.Len() > 0 {
		s.answer(s.firstWaiter(), Grant{Err: ErrClosed})
	}
	// First, calls that wait without a claim get a claim on seats of starting instances.
	// Only then is it known which of these instances no call waits for.
	s.startForWaiters()
	for _, in := range slices.Clone(s.starting) {
		if len(in.claims) == 0 {
			s.abandon(in)
		}
	}
	s.dropIdle(0)
}

func (s *Set) whyRetired() error {
	if s.closed {
		return ErrClosed
	}
	return ErrRemoved
}

// Busy reports whether an init or a Close runs, including those that were given up.
func (s *Set) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing+len(s.starting) > 0
}

// Count returns how many instances there are, including starting and draining ones,
// and how many of them are ready.
func (s *Set) Count() (live, ready int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live, s.ready
}

// dropIdle drops idle instances as long as there are more instances than the target. s.mu must
// be held.
func (s *Set) dropIdle(now int64) {
	for int64(s.live) > s.target.Load() {
		in := s.coldestIdle()
		if in == nil || !s.removed && now-in.rested < int64(s.config.KeepAlive) {
			return
		}
		s.drop(in)
	}
}

// coldestIdle returns the instance without a call that was used longest ago, or
// nil. If instances have several seats, some that are in use may come before it in s.free. s.mu
// must be held.
func (s *Set) coldestIdle() *Instance {
	for e := s.free.Front(); e != nil; e = e.Next() {
		if in, _ := e.Value.(*Instance); in.calls == 0 {
			return in
		}
	}
	return nil
}

// drain takes a ready instance out of service: it gets no more calls. s.mu must be held.
func (s *Set) drain(in *Instance) {
	in.phase = draining
	s.ready--
	s.hideFree(in)
}

// drop ends an instance that is ready or draining and has no call, and closes it.
// s.mu must be held.
func (s *Set) drop(in *Instance) {
	if in.phase == ready {
		s.drain(in)
	}
	in.phase = dropped
	s.live--
	s.closeInstance(in.product)
	// A handler may keep the context of its call, which points to the instance. The
	// product is cleared so that such a context does not keep it in memory.
	in.product = product{}
}

// closeInstance starts the goroutine that closes what an init has opened. Each product is passed
// to it at most once: drop clears the instance's product after the call, and finishInit
// passes a product that no instance has. s.mu must be held.
func (s *Set) closeInstance(p product) {
	if p.closer != nil {
		s.closing++
		go s.runCloser(p.closer)
	}
}

// runCloser is the goroutine that closes one instance. s.mu must not be held.
func (s *Set) runCloser(closer Closer) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.InitTimeout)
	defer func() { // runs also if closer ends the goroutine
		cancel()
		s.mu.Lock()
		s.closing--
		s.mu.Unlock()
		s.config.Ended()
	}()
	s.config.Close(ctx, closer)
}
