// Reconcile compares a ledger of calls with what the scheduler has counted.
//
//	reconcile LEDGER COUNTERS
//
// LEDGER is the file; it may be in use. COUNTERS is a file with the JSON of
// ledgersqlite.Counters, as the host that writes the ledger gives it away, or - for
// the standard input:
//
//	curl -s localhost:8080/debug/counters | reconcile calls.db -
//
// With -verify it checks all of the ledger first, which reads it several times.
//
// The exit status is 0 if the ledger has a record of each call and no others, 1 if
// there are differences, which are printed, and 2 if that could not be told.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/inproc/faas/cost/ledgersqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status) //nolint:forbidigo // this is a program
}

const (
	same = iota
	different
	trouble
)

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: reconcile [-verify] LEDGER COUNTERS\nThe counters are a JSON file of ledgersqlite.Counters, or - for the standard input.")
		flags.PrintDefaults()
	}
	verify := flags.Bool("verify", false, "check all of the ledger first")
	if err := flags.Parse(args); err != nil {
		return trouble
	}
	if flags.NArg() != 2 {
		flags.Usage()
		return trouble
	}
	found, err := reconcile(ctx, flags.Arg(0), flags.Arg(1), stdin, *verify)
	if err != nil {
		fmt.Fprintln(stderr, "reconcile:", err)
		return trouble
	}
	for _, d := range found {
		fmt.Fprintln(stdout, d)
	}
	if len(found) > 0 {
		return different
	}
	fmt.Fprintln(stdout, "the ledger and the scheduler agree")
	return same
}

func reconcile(ctx context.Context, ledger, counters string, stdin io.Reader, verify bool) (_ []ledgersqlite.Difference, err error) {
	c, err := readCounters(counters, stdin)
	if err != nil {
		return nil, err
	}
	r, err := ledgersqlite.OpenReader(ledger)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if verify {
		if err := r.Verify(ctx); err != nil {
			return nil, err
		}
	}
	return r.Reconcile(ctx, c)
}

func readCounters(file string, stdin io.Reader) (c ledgersqlite.Counters, err error) {
	from := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return c, err
		}
		defer f.Close()
		from = f
	}
	dec := json.NewDecoder(from)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, fmt.Errorf("the counters in %s: %w", file, err)
	}
	return c, nil
}
