package faashttp

import (
	"context"
	"errors"
	"net"
	"time"
)

// cancelGrace is how long clients have to receive their answers after the router has canceled
// their calls.
const cancelGrace = time.Second

// Shutdown ends the server and its router in this order: /readyz answers 503, the port closes,
// requests in flight end, the drainers run, the router shuts down. It calls
// [faas.Router.Shutdown], which ends all servers of the router at the same time. So the order
// is the same if another part of the program calls [faas.Router.Shutdown]. Shutdown may be
// called several times and concurrently: the server ends once, and each caller gets the errors
// of that end.
//
// If ctx ends first, the router cancels the calls that still run, and their clients get an
// answer. Shutdown then waits up to a second longer for these answers, and up to another second
// for the drainers. The error says what had not ended. A hook of the router must not call
// Shutdown, which would wait for that hook: there Shutdown returns an error that Is
// [faas.ErrInput].
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	if s.attach() != nil { // the router is closed, and will not call endRequests
		err = s.endRequests(ctx)
	}
	return s.finish(errors.Join(err, s.router.Shutdown(ctx)))
}

// attach makes the router call endRequests when the router shuts down. It returns an error if
// the router is shutting down or has shut down.
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

// endRequests closes the port, waits for the requests, and runs the drainers. Only the first
// call does this. Other calls wait for the first until ctx ends. The first call closes
// s.drained however it ends: by return, panic or Goexit.
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

// awaitRequests closes the port and waits for the requests. If ctx ends first, the router's
// Shutdown stops waiting for this function and cancels the calls. Then the requests have
// cancelGrace to be answered, and awaitRequests closes the connections of the rest.
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

// closeListener closes a port that Listen has opened and Serve has not served yet:
// [http.Server.Shutdown] closes only ports that were given to Serve.
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

// finish ends a Shutdown; err is the result of the router's Shutdown. finish waits until
// endRequests has returned, because the router's Shutdown stops waiting when its context ends.
// endRequests then has cancelGrace to answer its requests, and cancelGrace again for its
// drainers. finish adds the error of endRequests to err, unless err contains it already.
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
	case <-limit.C: // err, from the router, says that endRequests has not returned
	}
	return err
}

// lastContext returns the context of the Shutdown that Run calls. It ends s.drain after ctx has
// ended. If Serve has failed before that, it ends s.drain from now. If another Shutdown has
// closed the port, it also ends cancelGrace after the context of that Shutdown has. It waits
// for cancelGrace because a program often ends that context as soon as its Shutdown has
// returned, and this must not cut off the Shutdown of Run.
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
