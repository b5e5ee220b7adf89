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
	// timeout is each tool's, unless its registration says otherwise.
	timeout = 500 * time.Millisecond
	// grace is how long after its deadline a call that still runs is reported.
	grace = 50 * time.Millisecond
)

// host is a router of tools, and the server that agents come to.
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

// newRouter hosts the tools. They are ordinary functions, see tools.go; what the host promises about them is here.
func newRouter(w *watch, opts ...faas.RouterOption) *faas.Router {
	r := faas.New(append(opts,
		faas.WithTimeout(timeout),
		faas.WithMeter(w),
		faas.WithStuck(grace, w.stuck),
		faas.WithLogger(slog.New(slog.DiscardHandler)), // which would log each call that is stuck
	)...)
	faas.Register(r, "search", search, about("Looks something up, quickly."))
	faas.Register(r, "slow", slow, about("Takes longer than it may, and stops when it is told to."))
	faas.Register(r, "deaf", deaf, about("Takes longer than it may, whatever it is told."))
	faas.Register(r, "broken", broken, about("Has a bug."))
	// Two at a time, and four may wait: more are refused at once, rather than kept waiting for what they won't get.
	faas.Register(r, "busy", busy, about("Has room for a few calls at a time."), faas.WithConcurrency(2), faas.WithQueue(4))
	return r
}

// about is what agents are told about a tool. Its arguments are described where their types are, in tools.go.
func about(text string) faas.Option { return faas.WithLabels(map[string]string{"description": text}) }

// serveStdio serves the one client that has started the program, until that hangs up.
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
	// No limit on the time to write: an agent's stream stays open as long as it likes.
	// The time to read headers runs from the beginning of a connection, also of one that a client has opened to spare: were it
	// short, the server would close that just as its first call comes, which is a POST, and not sent again.
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
	err = h.router.Shutdown(drain) // calls have their answers, and then the streams can be cut
	_ = srv.Close()
	<-served
	return err
}
