// Command scaling calls a function more and more often, then steadily, then not at all. It shows how many instances
// the function has meanwhile, and why:
//
//	go run ./examples/scaling [-ramp 5s] [-hold 4s] [-rate 40] [-out scaling.svg]
//
// Each decision of the scaler is printed when it is made. At the end the program draws demand, capacity and queue.
// Ctrl-C ends it early, with a drawing of the time so far.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a second Ctrl-C ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
}

type config struct {
	ramp, hold time.Duration
	rate       float64 // the highest rate, in calls a second
	out        string
}

func parse(args []string, stderr io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("scaling", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&c.ramp, "ramp", 5*time.Second, "for how long calls become more frequent")
	flags.DurationVar(&c.hold, "hold", 4*time.Second, "for how long they stay so")
	flags.Float64Var(&c.rate, "rate", 40, "calls a second, then")
	flags.StringVar(&c.out, "out", filepath.Join(os.TempDir(), "scaling.svg"), "the `file` for the drawing")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if c.ramp < 0 || c.hold < 0 || !(c.rate > 0 && c.rate <= 1000) {
		return c, errors.New("-ramp and -hold must not be negative, and -rate has to be above 0 and at most 1000")
	}
	return c, nil
}

// An instance takes coldStart to be ready, and a call takes takes.
const (
	coldStart = 200 * time.Millisecond
	takes     = 300 * time.Millisecond
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	s := &show{stdout: stdout, began: time.Now()}
	r := faas.New(faas.WithDecisions(s.decided))
	defer func() { _ = r.Close() }()
	s.function, err = faas.TryRegisterInit(r, "work", s.init,
		// The default window of a minute, as in Knative, is too long to watch.
		faas.WithScaler(faas.ConcurrencyScaler{StableWindow: 6 * time.Second, ZeroGrace: 2 * time.Second}))
	if err != nil {
		return err
	}

	fmt.Fprintf(stdout, "Up to %g calls a second of %v each, for %v; then for %v; then none.\n", c.rate, takes, c.ramp, c.hold)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watch, calls sync.WaitGroup
	watch.Go(func() { s.watch(watching) })
	s.call(ctx, c, &calls)
	calls.Wait()
	s.awaitZero(ctx)
	stop()
	watch.Wait()
	return s.draw(c.out)
}

// show records what happens to the function.
type show struct {
	function *faas.Function[struct{}, struct{}]
	began    time.Time

	mu        sync.Mutex // guards the fields below
	stdout    io.Writer
	held      int // the number of instances, including those that are not ready
	decisions []sim.Decision
	timeline  []sim.Point
}

func (s *show) init(ctx context.Context) (faas.Handler[struct{}, struct{}], func(context.Context) error, error) {
	s.hold(1)
	sleepUntil(ctx, time.Now().Add(coldStart))
	work := func(ctx context.Context, _ struct{}) (struct{}, error) {
		sleepUntil(ctx, time.Now().Add(takes))
		return struct{}{}, ctx.Err()
	}
	return work, func(context.Context) error { s.hold(-1); return nil }, ctx.Err()
}

func (s *show) hold(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held += by
}

// decided prints a decision when it is made.
func (s *show) decided(d faas.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := d.Time.Sub(s.began)
	s.decisions = append(s.decisions, sim.Decision{At: at, Function: d.Function, From: d.From, To: d.To, Rule: d.Rule})
	fmt.Fprintf(s.stdout, "%6.2fs  %2d to %2d  %-20s %2d running, %2d waiting, %5.2f on average\n",
		at.Seconds(), d.From, d.To, d.Rule, d.Load.InFlight, d.Load.Queued, d.Load.Stable)
}

// call makes the calls, at the rate of the configuration.
func (s *show) call(ctx context.Context, c config, calls *sync.WaitGroup) {
	for at := time.Duration(0); at < c.ramp+c.hold && ctx.Err() == nil; {
		calls.Go(func() {
			if _, err := s.function.Invoke(ctx, struct{}{}); err != nil && ctx.Err() == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				fmt.Fprintln(s.stdout, err)
			}
		})
		rate := c.rate
		if at < c.ramp {
			rate = max(1, c.rate*at.Seconds()/c.ramp.Seconds())
		}
		at += time.Duration(float64(time.Second) / rate)
		sleepUntil(ctx, s.began.Add(at))
	}
}

// awaitZero waits until the function has no instances.
func (s *show) awaitZero(ctx context.Context) {
	for i := s.function.Info(); i.Instances+i.Ready > 0 && ctx.Err() == nil; i = s.function.Info() {
		sleepUntil(ctx, time.Now().Add(100*time.Millisecond))
	}
}

// watch records the timeline until ctx ends.
func (s *show) watch(ctx context.Context) {
	for ctx.Err() == nil {
		s.look()
		sleepUntil(ctx, time.Now().Add(50*time.Millisecond))
	}
	s.look()
}

func (s *show) look() {
	i := s.function.Info()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeline = append(s.timeline, sim.Point{At: time.Since(s.began), Running: i.InFlight, Waiting: i.Queued, Instances: s.held})
}

func sleepUntil(ctx context.Context, at time.Time) {
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
	}
}

func (s *show) draw(file string) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := sim.Result{Policy: "work", Decisions: s.decisions, Timeline: s.timeline}
	for i, p := range s.timeline[1:] {
		result.Held += (p.At - s.timeline[i].At) * time.Duration(s.timeline[i].Instances)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	fmt.Fprintf(s.stdout, "%d decisions, %.1f slot-seconds. The drawing: %s\n", len(s.decisions), result.Held.Seconds(), file)
	return result.WriteSVG(f)
}
