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
// unless told otherwise, and drains together with its router.
//
// Pages of other sites must not call what listens on their reader's loopback
// address. So a server refuses what a browser sends from another site's page (see
// [WithOrigins]), and on loopback connections also what is for another host (see
// [WithHosts]), on every route.
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

	mu       sync.Mutex   // guards listener; never held while serving
	listener net.Listener // nil until Listen
}

// ServerOption is an option of [NewServer]. Nil options are ignored.
type ServerOption interface{ applyServer(*Server) }

type serverOption func(*Server)

func (o serverOption) applyServer(s *Server) { o(s) }

// WithAddr sets where the server listens, as host:port. Without a host it is
// 127.0.0.1; to be reached from other machines, name an address, or "0.0.0.0:9000"
// for all addresses. Port 0 takes a free port. The default is 127.0.0.1:9000.
func WithAddr(addr string) ServerOption { return serverOption(func(s *Server) { s.addr = addr }) }

// WithDrain sets how long [Server.Run] waits for calls in flight after its context
// has ended. The default is 30 s.
func WithDrain(d time.Duration) ServerOption { return serverOption(func(s *Server) { s.drain = d }) }

// WithLameDuck sets how long a server that is shutting down still serves while its
// readiness is off, so that load balancers stop sending before the port closes. The
// default is 0. It is a part of the time of [WithDrain], not added to it.
func WithLameDuck(d time.Duration) ServerOption {
	return serverOption(func(s *Server) { s.lameDuck = d })
}

// WithDrainer adds a function that is called after the last request has ended and
// before the router shuts down, such as [Lambda.Shutdown]. Drainers run one after
// the other in the order in which they are given. A nil f is ignored.
func WithDrainer(f func(ctx context.Context) error) ServerOption {
	return serverOption(func(s *Server) {
		if f != nil {
			s.drainers = append(s.drainers, f)
		}
	})
}

// WithTuning lets f change the underlying server before it serves, for example its
// time limits. f must leave Handler, BaseContext and Addr as they are. A nil f is
// ignored.
func WithTuning(f func(s *http.Server)) ServerOption {
	return serverOption(func(s *Server) {
		if f != nil {
			f(&s.http)
		}
	})
}

// NewServer returns a server of h, or of [Handler](r) if h is nil, that shuts down
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
		WriteTimeout:      30 * time.Second, // for other routes; the handlers of this package set their own
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

// guard puts the server's door in front of all routes.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.door.checks(w, r, isLoopback(r.Context(), r), func(p *Problem) { p.ServeHTTP(w, r) }) {
			h.ServeHTTP(w, r)
		}
	})
}

// Listen opens the server's port and returns its address. [Server.Run] does it too;
// call Listen before it to learn the address first. It is idempotent.
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
		l, err := net.Listen("tcp", net.JoinHostPort(host, port)) //nolint:noctx // a context would only bound the lookup of host
		if err != nil {
			return nil, err
		}
		s.listener = l
	}
	return s.listener.Addr(), nil
}

// Run listens and serves until ctx ends, and then drains for as long as [WithDrain]
// says. It returns nil if everything ended well; otherwise the error says what
// could not be served, drained or flushed.
func (s *Server) Run(ctx context.Context) error {
	if _, err := s.Listen(); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	return s.serve(ctx, l)
}

// serve runs the HTTP server on its own goroutine until ctx ends or Serve fails,
// and shuts down in both cases. The channel has room for the error of Serve, so
// that its goroutine ends even when this one does not receive yet.
func (s *Server) serve(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(l) }()
	var serveErr error
	select {
	case serveErr = <-served:
		served <- nil // for the receive below
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	err := s.Shutdown(end)
	<-served
	if errors.Is(serveErr, http.ErrServerClosed) { // Shutdown was called directly
		serveErr = nil
	}
	return errors.Join(serveErr, err)
}

// cancelGrace is how long clients have to receive their answers after Shutdown has
// canceled their calls.
const cancelGrace = time.Second

// Shutdown ends the server and its router in this order: readiness goes off, the
// port closes, requests in flight end, the drainers run, the router shuts down. If
// ctx ends first, running calls are canceled and their callers get an answer, and
// the error says what had not ended.
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
	if drained != nil { // usually ctx: requests still ran, and the router has canceled their calls by now
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
		defer cancel()
		if s.http.Shutdown(last) != nil {
			errs = append(errs, drained, s.http.Close())
		}
	}
	return errors.Join(errs...)
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
