package faas

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/inproc/faas/internal/foreign"
)

// BufferedMeter puts a bounded buffer between the calls and a slow meter, the sink: a
// call only adds its record to the buffer, and a goroutine of the BufferedMeter delivers
// it to the sink. Make one with [Buffered].
//
// It is a [Reserver]: room for a record is reserved before its call is admitted. So if
// the sink can't keep up, the router refuses calls ([ReasonMeterFull]) and runs none that
// is not metered. Records are in memory until they are delivered, and a crash loses them.
// If that must not happen, use a meter without a buffer that has stored a record when its
// Record returns. All methods may be called concurrently, but the sink must not call
// Flush or Close: they would wait for the record that the sink is handling.
//
// Record returns no error, because a BufferedMeter could do nothing about it that the
// sink can't do better. A sink may retry inside Record for as long as the records are
// worth it; meanwhile the buffer fills and the router refuses calls. Or it may drop the
// record and count it. If the sink panics or ends its goroutine, the records of that call
// are lost: Panics counts it, and they are not delivered again, since the sink may have
// written a part of them.
type BufferedMeter struct {
	to       Meter
	overruns OverrunMeter // to, or nil
	batches  BatchMeter   // to, or nil
	sink     Reserver     // to, or nil

	// taken holds the entries that the delivering goroutine took from queue and has not
	// delivered yet. Only that goroutine uses it. If the sink ends the goroutine, its
	// successor uses it; the go statement is the happens-before edge between the two.
	taken []entry

	mu       sync.Mutex // guards what follows; never held while the sink is called
	bound    int        // how many records may be reserved or pending, as given to Buffered
	reserved int        // reservations that no Record has used up yet
	pending  int        // records accepted and not yet delivered; overruns don't count
	queue    []entry    // accepted, and not yet taken by the goroutine
	accepted uint64     // how many entries were ever accepted
	done     uint64     // how many of those are delivered or lost; entries are delivered in the order in which they came
	flushes  []flush    // that wait, ordered by upTo
	running  bool       // the delivering goroutine runs; it ends when the queue is empty
	closed   bool       // Reserve returns false
	panics   uint64
}

// flush is a call of Flush that waits until b.done reaches upTo. A later Flush has the
// same upTo or a larger one, so b.flushes is sorted, and delivered looks only at its head.
type flush struct {
	upTo uint64
	over chan struct{} // closed when b.done has reached upTo
}

// entry is an Execution or, if o is set, an Overrun. ctx is what the sink is called with.
// It has the call's values and is never canceled, so it may outlive the call.
type entry struct {
	ctx context.Context //nolint:containedctx // see above
	e   Execution
	o   *Overrun
}

// Buffered returns a meter that passes records on to m, the sink, through a buffer of n
// records. It panics with an [*Error] if m is nil or n is less than 1. It also passes on
// Overruns if m is an [OverrunMeter]; these are not counted against n. If m is a
// [BatchMeter], each batch is what came in while m was busy with the batch before, up to
// 4,096 records. The meter that [Meters] returns is not a BatchMeter, so give each of its
// meters a buffer of its own. [BufferedMeter] says what m should do when it fails, and
// what its panic costs. Several routers may share one BufferedMeter. It has no goroutine
// while it is empty.
func Buffered(m Meter, n int) *BufferedMeter {
	if m == nil || n < 1 {
		panic(usageError("buffer", "", ErrInput, "Buffered needs a meter and room for at least one record; got %T and %d", m, n))
	}
	overruns, _ := m.(OverrunMeter)
	batches, _ := m.(BatchMeter)
	sink, _ := m.(Reserver)
	return &BufferedMeter{to: m, overruns: overruns, batches: batches, sink: sink, bound: n}
}

