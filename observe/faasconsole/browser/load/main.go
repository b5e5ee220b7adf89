// Command load runs a host with many functions and steady traffic, and the console that shows
// it. browser/budget.mjs uses it for its measurements:
//
//	go run ./browser/load [-addr 127.0.0.1:0] [-functions 1000] [-tenants 100] [-rate 200]
//
// It prints its address. The path /heap answers how many bytes of the heap are in use after a
// garbage collection.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasconsole"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "the `address` of the page, on this machine")
	functions := flag.Int("functions", 1000, "how `many`")
	tenants := flag.Int("tenants", 100, "how `many`")
	rate := flag.Int("rate", 200, "calls per `second`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *functions, *tenants, *rate); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1) //nolint:gocritic // os.Exit skips the deferred calls, which is fine at the end of the process
	}
}

func run(ctx context.Context, addr string, functions, tenants, rate int) error {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		return err
	}
	rec, ledger, ring := observe.NewRecorder(observe.WithBooks(book)), cost.NewLedger(cost.Calendar{Every: cost.Day}, book), faas.NewRing(2000, 8<<20, nil)
	r := faas.New(faas.WithCapacity(200), faas.WithMeter(rec), faas.WithRefusals(rec.Refused), faas.WithDecisions(rec.Decided), faas.WithMeter(ledger), faas.WithCapture(ring))
	defer r.Close()
	fns := register(r, functions)
	api := admin.Handler(r, admin.WithName("load"), admin.WithInsecureLoopback(), admin.WithRecorder(rec), admin.WithLedger(ledger, book), admin.WithRing(ring))
	mux := http.NewServeMux()
	mux.Handle("/", faasconsole.Handler(api))
	mux.HandleFunc("/heap", heap)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("the host is up: http://%s/\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	play(ctx, fns, tenants, rate)
	err = server.Close()
	if served := <-stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

var errNoStock = errors.New("no such article in stock")

// register makes functions of ten teams, whose calls take 1 to 40 ms. One function in a hundred
// fails a fifth of its calls, and one in a hundred has a single slot.
func register(r *faas.Router, n int) (fns []*faas.Function[int, int]) {
	for i := range n {
		opts := []faas.FunctionOption{faas.WithLabels(map[string]string{"team": fmt.Sprintf("team-%d", i%10)}), faas.WithConcurrency(16), faas.WithMemory(128 << 20)}
		if i%100 == 50 {
			opts = append(opts, faas.WithConcurrency(1))
		}
		fns = append(fns, faas.Register(r, fmt.Sprintf("function-%04d", i), func(ctx context.Context, in int) (int, error) {
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-time.After(time.Duration(1+in%40) * time.Millisecond):
			}
			if i%100 == 7 && in%5 == 0 {
				return 0, errNoStock
			}
			return in, nil
		}, opts...))
	}
	return fns
}

// play makes calls of random functions for random tenants until ctx ends.
func play(ctx context.Context, fns []*faas.Function[int, int], tenants, rate int) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			call := faas.WithTenant(ctx, fmt.Sprintf("tenant-%03d", rand.IntN(tenants)))
			go func() { _, _ = fns[rand.IntN(len(fns))].Invoke(call, rand.IntN(1000)) }()
		}
	}
}

func heap(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_, _ = w.Write(strconv.AppendUint(nil, m.HeapAlloc, 10)) // an error means that the client has gone
}
