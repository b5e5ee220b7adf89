// Command costs puts a price on the calls of functions. It begins with a month of simulated calls, by five tenants to
// four functions. It prints a budget for each tenant, which stops one of them because its agent calls in a loop; the bill
// by tenant; the same usage by other providers' price lists and on your own machine; and the bill as FOCUS rows, for
// accounting tools. Then it makes real calls for a short time, with a running total on the terminal, and prints the error
// that a caller gets when its budget is spent:
//
//	go run ./examples/costs [-calls n] [-seed n] [-budget "2.25 USD"] [-out directory] [-live 1.5s]
//
// Ctrl-C ends it early, with the numbers so far.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/inproc/faas/cost"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a second Ctrl-C ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "costs:", err)
		os.Exit(1)
	}
}

// config has the values of the command line.
type config struct {
	calls  int           // how many calls the tenants want to make in the simulated month
	seed   uint64        // the seed of the simulation
	budget cost.Money    // what each tenant may spend in the simulated month
	out    string        // the directory that the FOCUS rows are written to
	live   time.Duration // how long real calls are made
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	budget, err := cost.ParseMoney("2.25 USD")
	if err != nil {
		return c, err
	}
	flags := flag.NewFlagSet("costs", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&c.calls, "calls", 100_000, "how many calls are wanted in the simulated month")
	flags.Uint64Var(&c.seed, "seed", 1, "of the simulation: the same one gives the same month")
	flags.TextVar(&c.budget, "budget", budget, "what a tenant may spend in the month, an `amount` in USD")
	flags.StringVar(&c.out, "out", "", "the `directory` for the FOCUS rows (default a new temporary one)")
	flags.DurationVar(&c.live, "live", 1500*time.Millisecond, "how long to make real calls")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if c.calls < 1 || c.live < 0 || flags.NArg() > 0 {
		return c, errors.New(`usage: costs [-calls n] [-seed n] [-budget "2.25 USD"] [-out directory] [-live 1.5s]`)
	}
	return c, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	books, err := loadBooks()
	if err != nil {
		return err
	}
	m, err := newMonth(books, cfg.budget)
	if err != nil {
		return err
	}
	complete := m.replay(ctx, newTraffic(cfg.seed, cfg.calls))
	if err := m.print(stdout, cfg.out); err != nil {
		return err
	}
	if !complete {
		fmt.Fprintln(stdout, "\nInterrupted: these are the numbers so far.")
		return nil
	}
	fmt.Fprintln(stdout)
	return live(ctx, books.lambda, cfg.live, stdout, terminal(stderr))
}

// books are the price lists.
type books struct {
	lambda *cost.Book   // the prices that tenants are billed by
	all    []*cost.Book // lambda, and the price lists to compare it with
}

func loadBooks() (books, error) {
	lambda, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		return books{}, err
	}
	perCore, err := cost.ParseMoney("0.04 USD")
	if err != nil {
		return books{}, err
	}
	perGiB, err := cost.ParseMoney("0.004 USD")
	if err != nil {
		return books{}, err
	}
	own, err := cost.Machine(perCore, perGiB) // prices for an hour
	if err != nil {
		return books{}, err
	}
	return books{lambda: lambda, all: append(cost.Presets(), own)}, nil
}

// terminal returns w if it is a terminal. A pipe or a file gets no line that changes, so for these it returns io.Discard.
func terminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return io.Discard
}

// dollars formats an amount with that many decimals. Only the text is rounded; amounts are computed exactly.
func dollars(m cost.Money, decimals int) string {
	return m.Amount().FloatString(decimals) + " " + m.Currency()
}
