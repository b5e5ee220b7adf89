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
// unless told otherwise, and drains together with its router: a server ends its router,
// and the router, by [faas.Router.Shutdown], each of its servers.
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
	drained  chan struct{} // closed once endRequests has returned
	drainErr error         // its error: written before drained is closed, and read after

	mu       sync.Mutex      // guards what follows; never held while serving
	listener net.Listener    // nil until Listen
	attached bool            // the router calls endRequests when it shuts down
	draining context.Context //nolint:containedctx // that endRequests was called with; nil before
}

// ServerOption is an option of [NewServer]. Nil options are ignored.
type ServerOption interface{ applyServer(*Server) }

type serverOption func(*Server)

func (o serverOption) applyServer(s *Server) { o(s) }

// WithAddr sets where the server listens, as host:port. Without a host it is
// 127.0.0.1; to be reached from other machines, name an address, or "0.0.0.0:9000"
// for all addresses. Port 0 takes a free port. The default is 127.0.0.1:9000.
func WithAddr(addr string) ServerOption { return serverOption(func(s *Server) { s.addr = addr }) }

// WithDrain sets how long [Server.Run] waits for requests and calls in flight after
// its context has ended. The default is 30 s.
func WithDrain(d time.Duration) ServerOption { return serverOption(func(s *Server) { s.drain = d }) }

// WithLameDuck sets how long a server that is shutting down still serves while its
// readiness is off, so that load balancers stop sending before the port closes. The
// default is 0. It is a part of the time of [WithDrain], not added to it.
func WithLameDuck(d time.Duration) ServerOption {
	return serverOption(func(s *Server) { s.lameDuck = d })
}

// WithDrainer adds a function that is called once, after the last request has ended and
// while the router still admits calls and accepts jobs. Drainers run one after
// the other in the order in which they are given, also after one that failed. If the
// shutdown's context ends first, they are called with that context while the router
// cancels what still runs. f must not call Shutdown, of the server or of its router. A
// nil f is ignored.
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
	s := &Server{router: r, addr: "127.0.0.1:9000", drain: 30 * time.Second, drained: make(chan struct{})}
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

// Run listens and serves until ctx ends or the router shuts down. If ctx ends it shuts
// the router down, and with it this server, for as long as [WithDrain] says. If another
// part of the program has called [faas.Router.Shutdown], the context given there bounds
// the drain until ctx ends. In both cases Run returns once the router has shut down.
//
// It returns nil if everything ended well; otherwise the error says what could not be
// served, drained or flushed. It Is [faas.ErrClosed] if the router had shut down before
// Run was called, and ctx had not ended. If the port can't be opened, the router is left
// alone.
func (s *Server) Run(ctx context.Context) error {
	if _, err := s.Listen(); err != nil {
		return err
	}
	if err := s.attach(); err != nil {
		if ctx.Err() != nil { // the router may have ended for the same reason
			err = nil
		}
		end, cancel := s.lastContext(ctx)
		defer cancel()
		return errors.Join(err, s.Shutdown(end))
	}
	return s.serve(ctx)
}

// serve runs the HTTP server on its own goroutine until ctx ends or Serve returns, and
// shuts down in both cases. Serve returns if it fails, or because the port was closed by
// Shutdown, this server's or the router's. The channel has room for the error of Serve,
// so that its goroutine ends even when this one does not receive yet.
func (s *Server) serve(ctx context.Context) error {
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(l) }()
	var serveErr error
	select {
	case serveErr = <-served:
		served <- nil // for the receive below
	case <-ctx.Done():
	}
	end, cancel := s.lastContext(ctx)
	defer cancel()
	err := s.Shutdown(end)
	<-served
	if errors.Is(serveErr, http.ErrServerClosed) {
		serveErr = nil
	}
	return errors.Join(serveErr, err)
}
