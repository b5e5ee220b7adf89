// Reconcile compares a ledger of calls with what the router has counted, or with what
// AWS has billed for the same functions.
//
//	reconcile LEDGER COUNTERS
//	reconcile -cur EXPORT [-tolerance 1%] [-book aws-lambda-x86] LEDGER
//
// LEDGER is the file; it may be in use. COUNTERS is a file with the JSON of
// ledgersqlite.Counters, which the host that writes the ledger must provide, or - for
// the standard input:
//
//	curl -s localhost:8080/debug/counters | reconcile calls.db -
//
// EXPORT is the CSV of a Cost and Usage Report 2.0 of AWS Data Exports, plain or as gzip,
// made hourly or daily and with resources: see cost.ReadAWSBill. Compute and requests are
// compared by function and day, after the ledger's records are rounded by a price list of
// Lambda. The tolerance is a part of the larger of the two amounts; differences that do not
// exceed it are not printed. Usage types that were not compared are listed.
//
// With -verify it checks the whole ledger first, which reads it several times.
//
// The exit status is 0 if the two agree, 1 if there are differences, which are printed,
// and 2 if they could not be compared.
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
		fmt.Fprintln(stderr, "usage: reconcile [-verify] LEDGER COUNTERS\n       reconcile [-verify] -cur EXPORT [-tolerance 1%] [-book NAME] LEDGER\n"+
			"The counters are a JSON file of ledgersqlite.Counters, or - for the standard input.\nThe export is a CSV of AWS's Cost and Usage Report 2.0.")
		flags.PrintDefaults()
	}
	var b bill
	verify := flags.Bool("verify", false, "check all of the ledger first")
	flags.StringVar(&b.export, "cur", "", "compare with an `export` of AWS's Cost and Usage Report")
	flags.StringVar(&b.tolerance, "tolerance", "0%", "what part may differ from the AWS bill: `1%` or 0.01")
	flags.StringVar(&b.book, "book", "aws-lambda-x86", "the price list, by `name`, whose rounding the ledger's records get")
	if err := flags.Parse(args); err != nil {
		return trouble
	}
	want, compare, other := 2, withCounters(flags.Arg(1), stdin), "scheduler"
	if b.export != "" {
		want, compare, other = 1, b.compare(stderr), "AWS bill"
	}
	if flags.NArg() != want {
		flags.Usage()
		return trouble
	}
	found, err := reconcile(ctx, flags.Arg(0), *verify, compare)
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
	fmt.Fprintf(stdout, "the ledger and the %s agree\n", other)
	return same
}

// comparison finds where a ledger differs from something else.
type comparison func(ctx context.Context, r *ledgersqlite.Reader) ([]fmt.Stringer, error)

func reconcile(ctx context.Context, ledger string, verify bool, compare comparison) (_ []fmt.Stringer, err error) {
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
	return compare(ctx, r)
}

func withCounters(file string, stdin io.Reader) comparison {
	return func(ctx context.Context, r *ledgersqlite.Reader) ([]fmt.Stringer, error) {
		c, err := readCounters(file, stdin)
		if err != nil {
			return nil, err
		}
		return lines(r.Reconcile(ctx, c))
	}
}

func lines[T fmt.Stringer](found []T, err error) ([]fmt.Stringer, error) {
	var all []fmt.Stringer
	for _, d := range found {
		all = append(all, d)
	}
	return all, err
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
