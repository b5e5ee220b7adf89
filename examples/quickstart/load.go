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

// callersPerWorker is how many callers there are for each slot.
const callersPerWorker = 4

// drainTimeout is how long calls in flight may take after Ctrl-C.
const drainTimeout = 15 * time.Second

// runHosted calls the hosted functions from more goroutines than there are slots, so that calls wait, as they do on a
// busy service, and returns how long it took. When ctx ends, it stops asking, and has the router finish what has begun.
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
		_ = callers.Wait() // an error of the progress bar's terminal does not matter
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

// runAlone calls the plain functions one after the other, without the host: what a loop would take. It goes through the
// files for an eighth of the rounds, and at least once, so that the comparison doesn't take longer than the thing.
// It runs after the hosted calls, so that what is then warm (files, caches) is to the loop's advantage.
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

// measureHosting is what a call costs beside what its function does: that of a function that does nothing, hosted and
// metered as the others are, but for what waiting costs.
func measureHosting(ctx context.Context) time.Duration {
	const calls = 20_000
	router := faas.New(faas.WithMeter(newRecorder()))
	defer router.Close()
	nothing := faas.Register(router, "nothing", faas.NoInputOrOutput(func(context.Context) error { return nil }))
	start := time.Now()
	n := 0
	for ; n < calls && ctx.Err() == nil; n++ {
		_, _ = nothing.Invoke(ctx, struct{}{}) // it can't fail
	}
	return time.Since(start) / time.Duration(max(n, 1))
}

// progress draws a bar on a terminal, and nothing anywhere else: a log has no use for it.
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

// finish takes the bar off the screen, also where it has not reached its end.
func finish(bar *progressbar.ProgressBar) {
	_ = bar.Exit()
	_ = bar.Clear()
}
