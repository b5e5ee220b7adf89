// Command table measures faas and its peers. It prints the comparison, and whether the
// project's performance targets are met, as Markdown.
//
//	go run ./cmd/table                # everything, a few minutes
//	go run ./cmd/table -quick         # the targets' cells, under a minute
//	go run ./cmd/table -runs 15       # steadier medians
//
// It runs the whole list of peers -runs times, so that other load on the machine
// affects all of them alike. Every figure is the median of the runs, and every ratio the
// median of the ratios of single runs. A missed target does not change the exit
// status, because a busy machine may be the cause.
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

// printHeld runs the case in the child and prints the result.
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
