// Command tools is a host of tools for AI agents: a server of the Model Context Protocol (MCP). Without a flag it
// demonstrates itself, with clients of the protocol's SDK: agents send 200 calls at once to five tools: a fast one, a slow
// one, one that ignores its context, one that panics, and one that is busy. Every call has its answer by its deadline or at
// once, and the process works as well afterwards as before. At last an agent with a budget makes more calls than the budget
// allows:
//
//	go run ./examples/tools [-calls n]
//
// With one of these flags it serves the same tools to any client, until it is stopped:
//
//	go run ./examples/tools -stdio                  to the program that started it, as hosts of agents do
//	go run ./examples/tools -http 127.0.0.1:8080    at http://127.0.0.1:8080/mcp
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "tools:", err)
		os.Exit(1) //nolint:gocritic // the deferred stop need not run, because the process ends
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tools", flag.ContinueOnError)
	flags.SetOutput(stderr)
	calls := flags.Int("calls", 200, "how many calls the demonstration makes at once")
	stdio := flags.Bool("stdio", false, "serve MCP on standard input and output")
	addr := flags.String("http", "", "serve MCP over HTTP at this `address`")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	h, err := newHost()
	if err != nil {
		return err
	}
	defer h.router.Close()
	switch {
	case *stdio:
		return h.serveStdio(ctx)
	case *addr != "":
		return h.serveHTTP(ctx, *addr, stderr)
	}
	return h.demonstrate(ctx, *calls, stdout)
}

// demonstrate lets agents call the tools, and prints the results.
func (h *host) demonstrate(ctx context.Context, calls int, stdout io.Writer) error {
	agents, err := connectAll(ctx, h.server, 5)
	if err != nil {
		return err
	}
	defer closeAll(agents)

	fmt.Fprintf(stdout, "%d calls at once, of %d agents:\n\n", calls, len(agents))
	stats := callAll(ctx, agents, calls)
	printAnswers(stdout, stats, h.watch.lateness)
	fmt.Fprintf(stdout, "\nSLOWEST is as agents measure it, LATE past the deadline, by the router.\n")
	for _, name := range toolNames {
		if err := stats[name].unexpected; err != nil {
			return err
		}
	}

	time.Sleep(2 * grace) // until the stuck calls are reported, grace after their deadlines
	fmt.Fprint(stdout, "\nStatus: what is deaf to its context was answered for, but still holds its slot.\n\n")
	printStatus(stdout, h.router)
	h.watch.print(stdout)

	if err := callHealthy(ctx, agents[0], stdout); err != nil {
		return err
	}
	if err := h.allowance.overspend(ctx, h.server, stdout); err != nil {
		return err
	}
	return h.waitForDeaf(ctx, stdout)
}

func callHealthy(ctx context.Context, a *agent, stdout io.Writer) error {
	start := time.Now()
	answer, err := a.call(ctx, "search", "are you well?")
	if err != nil {
		return fmt.Errorf("a healthy tool should answer: %w", err)
	}
	fmt.Fprintf(stdout, "\nThe process is well: after %s, search answers %s\n", ms(time.Since(start)), answer)
	return nil
}

// waitForDeaf shuts the router down. This also waits for the calls of deaf, which end late; their extra time is recorded
// too.
func (h *host) waitForDeaf(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*deafFor)
	defer cancel()
	if err := h.router.Shutdown(ctx); err != nil {
		return err
	}
	n, sum := h.watch.overran()
	fmt.Fprintf(stdout, "Shut down: the %d deaf calls have ended, %.1f s of slot time past their deadlines.\n", n, sum.Seconds())
	return nil
}
