package faashttp

import (
	"context"
	"errors"
	"net"
	"time"
)

// cancelGrace is how long clients have to receive their answers after the router has
// canceled their calls.
const cancelGrace = time.Second

// Shutdown ends the server and its router in this order: readiness goes off, the
// port closes, requests in flight end, the drainers run, the router shuts down. It does so
// by calling [faas.Router.Shutdown], which ends all servers of the router at the same
// time: the order is the same if another part of the program calls that. The server ends
// once, however many call, and each caller gets its errors.
//
// If ctx ends first, the router cancels the calls that run. Their clients get an answer:
// Shutdown waits up to a second longer for them, and up to another for the drainers. The
// error says what had not ended. A hook of the router must not call Shutdown: it would
// wait for itself, so the error Is [faas.ErrInput] there, as the router's is.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	if s.attach() != nil { // the router is closed, and will not call endRequests
		err = s.endRequests(ctx)
	}
	return s.finish(errors.Join(err, s.router.Shutdown(ctx)))
}

// attach has the router call endRequests when it shuts down. Its error says that the
// router is about to, or has.
func (s *Server) attach() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached {
		return nil
	}
	addr := s.addr
	if s.listener != nil {
		addr = s.listener.Addr().String()
	}
	_, err := s.router.OnShutdown("faashttp.Server "+addr, s.endRequests)
	s.attached = err == nil
	return err
}

// endRequests takes the server from the network, waits for its requests, and runs the
// drainers. It closes s.drained by return, panic and Goexit alike. Only the first call
// does all that; the others wait for it until ctx ends.
func (s *Server) endRequests(ctx context.Context) error {
	if !s.beginDraining(ctx) {
		select {
		case <-s.drained:
			return s.drainErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(s.drained)
	s.state.draining.Store(true)
	if s.lameDuck > 0 {
		pause(ctx, s.lameDuck)
	}
	errs := []error{s.awaitRequests(ctx), s.closeListener()}
	for _, f := range s.drainers {
		errs = append(errs, f(ctx))
	}
	s.drainErr = errors.Join(errs...)
	return s.drainErr
}

// awaitRequests closes the port and waits for the requests. When ctx ends, the router's
// Shutdown no longer waits for this function, and cancels their calls: those that are
// not answered cancelGrace later are cut off.
func (s *Server) awaitRequests(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	if s.http.Shutdown(last) != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

func (s *Server) beginDraining(ctx context.Context) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining != nil {
		return false
	}
	s.draining = ctx
	return true
}

// closeListener closes a port that is open but not served yet. [http.Server.Shutdown]
// closes only the ports that Serve has been called with.
func (s *Server) closeListener() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// finish completes a Shutdown after that of the router has returned err. It waits until
// endRequests has returned, because the router's Shutdown stops waiting when its context
// ends. endRequests then has cancelGrace to answer its requests, and as long again for
// its drainers. finish adds the error of endRequests, unless err has it already.
func (s *Server) finish(err error) error {
	s.mu.Lock()
	begun := s.draining != nil
	s.mu.Unlock()
	if !begun {
		return err // the router's Shutdown was refused: a hook has called it
	}
	limit := time.NewTimer(2 * cancelGrace)
	defer limit.Stop()
	select {
	case <-s.drained:
		if s.drainErr != nil && !errors.Is(err, s.drainErr) {
			return errors.Join(err, s.drainErr)
		}
	case <-limit.C: // err says that the server's function has not returned
	}
	return err
}

// lastContext returns the context of Run's Shutdown. It ends WithDrain's time after ctx
// has ended or, if Serve has failed before that, WithDrain's time from now. If another
// Shutdown has closed the port, it also ends when the context of that one has, cancelGrace
// later: a program often ends that context as soon as its Shutdown has returned, and this
// must not cut Run's Shutdown off.
func (s *Server) lastContext(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	other := s.draining
	s.mu.Unlock()
	if other == nil || ctx.Err() != nil {
		return context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	}
	last, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	endAfter := func(end context.Context, d time.Duration) (stop func() bool) {
		return context.AfterFunc(end, func() {
			pause(last, d)
			cancel(context.DeadlineExceeded)
		})
	}
	stopOther, stopOwn := endAfter(other, cancelGrace), endAfter(ctx, s.drain)
	return last, func() {
		stopOther()
		stopOwn()
		cancel(nil)
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
