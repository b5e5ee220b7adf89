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
	// ErrClosed is the answer to calls and to Provision after Retire(true).
	ErrClosed = errors.New("the instances are closed")
	// ErrRemoved is the answer to Provision after Retire(false).
	ErrRemoved = errors.New("it was removed")
	// ErrLeft is the answer to a call whose done channel was closed before it got
	// a seat.
	ErrLeft = errors.New("the caller has left")
)

// Closer closes an instance; nil closes nothing.
type Closer = func(context.Context) error

// Config is what a Set is given by its owner. All funcs must be set, and must be
// safe for concurrent use. They are called without the lock of the Set, except Limit
// and Now, which are called with it: these two must not block, and must not call
// the Set.
type Config struct {
	// Init opens an instance. It is called on a goroutine of its own. ctx ends
	// after InitTimeout, or when the instance is not needed any more; it has no
	// values. Init may end its goroutine (runtime.Goexit), but must not panic.
	Init func(ctx context.Context) (handler any, closer Closer, err error)
	// Close runs closer, which Init returned, on a goroutine of its own. ctx ends
	// after InitTimeout. Close may end its goroutine, but must not panic: it has to
	// recover from what closer does, and has to report closer's error itself.
	Close func(ctx context.Context, closer Closer)
	// Ended is called each time when an init or a Close is over, at the end of its
	// goroutine. Busy does not count it any more then.
	Ended func()
	// Limit returns how many instances there may be. It may change: after it rose,
	// the next Release or Scale starts what waiting calls need.
	Limit func() int
	// Now is a monotonic clock, in nanoseconds.
	Now func() int64

	Seats       int           // of each instance, 1 or more: so many calls may run in it at once
	InitTimeout time.Duration // how long Init may take; positive
	KeepAlive   time.Duration // how long an instance is idle before Scale or Release drops it; 0: not at all
}

// Instance is a place where calls run. A call that has a seat in it may use its
// Handler; all else belongs to the Set.
//
// s.mu of its Set guards all fields. There is one exception: a call with a seat
// reads handler without the lock. That is safe because handler is written before
// the first seat is granted (the grant passes through s.mu or a channel), and is
// cleared after the last seat was released (under s.mu).
type Instance struct {
	product // zero while starting, and again once dropped

	stop   context.CancelFunc // ends the context of its init; nil: the init has not begun
	calls  int                // seats that are taken
	claims []*waiter          // calls that it is being started for; at most Seats
	at     int                // its index in Set.starting
	free   *list.Element      // its place in Set.free; nil: full, or not ready
	phase  phase
	rested int64 // when its last call ended, on Config.Now
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
	draining // takes no more calls; is dropped when those that it has are over
	dropped  // is closed or being closed, or its init has failed or was given up
)

// Set is the instances of one function. It starts goroutines for inits and for
// closing, and nothing else: a Set without instances costs only its memory. To end
// it, call Retire(true), and wait until Busy is false. All methods may be called
// concurrently.
type Set struct {
	config Config

	// failing mirrors failures > 0. It is written under mu, and read without it, so
	// that InitBackoff takes no lock while all is well.
	failing atomic.Bool
	// target is how many instances there should be. SetTarget stores it without mu,
	// so that a call that raises it need not wait for the lock. Code under mu reads
	// it when it has to decide; it need not be consistent with the other fields.
	target atomic.Int64

	mu        sync.Mutex  // guards what follows, and the fields of all instances
	free      list.List   // of *Instance: ready, with a free seat; the one used last at the back
	waiting   list.List   // of *waiter, in the order of arrival
	starting  []*Instance // in no order
	unclaimed int         // seats of starting instances that no waiter has claimed
	live      int         // instances that are starting, ready or draining
	ready     int         // instances that are ready
	closing   int         // goroutines that close an instance, and inits that were given up and still run
	removed   bool        // Retire was called: idle instances go at once
	closed    bool        // Retire(true) was called: no instance is started any more
	minimum   *minimum    // what Provision waits for, or nil

	failures int   // inits that failed since one succeeded
	failure  error // the error of the last one
	retryAt  int64 // no init begins before, on Config.Now
}

// New returns a Set without instances, whose target is 0.
func New(c Config) *Set { return &Set{config: c} }

// SetTarget sets how many instances there should be, and neither starts nor drops
// any: a call that needs one more has it started by Acquire. It takes no lock.
func (s *Set) SetTarget(n int) { s.target.Store(int64(n)) }

// Scale sets how many instances there should be. It starts missing ones until there are n,
// or atMost if that is fewer. It drops those above n that have been idle
// for KeepAlive, the coldest first. Those that are in use go later: when they are
// released, or with the next Scale. After Retire, n has to be 0.
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
// inits that no call waits for. With closed, the calls that wait get ErrClosed, as do
// those that come later unless an instance has a free seat, and all inits are stopped.
// A second Retire may add closed to the first. Retire does not wait: see Busy.
func (s *Set) Retire(closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target.Store(0)
	s.removed, s.closed = true, s.closed || closed
	s.answerMinimum(s.whyRetired())
	for closed && s.waiting.Len() > 0 {
		s.answer(s.firstWaiter(), Grant{Err: ErrClosed})
	}
	// First the calls that wait without a claim get a claim on seats of instances that are starting.
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

// Busy reports whether an init or a Close runs, those included that were given up.
func (s *Set) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing+len(s.starting) > 0
}

// Count returns how many instances there are, starting and draining ones included,
// and how many of them are ready.
func (s *Set) Count() (live, ready int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live, s.ready
}

// dropIdle drops idle instances while there are more than the target. s.mu must be
// held.
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
// nil. With several seats, instances in use can stand before it in s.free. s.mu must
// be held.
func (s *Set) coldestIdle() *Instance {
	for e := s.free.Front(); e != nil; e = e.Next() {
		if in, _ := e.Value.(*Instance); in.calls == 0 {
			return in
		}
	}
	return nil
}

// drain takes a ready instance out of use. s.mu must be held.
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

// closeInstance starts the goroutine that closes what an init has opened. Each
// product is passed here once at most: drop clears that of its instance after the call, and
// finishInit passes one that no instance has. s.mu must be held.
func (s *Set) closeInstance(p product) {
	if p.closer != nil {
		s.closing++
		go s.runCloser(p.closer)
	}
}

// runCloser is the goroutine that closes one instance. s.mu must not be held.
func (s *Set) runCloser(closer Closer) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.InitTimeout)
	defer func() { // also where closer ends the goroutine
		cancel()
		s.mu.Lock()
		s.closing--
		s.mu.Unlock()
		s.config.Ended()
	}()
	s.config.Close(ctx, closer)
}
