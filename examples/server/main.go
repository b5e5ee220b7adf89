// Command server hosts functions that are called from outside: with curl, with AWS's SDKs and command line, and from a
// browser. Start it, and try the commands of README:
//
//	go run ./examples/server [-addr 127.0.0.1:9000] [-hosts functions.example.com]
//
// SIGTERM or Ctrl-C drains: the calls that have begun are finished, and the result of each call is printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasevents"
	"github.com/inproc/faas/trigger/faashttp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:9000", "the `address` to listen on; port 0 takes a free one")
	hosts := flags.String("hosts", "", "the `names`, with commas between, under which a proxy on this machine serves it")
	drain := flags.Duration("drain", 10*time.Second, "how much `time` calls have to finish after SIGTERM")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}

	log := slog.New(slog.NewTextHandler(stdout, nil))
	router := faas.New(
		faas.WithLogger(log),
		faas.WithContext(faashttp.Carry),     // handlers can read the request, and write its log
		faas.WithCarrier(faashttp.Carrier()), // in the deliveries of jobs too
		faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) {
			log.Info("call", "function", e.Function, "outcome", e.Outcome, "duration", e.Duration, "id", e.ID)
		})),
	)
	host(router)

	lambda := faashttp.NewLambda(router)
	options := []faashttp.ServerOption{faashttp.WithAddr(*addr), faashttp.WithDrain(*drain)}
	if *hosts != "" {
		options = append(options, faashttp.WithHosts(strings.Split(*hosts, ",")...))
	}
	server := faashttp.NewServer(router, routes(router, lambda), options...)
	at, err := server.Listen()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%v\n", at)
	if err := server.Run(ctx); err != nil {
		return err
	}
	s := router.Stats()
	fmt.Fprintf(stdout, "drained: %d calls admitted, %d in flight, %d runaways\n", s.Admitted, s.InFlight, s.Runaways)
	return nil
}

// routes mounts the handlers that call functions beside a service's other routes.
func routes(router *faas.Router, lambda *faashttp.Lambda) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "This is a service like any other; its functions are at /fn.")
	})

	front := faashttp.Handler(router)
	for _, pattern := range []string{"/fn", "/fn/", "/healthz", "/readyz"} {
		mux.Handle(pattern, front)
	}
	for _, pattern := range []string{"/2015-03-31/", "/2016-08-19/", "/2019-09-25/", "/2021-11-15/"} {
		mux.Handle(pattern, lambda)
	}
	mux.Handle("/url/page/", http.StripPrefix("/url/page", faashttp.FunctionURL(router, "page")))

	mux.Handle("/events", faasevents.Handler(router,
		faasevents.On(`{"type": ["com.example.echo"]}`, "echo"),
		faasevents.On(`{"type": ["com.example.fail"]}`, "fail"),
		faasevents.On(`{"type": ["com.example.panicky"]}`, "panicky"),
		faasevents.On(`{"type": ["com.example.slow"]}`, "slow"),
		faasevents.On(`{"type": ["com.example.thumbnail"]}`, "thumbnail"),
	))
	return mux
}
