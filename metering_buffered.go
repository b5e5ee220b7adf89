package faas

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/inproc/faas/internal/foreign"
)

// BufferedMeter keeps slow sinks off the callers' path: a call's record is
// accepted into a bounded buffer, and a goroutine of its own passes it on.
// Make one with [Buffered].
//
// It is a [Reserver]: a record's room is reserved before its call is admitted,
// so that a sink that can't keep up makes the router refuse work
// ([ReasonMeterFull]) and never run any unmetered. Records are in memory until
// they are delivered; what must survive a crash needs a sink that is durable
// before it answers. All methods may be called concurrently, but not by the
// sink: Flush and Close would wait for the record that it has in hand.
//
// A sink has no way to say that it failed, for nothing here could do better
// than the sink itself. Let it retry inside Record, for as long as the records
// are worth it: the buffer fills meanwhile, and the router refuses work. Or let
// it drop the record and count it. A sink that panics, or ends its goroutine,
// has dropped what it was given: that is not given to it again, for part of it
// may have been written, and Panics counts it.
type BufferedMeter struct {
	to       Meter
	overruns OverrunMeter // to, or nil
	batches  BatchMeter   // to, or nil
	sink     Reserver     // to, or nil

	taken []entry // from queue, and not yet delivered; the goroutine's own

	mu       sync.Mutex // guards what follows; never held while to is called
	bound    int
	reserved int // and not yet recorded
	pending  int // recorded, and not yet delivered
	queue    []entry
	accepted uint64 // entries, in all
	done     uint64 // of those; they are delivered in the order in which they came
	flushes  []flush
	running  bool // the goroutine; it ends when there is nothing to do
	closed   bool
	panics   uint64
}

// flush is a Flush that waits until so many entries are done. Later ones wait
// for as many at least, so that they stand in the order in which they end.
type flush struct {
	upTo uint64
	over chan struct{} // closed then
}

// entry is an Execution or, where o is set, an Overrun. Its context is what the
// sink is to be called with: a value of the record, not of a call's scope.
type entry struct {
	ctx context.Context //nolint:containedctx // see above
	e   Execution
	o   *Overrun
}

// Buffered returns a meter that passes records on to m from a buffer of n,
// n ≥ 1, and Overruns too if m takes them. If m is a [BatchMeter] it is given all
// that has come in while it was busy with the last, up to 4,096 records at once;
// [Meters] is none, so give each its own buffer. What m should do when it fails,
// and what its panic costs, is told at [BufferedMeter]. Several routers may share
// one. It has no goroutine while it is empty.
func Buffered(m Meter, n int) *BufferedMeter {
	if m == nil || n < 1 {
		panic(usageError("buffer", "", ErrInput, "Buffered needs a meter and room for at least one record; got %T and %d", m, n))
	}
	overruns, _ := m.(OverrunMeter)
	batches, _ := m.(BatchMeter)
	sink, _ := m.(Reserver)
	return &BufferedMeter{to: m, overruns: overruns, batches: batches, sink: sink, bound: n}
}

// Reserve takes room for one record; it is false if there is none, after Close,
// or if the sink is itself a [Reserver] and has none.
func (b *BufferedMeter) Reserve() bool {
	b.mu.Lock()
	ok := !b.closed && b.reserved+b.pending < b.bound
	if ok {
		b.reserved++
	}
	b.mu.Unlock()
	if !ok || b.sink == nil {
		return ok
	}
	done := false
	defer func() { // the sink says no, or panics
		if !done {
			b.unreserve()
		}
	}()
	done = b.sink.Reserve()
	return done
}

// Unreserve gives back the room of a record that will not come.
func (b *BufferedMeter) Unreserve() {
	b.unreserve()
	if b.sink != nil {
		b.sink.Unreserve()
	}
}

func (b *BufferedMeter) unreserve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved--
}

// Record accepts a record for which room was reserved. One that comes without
// is accepted all the same, and the buffer is over its bound until the sink
// has caught up: a record of work that was done is never dropped.
func (b *BufferedMeter) Record(ctx context.Context, e Execution) { b.put(entry{ctx: ctx, e: e}) }

// RecordOverrun accepts an overrun; it needs no reservation.
func (b *BufferedMeter) RecordOverrun(ctx context.Context, o Overrun) {
	if b.overruns != nil {
		b.put(entry{ctx: ctx, o: &o})
	}
}

// Panics is how often the sink has panicked or ended its goroutine, each time
// losing what it was given.
func (b *BufferedMeter) Panics() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.panics
}

