// Command load runs a host with many functions and steady traffic, and the console that shows
// it. browser/budget.mjs uses it for its measurements:
//
//	go run ./browser/load [-addr 127.0.0.1:0] [-functions 1000] [-tenants 100] [-rate 200] [-windows 67108864] [-leak 0]
//
// It prints its address. The path /heap answers how many bytes of the heap are in use after a garbage collection,
// and /profile is a heap profile. What a host keeps within bounds is full from the start: the pairs of functions and
// tenants, ten minutes of history, and the ring of failures. So the heap grows by -windows at most, unless there is a leak.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
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
	windows := flag.Int("windows", 64<<20, "how many `bytes` the history may take")
	leak := flag.Int("leak", 0, "how many `bytes` of each call are kept for ever, to see that a check finds them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *functions, *tenants, *rate, *windows, *leak); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1) //nolint:gocritic // os.Exit skips the deferred calls, which is fine at the end of the process
	}
}

func run(ctx context.Context, addr string, functions, tenants, rate, windows, leak int) error {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		return err
	}
	rec, ledger, ring := observe.NewRecorder(observe.WithBooks(book), observe.WithWindows(windows)), cost.NewLedger(cost.Calendar{Every: cost.Day}, book), faas.NewRing(ringSize, 8<<20, nil)
	r := faas.New(faas.WithCapacity(200), faas.WithMeter(rec), faas.WithRefusals(rec.Refused), faas.WithDecisions(rec.Decided), faas.WithMeter(ledger), faas.WithCapture(ring))
	defer r.Close()
	fns := register(r, functions)
	remember(fns, tenants, rec, ledger)
	fail(ctx, fns, tenants)
	api := admin.Handler(r, admin.WithName("load"), admin.WithInsecureLoopback(), admin.WithRecorder(rec), admin.WithLedger(ledger, book), admin.WithRing(ring))
	mux := http.NewServeMux()
	mux.Handle("/", faasconsole.Handler(api))
	mux.HandleFunc("/heap", heap)
	mux.HandleFunc("/profile", profile)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("the host is up: http://%s/\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	play(ctx, fns, tenants, rate, leak)
	err = server.Close()
	if served := <-stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

const (
	ringSize = 2000
	memory   = 128 << 20 // that each function declares
	failing  = 7         // the number, within its hundred, of the function that fails
	every    = 5         // one in so many of its calls
)

var errNoStock = errors.New("no such article in stock")

// register makes functions of ten teams, whose calls take 1 to 40 ms. One function in a hundred
// fails a fifth of its calls, and one in a hundred has a single slot.
func register(r *faas.Router, n int) (fns []*faas.Function[int, int]) {
	for i := range n {
		opts := []faas.FunctionOption{faas.WithLabels(map[string]string{"team": fmt.Sprintf("team-%d", i%10)}), faas.WithConcurrency(16), faas.WithMemory(memory)}
		if i%100 == 50 {
			opts = append(opts, faas.WithConcurrency(1))
		}
		fns = append(fns, faas.Register(r, fmt.Sprintf("function-%04d", i), func(ctx context.Context, in int) (int, error) {
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-time.After(lasts(in)):
			}
			if i%100 == failing && in%every == 0 {
				return 0, errNoStock
			}
			return in, nil
		}, opts...))
	}
	return fns
}

// lasts returns how long a call with that input takes.
func lasts(in int) time.Duration { return time.Duration(1+in%40) * time.Millisecond }

// tenantOf returns one of the two tenants that call a function. In a real host, too, most tenants call few functions.
func tenantOf(function, which, tenants int) string {
	return fmt.Sprintf("tenant-%03d", (function+which*(1+function/tenants))%tenants)
}

// remember records ten minutes in which each function was called every ten seconds.
func remember(fns []*faas.Function[int, int], tenants int, meters ...faas.Meter) {
	now := time.Now()
	for at := now.Add(-10 * time.Minute); at.Before(now); at = at.Add(10 * time.Second) {
		for i, f := range fns {
			in := rand.IntN(1000)
			e := faas.Execution{Function: f.Info().Name, Version: "$LATEST", Tenant: tenantOf(i, rand.IntN(2), tenants), Attempt: 1, Outcome: faas.OK, Start: at, Duration: lasts(in), Memory: memory}
			if i%100 == failing && in%every == 0 {
				e.Outcome, e.Err = faas.Failed, errNoStock
			}
			for _, m := range meters {
				m.Record(context.Background(), e)
			}
		}
	}
}

// fail makes as many failing calls as the ring has room for.
func fail(ctx context.Context, fns []*faas.Function[int, int], tenants int) {
	var calls sync.WaitGroup
	for n := range ringSize {
		i := (failing + 100*n) % len(fns)
		calls.Go(func() { _, _ = fns[i].Invoke(faas.WithTenant(ctx, tenantOf(i, n%2, tenants)), every*n) })
		if n%100 == 99 {
			calls.Wait() // their functions have 160 slots
		}
	}
}

// play makes calls of random functions until ctx ends, each for one of the function's tenants.
func play(ctx context.Context, fns []*faas.Function[int, int], tenants, rate, leak int) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	var kept [][]byte
	for {
		select {
		case <-ctx.Done():
			runtime.KeepAlive(kept)
			return
		case <-ticker.C:
			if leak > 0 {
				kept = append(kept, make([]byte, leak))
			}
			i := rand.IntN(len(fns))
			call := faas.WithTenant(ctx, tenantOf(i, rand.IntN(2), tenants))
			go func() { _, _ = fns[i].Invoke(call, rand.IntN(1000)) }()
		}
	}
}

// heap answers the least of five measurements, since a request that is being answered during one of them adds its garbage.
func heap(w http.ResponseWriter, r *http.Request) {
	least := uint64(math.MaxUint64)
	for range 5 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc)
		select {
		case <-r.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	_, _ = w.Write(strconv.AppendUint(nil, least, 10)) // an error means that the client has gone
}

func profile(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	_ = pprof.Lookup("heap").WriteTo(w, 0) // an error means that the client has gone
}
