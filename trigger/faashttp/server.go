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

// Server is an [http.Server] that has every time limit set, listens on loopback by default, and
// drains together with its router. [Server.Shutdown] also shuts the router down, and
// [faas.Router.Shutdown] also shuts down each server of the router.
//
// Pages of other sites must not call functions on the loopback address of the browser's
// machine. So, on every route, a server refuses a browser's request from a page of another site
// (see [WithOrigins]). On loopback connections it also refuses requests for other hosts (see
// [WithHosts]).
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
	drained  chan struct{} // closed when the first endRequests returns
	drainErr error         // the error of that endRequests: written before drained is closed, read after

	mu       sync.Mutex      // guards the fields below; never held while serving
	listener net.Listener    // nil until Listen
	attached bool            // the router calls endRequests when it shuts down
	draining context.Context //nolint:containedctx // the context of the first endRequests; nil before it
}

// ServerOption is an option of [NewServer]. Nil options are ignored.
type ServerOption interface{ applyServer(*Server) }

type serverOption func(*Server)

func (o serverOption) applyServer(s *Server) { o(s) }

// WithAddr sets where the server listens, as host:port. An empty host means 127.0.0.1. To be
// reachable from other machines, give an address, or "0.0.0.0:9000" for all addresses. Port 0
// takes a free port. The default is 127.0.0.1:9000.
func WithAddr(addr string) ServerOption { return serverOption(func(s *Server) { s.addr = addr }) }

// WithDrain sets how long [Server.Run] waits for requests and calls in flight after
// its context has ended. The default is 30 s.
func WithDrain(d time.Duration) ServerOption { return serverOption(func(s *Server) { s.drain = d }) }

// WithLameDuck sets how long a server that is shutting down still serves while /readyz answers
// 503, so that load balancers stop sending requests before the port closes. The default is 0.
// This time is a part of that of [WithDrain], not added to it.
func WithLameDuck(d time.Duration) ServerOption {
	return serverOption(func(s *Server) { s.lameDuck = d })
}

// WithDrainer adds a function that is called once during shutdown: after the last request has
// ended, and while the router still admits calls and accepts jobs. Drainers run one after the
// other in the order in which they are given. An error of one does not stop the next. If the
// context of the shutdown ends first, they are called with that ended context, while the router
// cancels the calls that still run. f must not call Shutdown, of the server or of its router. A
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

// NewServer returns a server of h, or of [Handler](r) if h is nil, that shuts down together
// with r. It does not listen yet. It panics if an option is impossible; the panic's text says
// how to correct the option.
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

// guard returns a handler that lets only those requests through to h that the server's door
// allows.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.door.checks(w, r, isLoopback(r.Context(), r), func(p *Problem) { p.ServeHTTP(w, r) }) {
			h.ServeHTTP(w, r)
		}
	})
}

// Listen opens the server's port and returns its address. [Server.Run] also opens the port;
// call Listen before Run to learn the address first. Later calls return the same address.
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

// Run listens and serves until ctx ends or the router shuts down. When ctx ends, Run shuts down
// the router and this server, and waits for at most the time of [WithDrain]. If another part of
// the program calls [faas.Router.Shutdown], the context of that call bounds the drain; once ctx
// has ended too, so does the time of [WithDrain]. In both cases Run returns once the router has
// shut down.
//
// It returns nil if everything ended well. Otherwise the error says what could not be served,
// drained or flushed. It Is [faas.ErrClosed] if the router had shut down before Run was called,
// and ctx had not ended. If the port can't be opened, Run returns the error and does not shut
// the router down.
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

// serve runs the HTTP server on a goroutine of its own until ctx ends or Serve returns, and
// then shuts down. Serve returns if it fails, or when Shutdown (of this server or of the
// router) closes the port. The channel served has room for one error, so that the goroutine of
// Serve ends even while this goroutine is not receiving.
func (s *Server) serve(ctx context.Context) error {
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(l) }()
	var serveErr error
	select {
	case serveErr = <-served:
		served <- nil // so that the receive below returns too
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
