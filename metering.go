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

// Execution is the record of one admitted call: which function ran, how the call ended,
// and what there is to bill. Its durations are of the monotonic clock, in nanoseconds.
type Execution struct {
	ID       uuid.UUID         // of the invocation; unique, a UUIDv7
	Function string            // the function's name
	Version  string            // the function's version
	Tenant   string            // for which tenant it ran, see WithTenant; empty: for none in particular
	Labels   map[string]string // the function's labels; all records share the map, so don't change it
	Attempt  int               // 1 for the first
	Outcome  Outcome
	Err      error         // the error that the caller got; set on every record that is not OK
	Start    time.Time     // when the handler was started
	Queued   time.Duration // how long the call waited for its slot before that
	Init     time.Duration // how much of Queued was spent on initializing an instance
	Duration time.Duration // from Start to the end of the call: the billed time
	Memory   int64         // declared by WithMemory, bytes
	BytesIn  int           // of the payload; 0 for typed calls
	BytesOut int           // of the encoded output; 0 for typed calls; for a streaming handler, of what it has written
	Cold     bool          // the call had to wait for a new instance

	FirstByte time.Duration // from Start to the first piece of a streaming handler; 0: there was none, or it does not stream

	Origin   Origin    // where the call came from, as in its Invocation
	Job      uuid.UUID // as in its Invocation
	Delivery int       // as in its Invocation
	Items    int       // as in its Invocation: what an item has cost is this record's cost divided by it
}

// Overrun is what a runaway used beyond its record. A runaway is a handler that still
// runs after its call has ended, for example by a timeout. Its Execution covers the time
// until the call ended; its Overrun covers the time from then until the handler ended.
type Overrun struct {
	ID       uuid.UUID // of the invocation, as in its Execution
	Function string
	Version  string
	Tenant   string
	Labels   map[string]string // as in its Execution: shared, so don't change it
	Duration time.Duration     // from the end of the call to the end of the handler
	Memory   int64             // declared, bytes

	Job      uuid.UUID // of a delivery of a job, these three are as in its Execution; otherwise they are zero
	Delivery int
	Attempt  int
}

// Meter receives the record of every admitted call, for example for cost accounting,
// metrics or logs. A refused call has no record; [Info] and [Stats] count refusals.
//
//   - Record is called exactly once for each admitted call, on the goroutine
//     that settles the call, and before its caller gets the answer. So when Invoke
//     returns, Record has returned.
//   - Many goroutines call it at once, in no particular order.
//   - It must not block, since the caller waits for it. Put a slow sink behind
//     [Buffered].
//   - It may call [Router.Close], which then does not wait for records, and
//     [Router.Shutdown] with ctx (but not from behind [Buffered]: that Shutdown waits
//     for the buffer). It must not wait for another goroutine that calls one of them:
//     that goroutine waits for this record.
//   - ctx has the call's [Invocation] and the values that WithContext carried over.
//     It is never canceled and has no deadline.
//   - It may keep e.
//   - A panic is caught, logged and counted in Stats.HookPanics. This meter loses
//     the record; the call and other meters are not affected.
type Meter interface {
	Record(ctx context.Context, e Execution)
}

// OverrunMeter is a [Meter] that also receives what runaways cost. RecordOverrun is
// called once for each runaway that ends, after the Record of its Execution and under
// the same rules.
type OverrunMeter interface {
	RecordOverrun(ctx context.Context, o Overrun)
}

// BatchMeter is a [Meter] that takes many records at once at less cost than one by one,
// for example because it syncs a file, or sends a request, once for all of them.
// RecordBatch is equivalent to a call of Record for each element of es, in their order,
// under the same rules with two exceptions. ctx has no Invocation and no values, because
// es are the records of several calls. And RecordBatch may keep the elements of es, but
// not es itself. Only a [BufferedMeter] calls RecordBatch; the router itself records one
// call at a time.
type BatchMeter interface {
	RecordBatch(ctx context.Context, es []Execution)
}

// Reserver is a [Meter] with bounded room. The router calls Reserve before it admits a
// call. If Reserve returns false or panics, the call is refused with [ReasonMeterFull],
// so that no work runs that could not be recorded. Each reservation is used up by one
// Record, or given back by Unreserve if the call is refused afterwards. Many goroutines
// call both at once, and neither must block.
type Reserver interface {
	Reserve() bool
	Unreserve()
}

// MeterFunc is a function that serves as a [Meter].
type MeterFunc func(ctx context.Context, e Execution)

// Record calls f.
func (f MeterFunc) Record(ctx context.Context, e Execution) { f(ctx, e) }

// Meters returns a meter that passes everything on to each of ms, in their order; nil
// meters are left out. If one of them panics, those after it still get the record. The
// result is an [OverrunMeter] and a [Reserver] for those of ms that are: it reserves
// with all of them or with none.
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
	defer func() { // done < len(ms): m panicked. The others get the record, then the panic goes on.
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
	defer func() { // a meter said no or panicked: those before it get their reservation back
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

// flusher is a meter that delivers records later than it accepts them, as a
// BufferedMeter does.
type flusher interface {
	Flush(ctx context.Context) error
}

// Flush flushes, at the same time, all meters that deliver later. It joins their errors.
func (ms meters) Flush(ctx context.Context) error {
	return errors.Join(flushAll(ctx, ms.flushers(nil))...)
}

// flushAll flushes all meters at the same time, so that together they take no longer than
// the slowest, and returns the error of each. A Flush is foreign code: a panic or a Goexit
// in it becomes its error, and does not keep the others from their flush.
func flushAll(ctx context.Context, all []flusher) []error {
	var g errgroup.Group
	errs := make([]error, len(all))
	for i, m := range all {
		errs[i] = errFlushExited // overwritten unless m.Flush calls Goexit
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

// flushers appends to `to` those of ms that deliver later, each once: several functions
// may have the same meter.
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

// same reports whether a and b are the same meter. Meters of a type that can't be
// compared count as different; comparing them would panic.
func same(a, b any) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

var errFlushExited = errors.New("a meter's Flush ended its goroutine")