// Reserve reserves room for one record. It returns false if the buffer is full, after
// Close, or if the sink is itself a [Reserver] and returns false. b.mu is not held while
// the sink is asked, so the buffer's own room is taken first and given back if the sink
// has none.
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
	defer func() { // done is false if the sink has no room, panics, or calls Goexit
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

// Record accepts a record for which room was reserved. A record without a reservation is
// accepted too, and the buffer may exceed its bound until the sink has caught up: the
// record of a call that ran is never dropped.
func (b *BufferedMeter) Record(ctx context.Context, e Execution) { b.put(entry{ctx: ctx, e: e}) }

// RecordOverrun accepts an overrun, which needs no reservation. If the sink is not an
// [OverrunMeter] it does nothing.
func (b *BufferedMeter) RecordOverrun(ctx context.Context, o Overrun) {
	if b.overruns != nil {
		b.put(entry{ctx: ctx, o: &o})
	}
}

// Panics returns how often the sink has panicked or ended its goroutine. Each time, the
// records that the sink was called with are lost.
func (b *BufferedMeter) Panics() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.panics
}

// Len returns how many records and overruns have been accepted and not yet delivered,
// including those that the sink is handling.
func (b *BufferedMeter) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.accepted - b.done)
}

// Flush returns when everything that was accepted before it is delivered, or lost because
// the sink panicked. It does not wait for what is accepted later. If ctx ends first, it
// returns an [*UndeliveredError].
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

// giveUp removes f from the flushes that wait, and returns the error that says how much
// is left. If f is not there, the goroutine delivered the last of it at the same moment:
// then the flush has succeeded, although ctx has ended.
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

// UndeliveredError is the error of a [BufferedMeter.Flush] whose context ended before
// everything was delivered, and therefore of [Router.Shutdown]. If several meters have
// one, [errors.As] finds the first. The records are not lost: the meter goes on to deliver
// them as long as the process lives.
type UndeliveredError struct {
	Meter   *BufferedMeter // the meter that has the records
	Records int            // how many records and overruns were accepted before the Flush and not delivered when it gave up
	Err     error          // why Flush gave up: the error of its context
}

// Error says how many records are left and names the type of the meter's sink.
func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("%d records not delivered to meter %T: %s", e.Records, e.Meter.to, foreign.Text(e.Err))
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// Close ends the reservations, so that calls of a router with this meter are refused, and
// flushes without a time limit. Records of calls that were admitted before are still
// accepted. It may be called more than once, and always returns nil.
func (b *BufferedMeter) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.Flush(context.Background())
}

// put appends x to the queue and starts the delivering goroutine if there is none. A
// record without a reservation must not take the count below zero: that would give room
// to calls that have none.
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

// run is the delivering goroutine. If the sink ends it with Goexit, the deferred func
// starts a successor, which goes on with b.taken; b.running stays true meanwhile, so that
// put starts no second one.
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

// maxBatch is the most records that a sink gets at once. Room in the buffer is freed
// after each batch, so one endless batch would keep calls refused until its end.
const maxBatch = 4096

// together returns how many entries from the head of batch the sink gets in one call. An
// Overrun goes alone: there is no batch of overruns.
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

// next moves the queue to b.taken. It returns false if the queue is empty: then the
// goroutine must end. running is cleared under the same b.mu under which the queue was
// found empty, so a put that comes afterwards starts a new goroutine.
func (b *BufferedMeter) next() bool {
	if len(b.taken) > 0 { // left by the goroutine before, which the sink ended
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken, b.queue = b.queue, nil
	b.running = len(b.taken) > 0
	return b.running
}

// deliver calls the sink for one batch, which is either one entry or only Executions.
// b.mu must not be held: the sink is foreign code and may block.
func (b *BufferedMeter) deliver(batch []entry) {
	whole := false // the sink returned
	defer func() { // runs after a return, a panic and a Goexit of the sink
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

// delivered counts a batch as done and frees its room, whether the sink returned or
// failed. It ends each Flush whose last entry this was. It clears the entries, since the
// slice lives on until all of b.taken is delivered and would keep their contexts, with
// the values of their calls, in memory.
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
