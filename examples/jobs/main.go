// Command jobs sends jobs, which are calls that are made later. One is retried. One reports its progress. One is given
// up, and then replayed with another input. One waits for a retry when SIGTERM comes. At the end the program prints the
// cost of each job.
//
//	go run ./examples/jobs [-term 50ms] [-drain 100ms]
//
// The program sends itself the SIGTERM when the other jobs have ended, after the time of -term. With -term 0 it waits for
// yours (or Ctrl-C).
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
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "jobs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("jobs", flag.ContinueOnError)
	flags.SetOutput(stderr)
	term := flags.Duration("term", 50*time.Millisecond, "send yourself a SIGTERM this `time` after the rest is done; 0: wait for one")
	drain := flags.Duration("drain", 100*time.Millisecond, "how much `time` there is to finish after SIGTERM")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	h, err := newHost(stdout)
	if err != nil {
		return err
	}
	defer h.router.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	for _, step := range []func(context.Context) error{h.retry, h.progress, h.deadLetter, h.wait} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "waiting for SIGTERM, process %d\n", os.Getpid())
	if *term > 0 {
		timer := time.AfterFunc(*term, func() { signalSelf(stop) })
		defer timer.Stop()
	}
	<-ctx.Done()
	stop() // from here on, a second signal ends the program at once
	h.shutdown(*drain)
	return printBill(stdout, h.ledger, h.book, h.router.Job)
}

// signalSelf sends SIGTERM to this process, as a deployment does.
func signalSelf(stop func()) {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	if err != nil { // Windows has no such signal
		stop()
	}
}

// host is a router with the functions of an office.
type host struct {
	out     io.Writer
	book    *cost.Book
	ledger  *cost.Ledger
	router  *faas.Router
	letters *letters
	send    *faas.Function[mail, string]
	rows    *faas.Function[int64, int64]
}

func newHost(out io.Writer) (*host, error) {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		return nil, err
	}
	book = book.AnyTime() // prices for any date, because a test's clock begins in 2000
	h := &host{out: out, book: book, letters: &letters{make(chan faas.JobEnvelope)}}
	h.ledger = newLedger(book, func(id uuid.UUID) *faas.Job[[]byte] { return h.router.Job(id) })
	h.router = faas.New(faas.WithMeter(h.ledger))
	o := &office{h.letters}
	h.send = faas.Register(h.router, "send", o.send,
		faas.WithTimeout(10*time.Second),
		// Two retries, 0.1 and 10 s after a failure. The default is Lambda's: after one minute and after two.
		faas.WithRetry(faas.Retry{Max: 2, First: 100 * time.Millisecond, Factor: 100}),
		// A job that is given up goes here, with its input and the reason.
		faas.WithOnFailure(faas.ToFunc(h.letters.take)))
	h.rows = faas.Register(h.router, "rows", o.rows, faas.WithTimeout(time.Minute))
	return h, nil
}

// sentAs returns a label that identifies a job in the bill and in Router.Jobs.
func sentAs(name string) faas.SendOption {
	return faas.WithJobLabels(map[string]string{"as": name})
}

// retry sends a mail that arrives at the third delivery.
func (h *host) retry(ctx context.Context) error {
	job, err := h.send.Send(ctx, mail{To: "ana@example.com", Text: "hello"}, sentAs("welcome"))
	if err != nil {
		return err // the job was not accepted: the queue is full, or a gate has denied it
	}
	// A service would go on here. This program waits, to print what happens.
	answer, err := job.Wait(ctx)
	if err != nil {
		return err
	}
	info, err := job.Info(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(h.out, "%s, after %d deliveries, %d of them attempts\n", answer, info.Deliveries, info.Attempts)
	return nil
}

// progress prints how far an import is.
func (h *host) progress(ctx context.Context) error {
	job, err := h.rows.Send(ctx, 10, sentAs("import"))
	if err != nil {
		return err
	}
	seen := int64(0)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := job.Info(ctx)
		if err != nil {
			return err
		}
		if p := info.Progress; p.Done >= seen+5 {
			seen = p.Done
			fmt.Fprintf(h.out, "import: %d of %d %s\n", p.Done, p.Total, p.Note)
		}
		if info.State.IsSettled() {
			fmt.Fprintf(h.out, "import: %s\n", info.State)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deadLetter sends a mail to an invalid address, reads the dead letter, and replays the job with a valid address.
func (h *host) deadLetter(ctx context.Context) error {
	job, err := h.send.Send(ctx, mail{To: "bo at example.com", Text: "hello"}, sentAs("invoice"))
	if err != nil {
		return err
	}
	letter := <-h.letters.came
	fmt.Fprintf(h.out, "dead letter: %s, input %s: %s\n", letter.RequestContext.Condition, letter.RequestPayload, letter.ResponsePayload)

	var m mail
	if err := json.Unmarshal(letter.RequestPayload, &m); err != nil {
		return err
	}
	m.To = "bo@example.com"
	edited, err := json.Marshal(m)
	if err != nil {
		return err
	}
	again, err := job.Replay(ctx, faas.WithInput(edited)) // makes a new job; the record of the dead one stays
	if err != nil {
		return err
	}
	answer, err := again.Wait(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(h.out, "replayed: %s\n", answer)
	return nil
}

// wait sends a mail whose server stays down, and returns when the job waits for its second retry.
func (h *host) wait(ctx context.Context) error {
	job, err := h.send.Send(ctx, mail{To: "ops@example.com"}, sentAs("report"))
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		info, err := job.Info(ctx)
		if err != nil {
			return err
		}
		if info.Waiting.For == faas.WaitBackoff && info.Attempts == 2 {
			fmt.Fprintf(h.out, "report: %s; waits for its retry\n", info.Last.Error)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// shutdown runs the jobs that are due in time, and prints the number of those that are left.
func (h *host) shutdown(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := h.router.Shutdown(ctx)
	if left := (*faas.JobsLeft)(nil); errors.As(err, &left) {
		fmt.Fprintf(h.out, "SIGTERM: %v\n", left)
		return
	}
	fmt.Fprintf(h.out, "SIGTERM: nothing is left (%v)\n", err)
}
