// Command sidework delivers webhooks beside the requests of a service, for which one would often write go func(). The
// endpoint answers every second request with 503, and a SIGTERM comes while webhooks wait for their next try:
//
//	go run ./examples/sidework [-term 100ms] [-drain 1s]
//
// Webhooks that are due before -drain is over are still delivered; the number of the others is printed. Each of the 400
// webhooks is counted as one or the other. The program sends itself the SIGTERM, as a deployment would: at the time -term
// after all webhooks were tried once. With -term 0 it waits for yours (or Ctrl-C).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
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

const webhooks = 400

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("sidework", flag.ContinueOnError)
	flags.SetOutput(stderr)
	term := flags.Duration("term", 100*time.Millisecond, "send yourself a SIGTERM this `time` after all webhooks were tried once; 0: wait for one")
	drain := flags.Duration("drain", time.Second, "how much `time` there is to finish after SIGTERM")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	endpoint, err := startEndpoint()
	if err != nil {
		return err
	}
	defer endpoint.Close()
	s := newService(endpoint.URL())
	defer s.Close()

	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	start := time.Now()
	for i := range webhooks {
		if err := s.order(ctx, i); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%d orders taken in %s, each with a webhook to send\n", webhooks, time.Since(start).Round(time.Millisecond))
	s.awaitBackoff(ctx)
	fmt.Fprintf(stdout, "%s; waiting for SIGTERM, process %d\n", s.progress(), os.Getpid())
	if *term > 0 {
		timer := time.AfterFunc(*term, func() { signalSelf(stop) })
		defer timer.Stop()
	}
	<-ctx.Done()
	stop() // from here on, a second signal ends the program at once
	return s.shutdown(stdout, *drain, endpoint)
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

// service takes orders, and sends a partner a webhook about each.
type service struct {
	router  *faas.Router
	queue   faas.JobQueue
	client  http.Client
	url     string
	deliver *faas.Function[webhook, struct{}]
}

// webhook is one message to the endpoint.
type webhook struct {
	ID      int
	Payload string
}

func newService(url string) *service {
	s := &service{
		queue:  faas.NewMemoryJobs(0, 0), // with a durable queue instead, webhooks survive kill -9
		client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}, url: url,
	}
	s.router = faas.New(faas.WithJobs(s.queue))
	s.deliver = faas.Register(s.router, "deliver", s.post,
		faas.WithTimeout(time.Second), // the timeout of one try
		faas.WithConcurrency(8),       // how many tries run at once
		faas.WithRetry(faas.Retry{Max: 100, First: 400 * time.Millisecond, Longest: 5 * time.Second, Jitter: 0.5}),
		faas.WithMaxAge(24*time.Hour)) // a webhook of that age is dead; examples/jobs shows what can be done with it
	return s
}

// order is the work of a request. It does not wait for the webhook.
func (s *service) order(ctx context.Context, n int) error {
	_, err := s.deliver.Send(ctx, webhook{ID: n, Payload: "order;created"})
	return err // for example, the queue is full; the request waits only for this answer
}

// post delivers a webhook. It is an ordinary function; if it returns an error, it is called again later.
func (s *service) post(ctx context.Context, hook webhook) (struct{}, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(hook.Payload))
	if err != nil {
		return struct{}{}, faas.Permanent(err)
	}
	req.Header.Set("Webhook-Id", strconv.Itoa(hook.ID)) // the same for each try, so that the endpoint recognizes a repetition
	resp, err := s.client.Do(req)
	if err != nil {
		return struct{}{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return struct{}{}, fmt.Errorf("the endpoint answers %s", resp.Status)
	}
	return struct{}{}, nil
}

// awaitBackoff waits until every webhook was tried once. Those that are not delivered then wait for their next try.
func (s *service) awaitBackoff(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !s.allTried(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *service) allTried(ctx context.Context) bool {
	for job, err := range s.router.Jobs(ctx, faas.JobFilter{Function: "deliver"}) {
		if err != nil || job.Deliveries == 0 {
			return false
		}
	}
	return true
}

func (s *service) jobs() faas.JobCount {
	counts, err := s.queue.Count(context.Background())
	if err != nil {
		return faas.JobCount{}
	}
	return counts["deliver"]
}

func (s *service) progress() string {
	jobs := s.jobs()
	return fmt.Sprintf("%d delivered, %d wait for their next try", jobs.Succeeded, jobs.Waiting()+jobs.Running)
}

// shutdown delivers the webhooks that are due in time. The error of the router's Shutdown has the number of those that are
// left.
func (s *service) shutdown(stdout io.Writer, timeout time.Duration, endpoint *endpoint) error {
	fmt.Fprintf(stdout, "SIGTERM: %s; draining for %s\n", s.progress(), timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	start := time.Now()
	err := s.router.Shutdown(ctx)
	left := &faas.JobsLeft{}
	if err != nil && !errors.As(err, &left) {
		return err
	}
	delivered, named := s.jobs().Succeeded, left.ByFunction["deliver"]
	fmt.Fprintf(stdout, "drained in %s: %d delivered, %d named as left\n", time.Since(start).Round(time.Millisecond), delivered, named)
	fmt.Fprintf(stdout, "the endpoint has taken %d\n", endpoint.count())
	if delivered+named != webhooks {
		return fmt.Errorf("of %d webhooks %d are lost", webhooks, webhooks-delivered-named)
	}
	return nil
}

func (s *service) Close() {
	_ = s.router.Close()
	s.client.CloseIdleConnections()
}
