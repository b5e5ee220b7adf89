// Command sidework delivers webhooks the way services do it, beside their requests, but with hosted functions where they
// write go func(). One endpoint's function panics, one hangs and heeds no context, the rest deliver:
//
//	go run ./examples/sidework [-term 300ms] [-drain 1s]
//
// After -term it sends itself a SIGTERM, as a deployment would; with -term 0 it waits for yours (or Ctrl-C). What is on
// its way is then drained, for -drain at most, and the program tells what became of each of the 500 webhooks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/inproc/faas"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sidework:", err)
		os.Exit(1)
	}
}

const webhooks = 500

// A burst of webhooks every few milliseconds: faster than the endpoints take them, so that some are still waiting when
// SIGTERM comes, and a few come after it.
const (
	burst = 10
	every = 7 * time.Millisecond
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("sidework", flag.ContinueOnError)
	flags.SetOutput(stderr)
	term := flags.Duration("term", 300*time.Millisecond, "send yourself a SIGTERM after this `time`; 0: wait for one")
	drain := flags.Duration("drain", time.Second, "how much `time` there is to finish after SIGTERM")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}

	partners, err := startPartners()
	if err != nil {
		return err
	}
	defer partners.Close() // which at last ends the calls that hang
	s := newService(partners.URL())
	defer s.Close()

	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	var sent sync.WaitGroup
	sent.Go(s.sendAll)
	fmt.Fprintf(stdout, "sending %d webhooks to %d endpoints\n", webhooks, len(s.endpoints))
	if *term > 0 {
		timer := time.AfterFunc(*term, func() { signalSelf(stop) })
		defer timer.Stop()
	}
	select {
	case <-s.allSent:
		fmt.Fprintf(stdout, "all are sent; waiting for SIGTERM, process %d\n", os.Getpid())
		<-ctx.Done()
	case <-ctx.Done():
	}
	stop() // from here on, a second signal ends the program at once

	s.shutdown(stdout, *drain)
	sent.Wait() // every webhook has its answer now, be it that it was refused
	s.printTable(stdout)
	return nil
}

// signalSelf is the deployment that takes this process down.
func signalSelf(stop func()) {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	if err != nil { // Windows has no such signal
		stop()
	}
}

// service is what sends webhooks: a router with one function per endpoint, so that each endpoint has a timeout, a number
// of slots and a queue of its own, and one that is slow or broken can't take the others with it.
type service struct {
	router    *faas.Router
	client    *client
	endpoints []*endpoint
	tally     *tally
	allSent   chan struct{} // closed when the last webhook has been started
}

type endpoint struct {
	name    string
	deliver *faas.Function[webhook, struct{}]
}

func newService(base string) *service {
	s := &service{client: newClient(base), tally: newTally(), allSent: make(chan struct{})}
	s.router = faas.New(
		faas.WithTimeout(200*time.Millisecond),
		faas.WithConcurrency(4), // for each endpoint
		faas.WithQueue(100),
		faas.WithQueueTimeout(500*time.Millisecond),
		faas.WithLogger(slog.New(slog.DiscardHandler)), // the table tells
	)
	for _, e := range []struct {
		name    string
		deliver faas.Handler[webhook, struct{}]
	}{
		{"shop", s.client.deliver},
		{"mail", s.client.deliver},
		{"audit", s.client.deliver},
		{"legacy", s.client.deliverLegacy}, // panics
		{"blackhole", s.client.deliverDeaf},
	} {
		s.endpoints = append(s.endpoints, &endpoint{e.name, faas.Register(s.router, e.name, e.deliver)})
	}
	return s
}

// sendAll starts every webhook and returns when each has its answer. A service would start them one by one, from its
// requests, and never wait.
func (s *service) sendAll() {
	var wg sync.WaitGroup
	for i := range webhooks {
		if i%burst == 0 {
			time.Sleep(every)
		}
		e := s.endpoints[i%len(s.endpoints)]
		// Instead of `go deliver(...)`: no request waits for this goroutine either, but the call in it has a deadline, a
		// slot and a record, a panic in it is an error, and Shutdown waits for it.
		wg.Go(func() {
			_, err := e.deliver.Invoke(context.Background(), webhook{ID: i, Endpoint: e.name, Payload: "order;created"})
			s.tally.add(e.name, err)
		})
	}
	close(s.allSent)
	wg.Wait()
}

// shutdown stops taking webhooks and finishes those on their way. What does not stop in time is named, and left behind:
// a goroutine cannot be killed, but nor can it keep the process.
func (s *service) shutdown(stdout io.Writer, timeout time.Duration) {
	delivered, onTheirWay := s.tally.startDrain(), s.inFlight()
	fmt.Fprintf(stdout, "SIGTERM: %d delivered, %d on their way; draining for %s at most\n", delivered, onTheirWay, timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	start := time.Now()
	err := s.router.Shutdown(ctx)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		fmt.Fprintf(stdout, "after %s, this would not stop: %v\n", took, err)
		return
	}
	fmt.Fprintf(stdout, "drained in %s\n", took)
}

// inFlight is how many webhooks run or wait.
func (s *service) inFlight() int {
	n := 0
	for info := range s.router.Functions() {
		n += info.InFlight + info.Queued
	}
	return n
}

func (s *service) Close() {
	_ = s.router.Close()
	s.client.CloseIdleConnections()
}
