package faastest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/inproc/faas"
)

// Recorder is a [faas.Meter] and [faas.OverrunMeter] that remembers. Its zero
// value is ready; it must not be copied. All methods may be called concurrently.
//
// It keeps every record until Reset, and returns copies. Their Labels are shared
// with the router, and not to be changed. A Recorder may be used inside a
// [testing/synctest] bubble, and its records read after the bubble has ended;
// Wait has to be called in the bubble that records.
type Recorder struct {
	mu         sync.Mutex // guards what follows
	executions []faas.Execution
	overruns   []faas.Overrun
	changed    chan struct{} // closed at the next record; nil: nobody waits
}

// Record remembers e.
func (r *Recorder) Record(_ context.Context, e faas.Execution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.executions = append(r.executions, e)
	r.tell()
}

// RecordOverrun remembers o.
func (r *Recorder) RecordOverrun(_ context.Context, o faas.Overrun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.overruns = append(r.overruns, o)
	r.tell()
}

// tell wakes those who wait; the lock is held.
func (r *Recorder) tell() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Executions returns all records in the order in which they were made.
func (r *Recorder) Executions() []faas.Execution {
	return r.By(func(faas.Execution) bool { return true })
}

// By returns the records for which keep is true, in order: of one function, of
// one tenant, of those that failed. keep must not call the Recorder.
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

// Overruns returns what runaways have used beyond their records, in the order
// in which they ended.
func (r *Recorder) Overruns() []faas.Overrun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.overruns)
}

// Len is how many executions there are.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.executions)
}

// Wait returns when there are at least n executions since the last Reset, or
// with ctx's error. A call's own record needs no waiting: it is made before
// Invoke returns.
func (r *Recorder) Wait(ctx context.Context, n int) error {
	return r.wait(ctx, n, "executions", func() int { return len(r.executions) })
}

// WaitOverruns is Wait for overruns: for the ends of handlers that have
// outlived their calls.
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

// look counts and, if there are fewer than n, returns what is closed at the
// next record. No channel is left behind for a count that is reached: it would
// belong to this bubble, and whoever records next may be outside.
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

// Reset forgets all records, and leaves those that were returned alone.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.executions, r.overruns = nil, nil
}
