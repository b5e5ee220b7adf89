package instances

import (
	"container/list"
	"slices"
)

// Grant is what Acquire returns.
type Grant struct {
	Instance *Instance // the call has a seat in this instance; nil: see Err
	// Cold is true if the call waited for an instance that was started for it, and got a seat in
	// that instance, or an error because its init failed.
	Cold bool
	Err  error // ErrLeft, ErrClosed, or an *InitError; nil if Instance is set
}

// waiter is a call that waits for a seat.
type waiter struct {
	granted chan Grant    // has a buffer of one, so that the answer is sent with s.mu held, without a wait
	line    *list.Element // the waiter's place in Set.waiting; nil: it has its answer
	claimed *Instance     // the instance that is or was being started for it; nil: it waits for a seat that becomes free
}

// Acquire takes a seat for a call, and waits for one if none is free; waited reports
// whether it did. Each Grant with an Instance must be given back by one Release.
//
// A call that waits gets the first seat that becomes free, or a seat in the instance that
// is started for it. Calls are served in the order of arrival. The wait ends with
// ErrLeft when done is closed; if done is nil, the wait has no such end. If the instance that
// was started for the call fails, the call fails with the same error. If no instance is left and
// none may be started (during a pause after a failure, see InitBackoff), all calls that wait
// fail.
func (s *Set) Acquire(done <-chan struct{}) (g Grant, waited bool) {
	in, w := s.takeOrWait()
	if w == nil {
		return Grant{Instance: in}, false
	}
	return s.await(done, w), true
}

// takeOrWait takes a free seat. If there is none, it returns a waiter instead.
func (s *Set) takeOrWait() (*Instance, *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.warmest(); in != nil {
		s.take(in)
		return in, nil
	}
	w := &waiter{granted: make(chan Grant, 1)}
	w.line = s.waiting.PushBack(w)
	s.claimFor(w)
	return nil, w
}

// await is a separate function from awaitEither because a select needs a larger stack frame
// than a receive. A goroutine that has just begun has a small stack, which the receive need not grow.
func (s *Set) await(done <-chan struct{}, w *waiter) Grant {
	if done == nil {
		return <-w.granted
	}
	return s.awaitEither(done, w)
}

func (s *Set) awaitEither(done <-chan struct{}, w *waiter) Grant {
	select {
	case g := <-w.granted:
		return g
	case <-done:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// If a grant was sent before the lock was taken, answer does nothing, and the
	// call gets that seat: the caller must release it like any other.
	s.answer(w, Grant{Err: ErrLeft})
	return <-w.granted
}

// Join takes a seat for a nested call in the instance `in`, in which a call above it has a
// seat. `in` is the instance that Acquire granted to that call. Join takes a seat even if all
// seats are taken, because the call above waits meanwhile. If the nested call
// waited for a seat instead, it could wait for its own caller.
//
// Join returns false if `in` was dropped, because the call above has ended. Then the call is
// no longer nested, and should Acquire. A seat that was joined must be given back by Release.
func (s *Set) Join(in *Instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.phase == dropped {
		return false
	}
	s.take(in)
	return true
}

// Release gives a seat back at the time now. If spent is true, the instance must not be used
// again, for example because its handler panicked and its state is unknown. Then the instance
// drains, and is closed after its last call.
func (s *Set) Release(in *Instance, spent bool, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.calls--
	in.rested = now
	if spent && in.phase == ready {
		s.drain(in)
	}
	if in.phase == draining {
		if in.calls == 0 {
			s.drop(in)
		}
		// A call may wait because the limit allowed no more instances. If the instance was
		// dropped, there is room for another one.
		s.startForWaiters()
		return
	}
	s.offer(in)
	s.dropIdle(now)
}

// warmest returns the instance with a free seat that was used last, or nil. s.mu
// must be held.
func (s *Set) warmest() *Instance {
	if e := s.free.Back(); e != nil {
		in, _ := e.Value.(*Instance)
		return in
	}
	return nil
}

// take counts a call that takes a seat of the instance. s.mu must be held.
func (s *Set) take(in *Instance) {
	in.calls++
	if in.calls >= s.config.Seats {
		s.hideFree(in)
	}
}

// hideFree removes the instance from the list s.free, if it is there. s.mu must be
// held.
func (s *Set) hideFree(in *Instance) {
	if in.free != nil {
		s.free.Remove(in.free)
		in.free = nil
	}
}

// offer gives the free seats of a ready instance to the calls that have waited longest. If
// seats are left, it puts the instance at the back of s.free, as the one used last. s.mu must be held.
func (s *Set) offer(in *Instance) {
	for in.calls < s.config.Seats && s.waiting.Len() > 0 {
		in.calls++
		s.answer(s.firstWaiter(), Grant{Instance: in})
	}
	s.hideFree(in)
	if in.calls < s.config.Seats {
		in.free = s.free.PushBack(in)
	}
}

// firstWaiter returns the waiter that came first; there must be one. s.mu must be
// held.
func (s *Set) firstWaiter() *waiter {
	w, _ := s.waiting.Front().Value.(*waiter)
	return w
}

// answer ends a wait; if w already has its answer, it does nothing. If w has claimed a seat in
// a starting instance, another waiter may claim that seat. s.mu must be held.
func (s *Set) answer(w *waiter, with Grant) {
	if w.line == nil {
		return
	}
	s.waiting.Remove(w.line)
	w.line = nil
	if m := w.claimed; m != nil {
		if i := slices.Index(m.claims, w); i >= 0 {
			m.claims = slices.Delete(m.claims, i, i+1)
			if m.phase == starting {
				s.unclaimed++
			}
		}
	}
	w.granted <- with
}

// claimFor claims a seat in a starting instance for w. If all seats of the starting instances
// are claimed, it starts one more. If it may not start one, w waits for a seat that becomes free;
// but if there is no instance at all, w gets the error of the last failure. s.mu must
// be held.
func (s *Set) claimFor(w *waiter) {
	if in := s.startingUnclaimed(); in != nil {
		s.claim(in, w)
		return
	}
	switch {
	case s.closed:
		s.answer(w, Grant{Err: ErrClosed})
	case s.live < s.config.Limit() && s.initBackoff() == 0:
		s.claim(s.start(), w)
	case s.live == 0:
		s.answer(w, Grant{Cold: true, Err: s.failure})
	}
}

// startingUnclaimed returns a starting instance with an unclaimed seat, or nil. The
// counter s.unclaimed avoids a useless search: in a burst of 1,000 calls, each call claims an
// instance of its own, and would search through all the others. s.mu must be held.
func (s *Set) startingUnclaimed() *Instance {
	if s.unclaimed == 0 {
		return nil
	}
	i := slices.IndexFunc(s.starting, func(in *Instance) bool { return len(in.claims) < s.config.Seats })
	return s.starting[i]
}

// claim gives w an unclaimed seat of a starting instance. s.mu must be held.
func (s *Set) claim(in *Instance, w *waiter) {
	w.claimed = in
	in.claims = append(in.claims, w)
	s.unclaimed--
}

// startForWaiters starts instances for calls that wait without a claim. This may be possible
// because, since these calls came, instances have ended or the limit has risen. It also starts
// instances for a minimum that Provision waits for. s.mu must be held.
func (s *Set) startForWaiters() {
	for e := s.waiting.Front(); e != nil; {
		next := e.Next() // claimFor may remove e
		if w, _ := e.Value.(*waiter); w.claimed == nil {
			s.claimFor(w)
		}
		e = next
	}
	for m := s.minimum; m != nil && len(s.starting) < m.missing && s.live < s.config.Limit(); {
		s.start()
	}
}
