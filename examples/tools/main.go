// Command tools is a host of tools for AI agents. Agents send 200 calls at once to five tools: a fast one, a slow one, one
// that heeds no context, one that panics, and one that is busy. Every call has its answer by its deadline or at once, and
// the process is as well afterwards as before. At last comes an agent with a budget, and asks for more than that:
//
//	go run ./tools [-calls n]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/inproc/faas"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "tools:", err)
		os.Exit(1)
	}
}

// timeout is each tool's, unless its registration says otherwise.
const timeout = 500 * time.Millisecond

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tools", flag.ContinueOnError)
	flags.SetOutput(stderr)
	calls := flags.Int("calls", 200, "how many calls to make at once")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}

	watch := new(watch)
	allowance, err := newAllowance()
	if err != nil {
		return err
	}
	router := newRouter(watch, allowance.options()...)
	defer router.Close()

	fmt.Fprintf(stdout, "%d calls at once:\n\n", *calls)
	stats := callAll(ctx, router, *calls)
	printAnswers(stdout, stats)
	for _, name := range toolNames {
		if err := stats[name].unexpected; err != nil {
			return err
		}
	}

	time.Sleep(2 * grace) // for the watch: it looks a moment after the deadline
	fmt.Fprint(stdout, "\nStatus: what is deaf to its context was answered for, but still holds its slot.\n\n")
	printStatus(stdout, router)
	watch.print(stdout)

	if err := callHealthy(ctx, router, stdout); err != nil {
		return err
	}
	if err := allowance.overspend(ctx, router, stdout); err != nil {
		return err
	}
	return waitForDeaf(ctx, router, watch, stdout)
}

// grace is how long after its deadline a call that still runs is reported.
const grace = 50 * time.Millisecond

// newRouter hosts the tools. They are ordinary functions, see tools.go; what the host promises about them is here.
func newRouter(w *watch, opts ...faas.RouterOption) *faas.Router {
	r := faas.New(append(opts,
		faas.WithTimeout(timeout),
		faas.WithMeter(w),
		faas.WithStuck(grace, w.stuck),
		faas.WithLogger(slog.New(slog.DiscardHandler)), // which would log each call that is stuck
	)...)
	faas.Register(r, "search", search)
	faas.Register(r, "slow", slow)
	faas.Register(r, "deaf", deaf)
	faas.Register(r, "broken", broken)
	// Two at a time, and four may wait: more are refused at once, rather than kept waiting for what they won't get.
	faas.Register(r, "busy", busy, faas.WithConcurrency(2), faas.WithQueue(4))
	return r
}

// toolNames are in the order in which the router tells them.
var toolNames = []string{"broken", "busy", "deaf", "search", "slow"}

// callAll makes all calls at the same moment, and returns how they were answered.
func callAll(ctx context.Context, router *faas.Router, calls int) map[string]*answers {
	stats := make(map[string]*answers)
	for _, name := range toolNames {
		stats[name] = new(answers)
	}
	var wg sync.WaitGroup
	ready := make(chan struct{})
	for i := range calls {
		name := toolNames[i%len(toolNames)]
		wg.Go(func() {
			<-ready
			start := time.Now()
			_, err := call(ctx, router, name, fmt.Sprintf("question %d", i))
			stats[name].add(err, time.Since(start))
		})
	}
	close(ready)
	wg.Wait()
	return stats
}

// call is what an agent does: it knows a tool's name and speaks JSON.
func call(ctx context.Context, router *faas.Router, tool, text string) (string, error) {
	payload, err := json.Marshal(query{Text: text})
	if err != nil {
		return "", err
	}
	out, err := router.Invoke(ctx, tool, payload)
	return string(out), err
}

func callHealthy(ctx context.Context, router *faas.Router, stdout io.Writer) error {
	start := time.Now()
	answer, err := call(ctx, router, "search", "are you well?")
	if err != nil {
		return fmt.Errorf("a healthy tool should answer: %w", err)
	}
	fmt.Fprintf(stdout, "\nThe process is well: after %s, search answers %s\n", ms(time.Since(start)), answer)
	return nil
}

// waitForDeaf shuts down, which waits for the deaf calls too: they do end, if late, and what they took is on record.
func waitForDeaf(ctx context.Context, router *faas.Router, w *watch, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*deafFor)
	defer cancel()
	if err := router.Shutdown(ctx); err != nil {
		return err
	}
	n, sum := w.overran()
	fmt.Fprintf(stdout, "Shut down: the %d deaf calls have ended, %.1f s of slot time past their deadlines.\n", n, sum.Seconds())
	return nil
}
