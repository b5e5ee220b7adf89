package faashttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// Server is an [http.Server] that has every time limit set, listens on loopback
// unless told otherwise, and ends in good order together with its router.
//
// A page must not call what listens on its reader's loopback. So what a browser
// sends from another site's page is refused (see [WithOrigins]), and on loopback
// connections what is for another host (see [WithHosts]), whatever route it is for.
//
// Make one with [NewServer]. Its methods may be called concurrently.
type Server struct {
	router   *faas.Router
	door     door
	http     http.Server
	addr     string
	drain    time.Duration
	lameDuck time.Duration
	drainers []func(ctx context.Context) error
	state    serverState

	mu       sync.Mutex // guards what follows
	listener net.Listener
}

// ServerOption is an option of [NewServer]. Nil options are ignored.
type ServerOption interface{ applyServer(*Server) }

type serverOption func(*Server)

func (o serverOption) applyServer(s *Server) { o(s) }

// WithAddr sets where the server listens, as host:port. Without a host it is
// 127.0.0.1: to be reached from elsewhere, name an address, "0.0.0.0:9000" for
// all. Default 127.0.0.1:9000. Port 0 takes a free one.
func WithAddr(addr string) ServerOption { return serverOption(func(s *Server) { s.addr = addr }) }

// WithDrain sets how long [Server.Run] gives calls in flight when its context
// has ended. Default 30 s.
func WithDrain(d time.Duration) ServerOption { return serverOption(func(s *Server) { s.drain = d }) }

// WithLameDuck sets how long a server that has been told to end goes on serving
// with its readiness off, so that load balancers look elsewhere before its door
// closes. Default 0. It comes out of the time to drain.
func WithLameDuck(d time.Duration) ServerOption {
	return serverOption(func(s *Server) { s.lameDuck = d })
}

// WithDrainer adds what is to be drained once no request is left and before the
// router shuts down, such as [Lambda.Shutdown].
func WithDrainer(f func(ctx context.Context) error) ServerOption {
	return serverOption(func(s *Server) {
		if f != nil {
			s.drainers = append(s.drainers, f)
		}
	})
}

// WithTuning lets f change the server underneath, its time limits for one,
// before it serves. Handler, BaseContext and Addr are set already, and are to
// be left alone.
func WithTuning(f func(s *http.Server)) ServerOption {
	return serverOption(func(s *Server) {
		if f != nil {
			f(&s.http)
		}
	})
}

// NewServer returns a server of h, or of [Handler](r) if h is nil, that ends
// together with r. It does not listen yet. It panics, and names the cure, if an
// option is impossible.
func NewServer(r *faas.Router, h http.Handler, opts ...ServerOption) *Server {
	if h == nil {
		h = Handler(r)
	}
	s := &Server{router: r, addr: "127.0.0.1:9000", drain: 30 * time.Second}
	s.http = http.Server{
		Handler:           s.guard(h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second, // for other routes: the handlers of this package set their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), serverKey{}, &s.state)
		},
	}
	for _, o := range opts {
		if o != nil {
			o.applyServer(s)
		}
	}
	s.door.prepare("NewServer")
	return s
}

// guard keeps the server's door before all of its routes.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.door.checks(w, r, isLoopback(r.Context(), r), func(p *Problem) { p.ServeHTTP(w, r) }) {
			h.ServeHTTP(w, r)
		}
	})
}

// Listen opens the server's port and returns its address. Run does it too;
// only who wants to know the address first calls Listen. It is idempotent.
func (s *Server) Listen() (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return nil, err
		}
		if host == "" {
			host = "127.0.0.1"
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		s.listener = l
	}
	return s.listener.Addr(), nil
}

// Run listens and serves until ctx ends, and then drains for as long as
// [WithDrain] says. It is nil if everything has ended well; otherwise it says
// what could not be served, drained or flushed.
func (s *Server) Run(ctx context.Context) error {
	if _, err := s.Listen(); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	return s.serve(ctx, l)
}

func (s *Server) serve(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(l) }()
	var serveErr error
	select {
	case serveErr = <-served:
		served <- nil
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	err := s.Shutdown(end)
	<-served
	if errors.Is(serveErr, http.ErrServerClosed) { // somebody else has called Shutdown
		serveErr = nil
	}
	return errors.Join(serveErr, err)
}

// cancelGrace is how long clients whose calls were cut off at the end of a drain
// have to take the news.
const cancelGrace = time.Second

// Shutdown ends the server and its router in this order: readiness goes off,
// the door closes, requests in flight end, the drainers run, the router shuts
// down. When ctx ends first, calls that run are canceled and their callers
// told, and the error says what had not ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.state.draining.Store(true)
	if s.lameDuck > 0 {
		pause(ctx, s.lameDuck)
	}
	var errs []error
	drained := s.http.Shutdown(ctx)
	for _, f := range s.drainers {
		errs = append(errs, f(ctx))
	}
	errs = append(errs, s.router.Shutdown(ctx))
	if drained != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
		defer cancel()
		if s.http.Shutdown(last) != nil {
			errs = append(errs, drained, s.http.Close())
		}
	}
	return errors.Join(errs...)
}

// pause waits, and is cut short by ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
