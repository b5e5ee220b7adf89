package faas

import (
	"context"
	"sync"
)

// BufferedMeter keeps slow sinks off the callers' path: a call's record is
// accepted into a bounded buffer, and a goroutine of its own passes it on.
// Make one with [Buffered].
//
// It is a [Reserver]: a record's room is reserved before its call is admitted,
// so that a sink that can't keep up makes the router refuse work
// ([ReasonMeterFull]) and never run any unmetered. Records are in memory until
// they are delivered; what must survive a crash needs a sink that is durable
// before it answers. All methods may be called concurrently.
type BufferedMeter struct {
	to       Meter
	overruns OverrunMeter // to, or nil
	batches  BatchMeter   // to, or nil
	sink     Reserver     // to, or nil

	mu       sync.Mutex // guards what follows; never held while to is called
	bound    int
	reserved int // and not yet recorded
	pending  int // recorded, and not yet delivered
	queue    []entry
	running  bool          // the goroutine; it ends when there is nothing to do
	idle     chan struct{} // closed when running turns false; nil: nobody waits
	closed   bool
	panics   uint64
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
// [Meters] is none, so give each its own buffer. A panic of m loses what that call
// gave it, and is counted by Panics. It has no goroutine while it is empty.
func Buffered(m Meter, n int) *BufferedMeter {
	if m == nil || n < 1 {
		panic(mistake("buffer", "", ErrInput, "Buffered needs a meter and room for at least one record; got %T and %d", m, n))
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

// Panics is how often the sink has panicked, each time losing what it was given.
func (b *BufferedMeter) Panics() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.panics
}

// Flush returns when all that has been accepted is delivered, or with ctx's
// error.
func (b *BufferedMeter) Flush(ctx context.Context) error {
	b.mu.Lock()
	if !b.running {
		b.mu.Unlock()
		return nil
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

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
	b.queue = append(b.queue, x)
	if !b.running {
		b.running = true
		go b.run()
	}
}

func (b *BufferedMeter) run() {
	for batch := b.next(); batch != nil; batch = b.next() {
		for len(batch) > 0 {
			n := b.together(batch)
			b.deliver(batch[:n])
			batch = batch[n:]
		}
	}
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

// next takes all that is queued; nil ends the goroutine.
func (b *BufferedMeter) next() []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := b.queue
	b.queue = nil
	if batch == nil {
		b.running = false
		if b.idle != nil {
			close(b.idle)
			b.idle = nil
		}
	}
	return batch
}

func (b *BufferedMeter) deliver(batch []entry) {
	defer b.delivered(batch)
	x := &batch[0]
	switch {
	case x.o != nil:
		b.overruns.RecordOverrun(x.ctx, *x.o)
	case b.batches != nil:
		b.batches.RecordBatch(context.Background(), executions(batch))
	default:
		b.to.Record(x.ctx, x.e)
	}
}

func executions(batch []entry) []Execution {
	es := make([]Execution, len(batch))
	for i := range batch {
		es[i] = batch[i].e
	}
	return es
}

// delivered frees the room of records the moment the sink is done with them,
// well or not.
func (b *BufferedMeter) delivered(batch []entry) {
	p := recover()
	b.mu.Lock()
	defer b.mu.Unlock()
	if p != nil {
		b.panics++
	}
	if batch[0].o == nil {
		b.pending -= len(batch)
	}
}
