// Command server offers the tools that client.mjs calls: some that succeed, one with a result
// of any size, one that fails, and two of which one waits for the other. run.sh builds and
// starts it.
//
//	server -stdio
//	server -http 127.0.0.1:0
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasmcp"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1) //nolint:forbidigo // a program's main
	}
}

// run serves over stdio or HTTP until a signal comes.
func run() error {
	stdio := flag.Bool("stdio", false, "serve on standard input and output")
	addr := flag.String("http", "", "serve over HTTP at this `address`")
	limit := flag.Int("limit", 4<<20, "the bound on results, in bytes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := newRouter()
	defer r.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "faas", Version: "0.1.0"}, nil)
	faasmcp.AddTools(server, r, faasmcp.WithResultLimit(*limit))
	if *stdio {
		return server.Run(ctx, &mcp.StdioTransport{})
	}
	return serve(ctx, *addr, server)
}

// serve serves over HTTP until ctx ends. It prints its URL because run.sh does not know the
// port if the system has chosen it.
func serve(ctx context.Context, addr string, server *mcp.Server) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on http://%s\n", l.Addr())
	srv := &http.Server{
		Handler:           mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil),
		ReadHeaderTimeout: 30 * time.Second,
	}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// question has a field with a description, which the SDK shows to a model.
type question struct {
	Text string `json:"text" jsonschema:"what to look for"`
}

// answer has types that write their own JSON. The SDK validates that JSON by the server's
// schema.
type answer struct {
	ID    uuid.UUID     `json:"id"`
	Found string        `json:"found"`
	Took  time.Duration `json:"took,string"`
	More  any           `json:"more"`
}

// size has a number that is sent as text, by the option ",string".
type size struct {
	Bytes int `json:"bytes,string"`
}

func newRouter() *faas.Router {
	r := faas.New(faas.WithTimeout(time.Minute))
	faas.Register(r, "search", func(_ context.Context, q question) (answer, error) {
		return answer{ID: uuid.New(), Found: "all about " + q.Text, More: []any{1, "two", nil}}, nil
	})
	faas.Register(r, "big", func(_ context.Context, s size) (string, error) { return strings.Repeat("x", s.Bytes), nil })
	faas.Register(r, "broken", func(context.Context, struct{}) (string, error) { panic("a bug") })
	// wait returns after open was called. If a client ends its session because of another
	// answer, for example one that is too large, it loses the call of wait. So client.mjs
	// checks by this call whether the session is still alive.
	opened := make(chan struct{}, 1)
	faas.Register(r, "wait", func(ctx context.Context, _ struct{}) (string, error) {
		select {
		case <-opened:
			return "opened", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	faas.Register(r, "open", func(context.Context, struct{}) (struct{}, error) { opened <- struct{}{}; return struct{}{}, nil })
	return r
}
