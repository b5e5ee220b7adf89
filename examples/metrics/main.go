// Metrics shows the functions of a process in Prometheus, and the answers of the dashboard's queries. It hosts a
// few functions under traffic, starts a Prometheus that scrapes them, runs each query of the dashboard and prints
// the answers as tables. Then it compares the quantiles that Prometheus computes with those of the recorder.
//
//	go run ./examples/metrics            with classic histograms
//	go run ./examples/metrics -native    with native histograms
//	go run ./examples/metrics -trace     only prints the spans of a call and of its job as a tree
//	go run ./examples/metrics -addr 127.0.0.1:9100    only serves /metrics, until Ctrl-C
//
// It needs the program prometheus, 2.40 or later (on Debian: apt install prometheus). If a query has no answer
// after a minute, it fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasprom"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(1) //nolint:gocritic // the deferred stop need not run, because the process ends
	}
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("metrics", flag.ContinueOnError)
	flags.SetOutput(errOut)
	native := flags.Bool("native", false, "have Prometheus keep native histograms")
	program := flags.String("prometheus", "prometheus", "the `program`")
	addr := flags.String("addr", "", "only serve /metrics at this `address`")
	traced := flags.Bool("trace", false, "only print the spans of a call")
	patience := flags.Duration("patience", time.Minute, "how long to wait until each query has an answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *traced {
		return story(ctx, out)
	}
	h, err := newHost()
	if err != nil {
		return err
	}
	defer h.Close()
	h.play(ctx)
	defer h.quiet()
	if *addr != "" {
		return h.serve(ctx, *addr, func(at string) error {
			fmt.Fprintf(out, "listening on http://%s/metrics\n", at)
			<-ctx.Done()
			return nil
		})
	}
	return h.serve(ctx, "127.0.0.1:0", func(at string) error {
		server, err := start(ctx, *program, at, *native)
		if err != nil {
			return err
		}
		defer server.stop()
		if err := ask(ctx, out, server, *patience); err != nil {
			return err
		}
		h.quiet() // so that the recorder and Prometheus have the same calls
		return compare(ctx, out, server, h.recorder)
	})
}

// host is a router with a recorder and a handler for its metrics.
type host struct {
	*faas.Router
	recorder *observe.Recorder
	handler  http.Handler
	quiet    func() // stops the callers that play has started
}

// newHost makes the router, its recorder, and the handler that Prometheus scrapes.
func newHost() (*host, error) {
	book, err := cost.Preset("aws-lambda-arm")
	if err != nil {
		return nil, err
	}
	rec := observe.NewRecorder(observe.WithBooks(book), observe.WithExemplar(sampled))
	lines := observe.Log(slog.New(slog.DiscardHandler), observe.WithSampling(100), observe.WithBilled(book.Rounding()))
	r := faas.New(
		faas.WithMeter(rec), faas.WithRefusals(rec.Refused), faas.WithDecisions(rec.Decided),
		faas.WithMeter(lines), faas.WithRefusals(lines.Refused),
		faas.WithLogger(slog.New(slog.DiscardHandler)),
	)
	registry := prometheus.NewRegistry()
	if err := registry.Register(faasprom.NewCollector(r, rec, faasprom.WithBook(book))); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	h := &host{Router: r, recorder: rec, handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})}
	h.register()
	return h, nil
}

// sampled returns the ID of about one call in a hundred. A host with tracing would return the ID of the call's
// trace.
func sampled(ctx context.Context) string {
	inv, ok := faas.FromContext(ctx)
	if !ok || inv.ID[15] > 2 {
		return ""
	}
	return inv.ID.String()
}

// serve serves /metrics on a goroutine of its own while do runs.
func (h *host) serve(ctx context.Context, addr string, do func(at string) error) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h.handler)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	err = do(listener.Addr().String())
	return errors.Join(err, server.Close(), ignore(<-served, http.ErrServerClosed))
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
