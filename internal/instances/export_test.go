package instances

import "fmt"

// Waiting returns how many calls wait for a seat.
func (s *Set) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.Len()
}

// Check returns an error if the state of s is inconsistent, or nil. It may be called at any
// time: each section with s.mu held leaves a consistent state.
func (s *Set) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkStarting(); err != nil {
		return err
	}
	if err := s.checkFree(); err != nil {
		return err
	}
	if s.live < len(s.starting)+s.ready || s.ready < s.free.Len() || s.closing < 0 {
		return fmt.Errorf("%d live, %d starting, %d ready, %d with free seats, %d closing", s.live, len(s.starting), s.ready, s.free.Len(), s.closing)
	}
	if s.failing.Load() != (s.failures > 0) {
		return fmt.Errorf("failing is %v after %d failures", s.failing.Load(), s.failures)
	}
	return s.checkWaiting()
}

func (s *Set) checkStarting() error {
	unclaimed := 0
	for i, in := range s.starting {
		unclaimed += s.config.Seats - len(in.claims)
		if in.phase != starting || in.at != i || in.calls != 0 || in.handler != nil || len(in.claims) > s.config.Seats {
			return fmt.Errorf("the starting instance %d is out of order: %+v", i, in)
		}
	}
	if unclaimed != s.unclaimed {
		return fmt.Errorf("%d seats are unclaimed, and %d are counted", unclaimed, s.unclaimed)
	}
	return nil
}

func (s *Set) checkFree() error {
	for e := s.free.Front(); e != nil; e = e.Next() {
		in, _ := e.Value.(*Instance)
		if in.phase != ready || in.free != e || in.calls < 0 || in.calls >= s.config.Seats || in.handler == nil {
			return fmt.Errorf("an instance is listed as free and is out of order: %+v", in)
		}
	}
	return nil
}

// checkWaiting returns an error if a call waits in vain: while an instance has a free
// seat, or while there is no instance at all.
func (s *Set) checkWaiting() error {
	if s.waiting.Len() > 0 && (s.free.Len() > 0 || s.closed || s.live == 0) {
		return fmt.Errorf("%d calls wait, %d instances have free seats, %d live, closed: %v", s.waiting.Len(), s.free.Len(), s.live, s.closed)
	}
	for e := s.waiting.Front(); e != nil; e = e.Next() {
		if w, _ := e.Value.(*waiter); w.line != e {
			return fmt.Errorf("a waiter is out of line: %+v", w)
		}
	}
	return nil
}
