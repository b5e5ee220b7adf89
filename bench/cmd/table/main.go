// Command table measures faas among its peers and prints the comparison, and
// how each of the project's performance targets stands, as Markdown.
//
//	go run ./cmd/table                # everything, a few minutes
//	go run ./cmd/table -quick         # the targets' cells, under a minute
//	go run ./cmd/table -runs 15       # steadier medians
//
// The whole list of peers is run -runs times over, so that whatever else the
// machine does hits all of them alike. Every figure is a median over the runs
// and every ratio the median of the ratios of single runs. The exit status
// says nothing of the targets: a busy machine is no failure.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("table", flag.ExitOnError)
	runs := flags.Int("runs", 5, "how often the whole list is run")
	benchtime := flags.Duration("benchtime", 50*time.Millisecond, "time for each cell of the table in each run")
	quick := flags.Bool("quick", false, "only the cells that targets are about, for less time")
	waiting := flags.Int("waiting", 100_000, "calls that wait in their handlers when memory is measured")
	child := flags.String("child", "", "measure one case of memory and print it as JSON (the command starts itself so)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *child != "" {
		return printHeld(stdout, *child)
	}
	if *runs < 1 || *benchtime <= 0 || *waiting < 1 {
		return errors.New("-runs, -benchtime and -waiting must be positive")
	}
	p := fullPlan(*runs, *benchtime, *waiting)
	if *quick {
		p = quickPlan(flags, p)
	}
	res, err := p.measure(stderr)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	res.print(out, p)
	return out.Flush()
}

// printHeld is the child's whole life.
func printHeld(w io.Writer, spec string) error {
	c, err := parseHeldCase(spec)
	if err != nil {
		return err
	}
	h, err := c.measure()
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(h)
}