// Len is how many records and overruns have been accepted and not been
// delivered yet, those that the sink has in hand among them.
func (b *BufferedMeter) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.accepted - b.done)
}

// Flush returns when all that was accepted before it is delivered, or lost by a
// sink that panicked; what comes meanwhile it does not wait for. If ctx ends
// first it answers an [*UndeliveredError].
func (b *BufferedMeter) Flush(ctx context.Context) error {
	b.mu.Lock()
	if b.accepted == b.done {
		b.mu.Unlock()
		return nil
	}
	f := flush{upTo: b.accepted, over: make(chan struct{})}
	b.flushes = append(b.flushes, f)
	b.mu.Unlock()
	select {
	case <-f.over:
		return nil
	case <-ctx.Done():
		return b.giveUp(f, contextEnd(ctx))
	}
}

// giveUp takes a flush out of line, and tells what is left of it: nothing, if
// the last of it was delivered in the same moment.
func (b *BufferedMeter) giveUp(f flush, why error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.flushes, f)
	if i < 0 {
		return nil
	}
	b.flushes = slices.Delete(b.flushes, i, i+1)
	return &UndeliveredError{Meter: b, Records: int(f.upTo - b.done), Err: why}
}

// UndeliveredError is what a [BufferedMeter.Flush] answers that was not waited
// for to its end, and with it [Router.Shutdown]; [errors.As] finds the first. The
// records are still there: the sink is given them as long as the process lives.
type UndeliveredError struct {
	Meter   *BufferedMeter // that has them
	Records int            // and overruns: accepted before the Flush, and not delivered when it gave up
	Err     error          // why it gave up: the context's error
}

// Error names the type of the meter's sink.
func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("%d records not delivered to meter %T: %s", e.Records, e.Meter.to, foreign.Text(e.Err))
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// Close stops reservations and flushes without a time limit. Records of calls
// already admitted are still accepted. It is idempotent, and always nil.
func (b *BufferedMeter) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.Flush(context.Background())
}

func (b *BufferedMeter) put(x entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.o == nil {
		b.reserved = max(0, b.reserved-1)
		b.pending++
	}
	b.accepted++
	b.queue = append(b.queue, x)
	if !b.running {
		b.running = true
		go b.run()
	}
}

// run is the goroutine. A sink that ends it ends it alone: the next one goes on
// with what is left.
func (b *BufferedMeter) run() {
	idle := false
	defer func() {
		if !idle {
			go b.run()
		}
	}()
	for b.next() {
		for len(b.taken) > 0 {
			b.deliver(b.taken[:b.together(b.taken)])
		}
	}
	idle = true
}

// maxBatch bounds what a sink is given at once, so that room is freed by and by.
const maxBatch = 4096

// together is how many of the entries the sink is given in one call.
func (b *BufferedMeter) together(batch []entry) int {
	n := 1
	if b.batches == nil || batch[0].o != nil {
		return n
	}
	for n < min(len(batch), maxBatch) && batch[n].o == nil {
		n++
	}
	return n
}

// next takes all that is queued; if that is nothing, the goroutine is to end.
func (b *BufferedMeter) next() bool {
	if len(b.taken) > 0 { // the goroutine before has left them
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken, b.queue = b.queue, nil
	b.running = len(b.taken) > 0
	return b.running
}

func (b *BufferedMeter) deliver(batch []entry) {
	whole := false
	defer func() { // by return, panic and Goexit alike
		_ = recover()
		b.delivered(batch, !whole)
	}()
	x := &batch[0]
	switch {
	case x.o != nil:
		b.overruns.RecordOverrun(x.ctx, *x.o)
	case b.batches != nil:
		b.batches.RecordBatch(context.Background(), executions(batch))
	default:
		b.to.Record(x.ctx, x.e)
	}
	whole = true
}

func executions(batch []entry) []Execution {
	es := make([]Execution, len(batch))
	for i := range batch {
		es[i] = batch[i].e
	}
	return es
}

// delivered frees the room of records the moment the sink is done with them,
// well or not, and lets go of what they hold.
func (b *BufferedMeter) delivered(batch []entry, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if failed {
		b.panics++
	}
	if batch[0].o == nil {
		b.pending -= len(batch)
	}
	b.done += uint64(len(batch))
	for len(b.flushes) > 0 && b.flushes[0].upTo <= b.done {
		close(b.flushes[0].over)
		b.flushes = slices.Delete(b.flushes, 0, 1)
	}
	b.taken = b.taken[len(batch):]
	clear(batch)
}
