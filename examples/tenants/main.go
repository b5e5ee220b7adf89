// Command tenants lets two tenants share one function with a queue of 1,000 places, the default. Tenant a sends 10,000
// calls at once, and then tenant b sends ten. A refused call tries again after a moment, so the queue stays full:
//
//	go run ./examples/tenants [-flood 10000] [-takes 2ms] [-slots 8]
//
// It prints how long b's calls take in three cases: alone, behind a's calls in one line, and beside a's calls when tenants
// take turns. It also prints how often b's calls were refused, and what each tenant is billed, by the records and by the
// handlers' own stopwatches.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "tenants:", err)
		os.Exit(1)
	}
}

// few is how many calls b sends. pause is the mean time that a refused call waits before it tries again.
const (
	few   = 10
	pause = 200 * time.Millisecond
)

type config struct {
	flood, slots int
	takes        time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c config
	flags := flag.NewFlagSet("tenants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&c.flood, "flood", 10_000, "how many calls a sends")
	flags.DurationVar(&c.takes, "takes", 2*time.Millisecond, "how long a call takes")
	flags.IntVar(&c.slots, "slots", 8, "how many run at once")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if c.flood < 1 || c.slots < 1 || c.takes <= 0 {
		return errors.New("all of -flood, -takes and -slots have to be positive")
	}
	return c.compare(ctx, stdout)
}

// compare runs the three cases, each on a router of its own.
func (c config) compare(ctx context.Context, stdout io.Writer) error {
	fmt.Fprintf(stdout, "%d slots, %v a call. Tenant a sends %d calls, then b sends %d.\n\n", c.slots, c.takes, c.flood, few)
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\tb's p50\tp99\trefused\t")
	var last *host
	for _, k := range []struct {
		name  string
		flood int
		as    func(ctx context.Context, tenant string) context.Context
	}{
		{"alone", 0, faas.WithTenant},
		// Without tenants all calls wait in one line: first come, first served.
		{"in one line with a", c.flood, func(ctx context.Context, _ string) context.Context { return ctx }},
		{"taking turns with a", c.flood, faas.WithTenant},
	} {
		h, err := newHost(c)
		if err != nil {
			return err
		}
		took, refused, err := h.play(ctx, k.as, k.flood)
		if err = errors.Join(err, h.router.Shutdown(ctx)); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\t%v\t%v\t%d\t\n", k.name, round(took[few/2]), round(took[few-1]), refused)
		last = h
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return last.bill(stdout)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// host is a router with the function that both tenants call.
type host struct {
	router *faas.Router
	report *faas.Function[string, string]
	ledger *cost.Ledger
	book   *cost.Book

	mu      sync.Mutex // guards the fields below
	watches map[string]time.Duration
}

func newHost(c config) (*host, error) {
	perCore, err := cost.ParseMoney("0.04 USD")
	if err != nil {
		return nil, err
	}
	perGiB, err := cost.ParseMoney("0.005 USD")
	if err != nil {
		return nil, err
	}
	book, err := cost.Machine(perCore, perGiB)
	if err != nil {
		return nil, err
	}
	h := &host{book: book, ledger: cost.NewLedger(cost.Calendar{}, book), watches: map[string]time.Duration{}}
	h.router = faas.New(faas.WithMeter(h.ledger), faas.WithMemory(1<<30))
	h.report = faas.Register(h.router, "report", h.handler(c.takes),
		faas.WithConcurrency(c.slots), faas.WithTimeout(time.Minute), faas.WithQueueTimeout(time.Hour))
	return h, nil
}

// handler returns a handler that takes that time, and adds it to the stopwatch of its tenant.
func (h *host) handler(takes time.Duration) faas.Handler[string, string] {
	return func(ctx context.Context, name string) (string, error) {
		began := time.Now()
		inv, _ := faas.FromContext(ctx)
		time.Sleep(takes)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watches[inv.Tenant] += time.Since(began)
		return "report on " + name, nil
	}
}

// play makes a's calls. When each of them was admitted, waits in the queue or was refused once, it makes b's. It returns the
// times of b's calls, the shortest first, and how often they were refused.
func (h *host) play(ctx context.Context, as func(context.Context, string) context.Context, flood int) (took []time.Duration, refused int64, err error) {
	var all sync.WaitGroup
	var again atomic.Int64
	errs := make(chan error, flood+few)
	for range flood {
		all.Go(func() { errs <- h.call(as(ctx, "a"), "a", new(atomic.Int64)) })
	}
	for i := h.report.Info(); int(i.Admitted+i.Rejected[faas.ReasonOverloaded])+i.Queued < flood; i = h.report.Info() {
		time.Sleep(time.Millisecond)
	}
	took = make([]time.Duration, few)
	for i := range took {
		all.Go(func() {
			began := time.Now()
			errs <- h.call(as(ctx, "b"), "b", &again)
			took[i] = time.Since(began)
		})
	}
	all.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	slices.Sort(took)
	return took, again.Load(), err
}

// call calls the function until it is not refused as overloaded, and counts the refusals.
func (h *host) call(ctx context.Context, name string, refused *atomic.Int64) error {
	for {
		_, err := h.report.Invoke(ctx, name)
		if !errors.Is(err, faas.ErrOverloaded) {
			return err
		}
		refused.Add(1)
		time.Sleep(rand.N(2 * pause))
	}
}

// bill prints the statement, and the times of the stopwatches beside those of the records.
func (h *host) bill(stdout io.Writer) error {
	now := time.Now()
	statement, err := h.ledger.Statement(now, h.book)
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, "\nThe bill of the last case:\n\n")
	if err := statement.By(cost.Tenant).WriteText(stdout); err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	for _, u := range h.ledger.Usage(now) {
		recorded := time.Duration(u.Duration().Int64())
		fmt.Fprintf(stdout, "%s: %v recorded, %v by its handlers' stopwatches, %.2f %% apart\n", u.Tenant,
			recorded.Round(time.Millisecond), h.watches[u.Tenant].Round(time.Millisecond),
			100*(recorded-h.watches[u.Tenant]).Seconds()/recorded.Seconds())
	}
	return nil
}
