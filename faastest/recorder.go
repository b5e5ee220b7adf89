package faastest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/inproc/faas"
)

// Recorder is a [faas.Meter] and [faas.OverrunMeter] that keeps what it is given,
// for a test to read. Its zero value is ready; it must not be copied. All methods
// may be called concurrently.
//
// It keeps every record until Reset, and returns copies. Their Labels are shared
// with the router and must not be changed. A Recorder may be used inside a
// [testing/synctest] bubble, and its records may be read after the bubble has
// ended; Wait must be called in the bubble that records.
type Recorder struct {
	mu         sync.Mutex // guards the fields below
	executions []faas.Execution
	overruns   []faas.Overrun
	changed    chan struct{} // closed at the next record; nil: no goroutine waits
}

// Record keeps e.
func (r *Recorder) Record(_ context.Context, e faas.Execution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.executions = append(r.executions, e)
	r.wake()
}

// RecordOverrun keeps o.
func (r *Recorder) RecordOverrun(_ context.Context, o faas.Overrun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overruns = append(r.overruns, o)
	r.wake()
}

// wake ends the waits of look's callers; r.mu must be held.
func (r *Recorder) wake() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Executions returns all records in the order in which they were made.
func (r *Recorder) Executions() []faas.Execution {
	return r.By(func(faas.Execution) bool { return true })
}

// By returns the records for which keep is true, in order: for example those of
// one function or tenant, or those that failed. keep must not call the Recorder,
// because By holds its lock.
func (r *Recorder) By(keep func(e faas.Execution) bool) []faas.Execution {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kept []faas.Execution
	for _, e := range r.executions {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// Overruns returns what runaways (handlers that outlived their calls) have used
// beyond their records, in the order in which they ended.
func (r *Recorder) Overruns() []faas.Overrun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.overruns)
}

// Len returns the number of executions.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.executions)
}

// Wait waits until there are at least n executions since the last Reset, and
// returns nil, or an error that wraps ctx's if ctx ends first. The record of a
// call needs no Wait: it is made before Invoke returns.
func (r *Recorder) Wait(ctx context.Context, n int) error {
	return r.wait(ctx, n, "executions", func() int { return len(r.executions) })
}

// WaitOverruns is like Wait, for overruns: it waits until n handlers that
// outlived their calls have ended.
func (r *Recorder) WaitOverruns(ctx context.Context, n int) error {
	return r.wait(ctx, n, "overruns", func() int { return len(r.overruns) })
}

func (r *Recorder) wait(ctx context.Context, n int, what string, count func() int) error {
	for {
		have, changed := r.look(n, count)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("faastest: %d of %d %s: %w", have, n, what, ctx.Err())
		}
	}
}

// look returns the count and, if that is below n, a channel that is closed at the
// next record. It makes no channel if the count is reached: a channel belongs to
// the synctest bubble that makes it, and the next record may come from outside.
func (r *Recorder) look(n int, count func() int) (int, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := count()
	if have >= n {
		return have, nil
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return have, r.changed
}

// Reset drops all records. Slices that were returned keep theirs.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.executions, r.overruns = nil, nil
}
