package faas

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Execution is the record of one admitted call: what it was, how it ended, and
// what there is to bill. Durations are monotonic, in nanoseconds.
type Execution struct {
	ID       uuid.UUID         // of the invocation; unique, a UUIDv7
	Function string            // its name
	Version  string            // its version
	Tenant   string            // for which tenant it ran, see WithTenant; empty: for none in particular
	Labels   map[string]string // the function's; shared by all records, not to be changed
	Attempt  int               // 1 for the first
	Outcome  Outcome
	Err      error         // what the caller was answered; set on every record that is not OK
	Start    time.Time     // when the handler was started
	Queued   time.Duration // how long the call waited for its slot before that
	Init     time.Duration // how much of it went into initializing an instance
	Duration time.Duration // from start to the answer: the billed time
	Memory   int64         // declared by WithMemory, bytes
	BytesIn  int           // of the payload; 0 for typed calls
	BytesOut int           // of the encoded output; 0 for typed calls; what a streaming handler has written
	Cold     bool          // the call had to wait for a new instance

	FirstByte time.Duration // from start to the first piece of a streaming handler; 0: none came, or it does not stream

	Origin   Origin    // where the call came from, as in its Invocation
	Job      uuid.UUID // as in its Invocation
	Delivery int       // as in its Invocation
}

// Overrun is what a runaway has used beyond its record: from the moment its
// caller was freed until its handler ended.
type Overrun struct {
	ID       uuid.UUID // of the invocation, as in its Execution
	Function string
	Version  string
	Tenant   string
	Labels   map[string]string // shared, not to be changed
	Duration time.Duration
	Memory   int64 // declared, bytes
}

// Meter takes the record of every admitted call: for cost accounting, metrics,
// logs. A refused call has none; [Info] and [Stats] count those.
//
//   - Record is called exactly once for each admitted call, on the goroutine
//     that settles it and before its caller has the answer: when Invoke
//     returns, the record has been made.
//   - It is called by many goroutines at once, and in no particular order.
//   - It must not block: the caller waits for it. A slow sink goes behind
//     [Buffered].
//   - It may call [Router.Close], which then does not wait for records, and
//     [Router.Shutdown] with ctx. It must not wait for a goroutine that does.
//   - ctx has the call's [Invocation] and what WithContext carried over. It is
//     never canceled and has no deadline.
//   - e may be kept.
//   - A panic is caught, logged and counted in Stats.HookPanics; the record is
//     lost to this meter, and nothing else changes.
type Meter interface {
	Record(ctx context.Context, e Execution)
}

// OverrunMeter is a [Meter] that also wants to know what runaways cost.
// RecordOverrun is called once for each runaway that ends, after its Execution
// has been recorded and under the same rules.
type OverrunMeter interface {
	RecordOverrun(ctx context.Context, o Overrun)
}

// BatchMeter is a [Meter] to which many records at once cost less than one after
// the other: a file that is synced, a request to a server. RecordBatch stands for
// a Record of each of es, in their order, under the same rules but two: ctx has no
// Invocation and no values, for these are of several calls, and es is not to be
// kept, while its elements may be. The router records one call at a time; it is
// [Buffered] that has batches to give.
type BatchMeter interface {
	RecordBatch(ctx context.Context, es []Execution)
}

// Reserver is a [Meter] whose room is bounded. Reserve is asked before a call
// is admitted, and no (or a panic) refuses the call with [ReasonMeterFull]: no
// work runs that could not be recorded. Each yes is used up by one Record, or
// given back by Unreserve if the call is refused afterwards. Both are called by
// many goroutines at once and must not block.
type Reserver interface {
	Reserve() bool
	Unreserve()
}

// MeterFunc is a function that serves as a [Meter].
type MeterFunc func(ctx context.Context, e Execution)

// Record calls f.
func (f MeterFunc) Record(ctx context.Context, e Execution) { f(ctx, e) }

// Meters returns a meter that passes everything on to each of ms, in their
// order; nil ones are left out. One that panics does not keep the record from
// those after it. It is an [OverrunMeter] and a [Reserver] for those of ms
// that are: it reserves with all or none.
func Meters(ms ...Meter) Meter {
	var all meters
	for _, m := range ms {
		switch m := m.(type) {
		case nil:
		case meters:
			all = append(all, m...)
		default:
			all = append(all, m)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

type meters []Meter

func (ms meters) Record(ctx context.Context, e Execution) {
	done := 0
	defer func() { // reached early by a panic, which goes on once the others are served
		if done < len(ms) {
			ms[done+1:].Record(ctx, e)
		}
	}()
	for _, m := range ms {
		m.Record(ctx, e)
		done++
	}
}

func (ms meters) RecordOverrun(ctx context.Context, o Overrun) {
	done := 0
	defer func() {
		if done < len(ms) {
			ms[done+1:].RecordOverrun(ctx, o)
		}
	}()
	for _, m := range ms {
		if m, ok := m.(OverrunMeter); ok {
			m.RecordOverrun(ctx, o)
		}
		done++
	}
}

func (ms meters) Reserve() bool {
	got := 0
	defer func() { // with all or none, also where one of them panics
		if got < len(ms) {
			ms[:got].Unreserve()
		}
	}()
	for _, m := range ms {
		if r, ok := m.(Reserver); ok && !r.Reserve() {
			return false
		}
		got++
	}
	return true
}

func (ms meters) Unreserve() {
	for _, m := range ms {
		if r, ok := m.(Reserver); ok {
			r.Unreserve()
		}
	}
}

// flusher is a meter that holds records back, as a BufferedMeter does.
type flusher interface {
	Flush(ctx context.Context) error
}

// Flush has every meter that holds records back deliver them, all at once. Its
// error is those of all that could not.
func (ms meters) Flush(ctx context.Context) error {
	return errors.Join(flushAll(ctx, ms.flushers(nil))...)
}

// flushAll answers what each has answered.
func flushAll(ctx context.Context, all []flusher) []error {
	var g errgroup.Group
	errs := make([]error, len(all))
	for i, m := range all {
		errs[i] = errFlushExited // unless it comes to its end
		g.Go(func() error {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = &PanicError{Value: p, Stack: stack()}
				}
			}()
			errs[i] = m.Flush(ctx)
			return nil
		})
	}
	_ = g.Wait()
	return errs
}

// flushers adds those of ms that hold records back, each once.
func (ms meters) flushers(to []flusher) []flusher {
	for _, m := range ms {
		switch m := m.(type) {
		case meters:
			to = m.flushers(to)
		case flusher:
			if !slices.ContainsFunc(to, func(f flusher) bool { return same(f, m) }) {
				to = append(to, m)
			}
		}
	}
	return to
}

// same tells whether two meters are one; values that can't be compared are not.
func same(a, b any) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

var errFlushExited = errors.New("a meter's Flush ended its goroutine")
