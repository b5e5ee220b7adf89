// Command release gives a tenth of the calls to a new version of a function and looks at their results. Then it
// gives the version more calls, or takes it back:
//
//	go run ./examples/release [-calls 400] [-broken]
//
// Meanwhile callers call "price:live" without any change. With -broken the new version fails for every seventh
// item, and is taken back after the first look.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"

	"github.com/inproc/faas"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	calls := flags.Int("calls", 400, "how many calls are made between two looks")
	broken := flags.Bool("broken", false, "the new version has a fault")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *calls < 100 {
		return errors.New("-calls has to be 100 at least")
	}
	watch := &watch{seen: map[string]counts{}}
	r := faas.New(faas.WithMeter(watch))
	faas.Register(r, "price", price, faas.WithVersion(1))
	faas.Register(r, "price", newPrice(*broken), faas.WithVersion(2))
	live, err := publish(r)
	if err != nil {
		return err
	}
	if err := release(ctx, r, live, watch, *calls, stdout); err != nil {
		return err
	}
	if err := history(r, stdout); err != nil {
		return err
	}
	return r.Shutdown(ctx)
}

// price is version 1 of the function.
func price(_ context.Context, item int) (int, error) { return 100 * item, nil }

// newPrice returns version 2 of the function.
func newPrice(broken bool) faas.Handler[int, int] {
	return func(_ context.Context, item int) (int, error) {
		if broken && item%7 == 0 {
			return 0, errors.New("no such item")
		}
		return 100*item - item/10, nil
	}
}

// publish points the alias "price:live" at version 1, and returns the function that callers use.
func publish(r *faas.Router) (*faas.Function[int, int], error) {
	if err := r.SetAlias("price", "live", faas.Weights{1: 100}, faas.WithActor("deploy")); err != nil {
		return nil, err
	}
	return faas.Lookup[int, int](r, "price:live")
}

// release gives version 2 a growing part of the calls, as long as at most one in a hundred of them fails.
func release(ctx context.Context, r *faas.Router, live *faas.Function[int, int], w *watch, calls int, out io.Writer) error {
	for _, percent := range []int{10, 50, 100} {
		if err := r.SetAlias("price", "live", faas.Weights{1: 100 - percent, 2: percent}, faas.WithActor("deploy")); err != nil {
			return err
		}
		w.forget()
		for item := range calls {
			_, _ = live.Invoke(ctx, item) // errors are counted by the meter
		}
		fmt.Fprintf(out, "\n%d %% of the calls to version 2:\n\n", percent)
		if err := w.print(out); err != nil {
			return err
		}
		if c := w.of("2"); 100*c.failed > c.calls {
			fmt.Fprintln(out, "\nVersion 2 fails: taken back.")
			return r.SetAlias("price", "live", faas.Weights{1: 100}, faas.WithActor("deploy"))
		}
	}
	fmt.Fprintln(out, "\nVersion 2 is live. Version 1 is not called any more, and goes.")
	if err := r.SetAlias("price", "live", faas.Weights{2: 100}, faas.WithActor("deploy")); err != nil {
		return err
	}
	return r.Remove("price:1")
}

// history prints each change of the alias with its author.
func history(r *faas.Router, out io.Writer) error {
	moves, err := r.Decisions("price")
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, d := range moves {
		fmt.Fprintf(out, "%s moved %s:%s from {%v} to {%v}\n", d.By, d.Function, d.Alias, d.Before, d.After)
	}
	return nil
}

// counts are the numbers of a version since the last look.
type counts struct{ calls, failed int }

// watch is a meter that counts the calls of each version.
type watch struct {
	mu   sync.Mutex // guards seen
	seen map[string]counts
}

func (w *watch) Record(_ context.Context, e faas.Execution) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.seen[e.Version]
	c.calls++
	if e.Outcome != faas.OK {
		c.failed++
	}
	w.seen[e.Version] = c
}

func (w *watch) of(version string) counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[version]
}

func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.seen)
}

func (w *watch) print(to io.Writer) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "version\tcalls\tfailed\t")
	for _, v := range []string{"1", "2"} {
		c := w.of(v)
		fmt.Fprintf(out, "%s\t%d\t%d\t\n", v, c.calls, c.failed)
	}
	return out.Flush()
}
