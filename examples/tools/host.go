package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasmcp"
)

const (
	// timeout is the timeout of each tool, unless its registration sets another one.
	timeout = 500 * time.Millisecond
	// grace is how long after its deadline a call that still runs is reported as stuck.
	grace = 50 * time.Millisecond
)

// host is a router with the tools, and the server that agents connect to.
type host struct {
	router    *faas.Router
	server    *mcp.Server
	watch     *watch
	allowance *allowance
}

func newHost() (*host, error) {
	allowance, err := newAllowance()
	if err != nil {
		return nil, err
	}
	h := &host{watch: new(watch), allowance: allowance}
	h.router = newRouter(h.watch, allowance.options()...)
	h.server = mcp.NewServer(&mcp.Implementation{Name: "faas-tools", Title: "Tools that behave, and tools that don't", Version: "0.1.0"}, nil)
	faasmcp.AddTools(h.server, h.router)
	return h, nil
}

// newRouter hosts the tools. The tools are ordinary functions, see tools.go. Their limits are set here.
func newRouter(w *watch, opts ...faas.RouterOption) *faas.Router {
	r := faas.New(append(opts,
		faas.WithTimeout(timeout),
		faas.WithMeter(w),
		faas.WithStuck(grace, w.stuck),
		faas.WithLogger(slog.New(slog.DiscardHandler)), // the default would log each call that is stuck
	)...)
	faas.Register(r, "search", search, about("Looks something up, quickly."))
	faas.Register(r, "slow", slow, about("Takes longer than it may, and stops when it is told to."))
	faas.Register(r, "deaf", deaf, about("Takes longer than it may, whatever it is told."))
	faas.Register(r, "broken", broken, about("Has a bug."))
	// Two calls run and four may wait. More are refused at once, because they would wait until their deadlines in vain.
	faas.Register(r, "busy", busy, about("Has room for a few calls at a time."), faas.WithConcurrency(2), faas.WithQueue(4))
	return r
}

// about sets the description of a tool for agents. Its arguments are described at their types, in tools.go.
func about(text string) faas.Option { return faas.WithLabels(map[string]string{"description": text}) }

// serveStdio serves the client that has started the program, until the client disconnects.
func (h *host) serveStdio(ctx context.Context) error {
	err := h.server.Run(ctx, &mcp.StdioTransport{})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serveHTTP serves until ctx ends, and then drains.
func (h *host) serveHTTP(ctx context.Context, addr string, stderr io.Writer) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "serving MCP at http://%s/mcp\n", l.Addr())
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return h.server },
		&mcp.StreamableHTTPOptions{SessionTimeout: 10 * time.Minute}))
	// WriteTimeout is not set, because an agent's stream may stay open for any time. ReadHeaderTimeout also runs on a new
	// connection that a client keeps in reserve. If it were short, the server could close that connection at the moment
	// when the client uses it for its first call. The client does not repeat that call, because it is a POST.
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*deafFor)
	defer cancel()
	err = h.router.Shutdown(drain) // first all calls get their answers; then Close can cut the streams
	_ = srv.Close()
	<-served
	return err
}
