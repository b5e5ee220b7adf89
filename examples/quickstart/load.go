package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/thumbs"
)

// callersPerWorker is how many goroutines call for each slot.
const callersPerWorker = 4

// drainTimeout is how long calls in flight may take after Ctrl-C.
const drainTimeout = 15 * time.Second

// runHosted calls the hosted functions from more goroutines than there are slots, so that calls wait, as on a busy
// service. It returns how long all calls took. When ctx ends, it makes no further calls, and the router finishes
// those that have begun.
func runHosted(ctx context.Context, router *faas.Router, fns functions, files []file, cfg config, res *results, bar *progressbar.ProgressBar) (time.Duration, error) {
	start := time.Now()
	callers := new(errgroup.Group)
	callers.SetLimit(callersPerWorker * cfg.workers)
	// Ctrl-C must not cancel the calls: draining means that they finish.
	calls := context.WithoutCancel(ctx)
	for i := 0; i < cfg.rounds*len(files) && ctx.Err() == nil; i++ {
		f := files[i%len(files)]
		callers.Go(func() error {
			fns.call(calls, f, res)
			return bar.Add(1)
		})
	}
	if ctx.Err() == nil {
		_ = callers.Wait() // only the progress bar can fail, which does not matter
	}

	drain, cancel := context.WithTimeout(calls, drainTimeout)
	defer cancel()
	err := router.Shutdown(drain)
	_ = callers.Wait()
	finish(bar)
	return time.Since(start), err
}

// timing is how long it took to go through all files a number of times.
type timing struct {
	rounds int
	took   time.Duration
}

// runAlone calls the plain functions one after the other, without the host, as a loop would. It makes an eighth of
// the rounds, and at least one, so that the comparison does not take too long. It runs after the hosted calls, so
// files and caches are warm, which is an advantage for the loop.
func runAlone(ctx context.Context, files []file, rounds int, stderr io.Writer) timing {
	t := timing{rounds: (rounds + 7) / 8}
	bar := progress(stderr, t.rounds*len(files), "one at a time")
	defer finish(bar)
	fns := functions{thumbnail: thumbs.Make, words: countWords}
	ignored := newResults()
	start := time.Now()
	for i := range t.rounds * len(files) {
		if ctx.Err() != nil {
			return timing{}
		}
		fns.call(ctx, files[i%len(files)], ignored)
		_ = bar.Add(1)
	}
	t.took = time.Since(start)
	return t
}

// measureHosting returns the cost of hosting a call: the time of a call to a function that does nothing. That
// function is hosted and metered as the others are. The result leaves out the cost of waiting.
func measureHosting(ctx context.Context) time.Duration {
	const calls = 20_000
	router := faas.New(faas.WithMeter(newRecorder()))
	defer router.Close()
	nothing := faas.Register(router, "nothing", faas.NoInputOrOutput(func(context.Context) error { return nil }))
	start := time.Now()
	n := 0
	for ; n < calls && ctx.Err() == nil; n++ {
		_, _ = nothing.Invoke(ctx, struct{}{}) // can't fail
	}
	return time.Since(start) / time.Duration(max(n, 1))
}

// progress draws a bar if w is a terminal. Otherwise, for example in a log, it draws nothing.
func progress(w io.Writer, n int, what string) *progressbar.ProgressBar {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		w = io.Discard
	}
	return progressbar.NewOptions(n,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(40),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionShowCount(),
	)
}

// finish removes the bar from the screen, also if it has not reached its end.
func finish(bar *progressbar.ProgressBar) {
	_ = bar.Exit()
	_ = bar.Clear()
}
