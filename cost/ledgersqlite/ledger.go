package ledgersqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Ledger writes records to a file. It is a [faas.Meter], a [faas.BatchMeter], a
// [faas.OverrunMeter] and a [faas.Reserver], to be given to [faas.WithMeter]. It can
// also do all that a [Reader] can. All methods may be called concurrently. Its errors
// are [*Error].
//
// It has one goroutine, the writer, while there is something to write. database/sql has
// goroutines of its own until Close.
type Ledger struct {
	*Reader

	config config
	// Only the goroutine run uses w, with these exceptions: Open, before run starts; Counters,
	// which reads its session; and Close, once Flush has returned. That is late enough: Flush
	// waits until run has finished each batch, and run notes that under mu after its last use of w.
	w *writer

	// mu guards what follows. It is never held during a write, a read or a call of a
	// hook: Reserve, which every call waits for, takes it.
	mu sync.Mutex
	// room is how many records may still be reserved; only with WithWriteBehind.
	room int
	// queue is accepted, and not yet taken by the goroutine run. late are kept items
	// that came after Close.
	queue, late []*item
	// running says that the goroutine run is there. It ends when the queue is empty, and
	// at a failure.
	running bool
	// accepted counts the items that came to the queue. done counts those of them that
	// have left it for good, written or refused. They leave in the order in which they came.
	accepted, done uint64
	// flushes wait for the goroutine run, which removes each; the one that waits for the
	// fewest items is the first.
	flushes []*flush
	closed  bool
	// err says why nothing is written any more. Items that come stay in the queue.
	err error
}

// The interfaces that a router looks for.
var (
	_ faas.Meter        = (*Ledger)(nil)
	_ faas.BatchMeter   = (*Ledger)(nil)
	_ faas.OverrunMeter = (*Ledger)(nil)
	_ faas.Reserver     = (*Ledger)(nil)
)

// maxBatch is how many items a commit takes at most, so that no caller waits for long.
const maxBatch = 4096

// Open opens the ledger at path, or makes an empty one, which only its owner may read.
// The directory must exist. A ledger of an older schema is migrated. The file is
// checked before anything is written to it: a damaged file is ErrCorrupt, a database of
// another program is ErrForeign, a ledger of a newer release is ErrVersion, and each is
// left as it is, to the byte. The check reads the whole file, about 150 MB a second
// (BenchmarkOpen); see [WithLazyCheck]. It compares neither the indexes with the tables
// nor checksums: Verify does, and [Reader.Replay] does for what it gives to a bill.
//
// If a process crashed, Open recovers: every record that was durable is there.
func Open(path string, opts ...Option) (*Ledger, error) {
	ctx := context.Background()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap("open", path, uuid.Nil, err)
	}
	l, err := open(ctx, path, opts)
	return l, wrap("open", path, uuid.Nil, err)
}

// open checks the file before it opens it for writing: inspect's connections can't
// change it.
func open(ctx context.Context, path string, opts []Option) (*Ledger, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if err := create(ctx, path); err != nil {
		return nil, err
	}
	if _, err := inspect(ctx, path, c.lazy); err != nil {
		return nil, err
	}
	w, err := newWriter(ctx, path, &c)
	if err != nil {
		return nil, err
	}
	r, err := newReader(path)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return &Ledger{Reader: r, config: c, w: w, room: c.room}, nil
}

// Record stores the record of a call. It returns when the record is durable, or, with
// [WithWriteBehind], when it is accepted. ctx is not used. A record that can't be
// stored at the moment is kept, see [Ledger.Err]. A record that can never be stored
// (ErrConflict, ErrRecord) is dropped, and WithFailure's function is called.
func (l *Ledger) Record(ctx context.Context, e faas.Execution) {
	l.RecordBatch(ctx, []faas.Execution{e})
}

// RecordBatch stores the records of calls, each as Record does, with one commit for
// every 4,096. A record that can't be stored does not keep out the others.
func (l *Ledger) RecordBatch(_ context.Context, es []faas.Execution) {
	items := make([]*item, 0, len(es))
	for i := range es {
		x, err := encodeExecution(&es[i], l.config.errorText)
		if err != nil {
			l.release(1)
			l.fail(wrap("record", l.path, es[i].ID, err))
			continue
		}
		items = append(items, &item{executions: []execution{x}, reserved: true})
	}
	l.keep(items...)
}

// RecordOverrun stores what a runaway used, as Record does. The overrun's time is now.
func (l *Ledger) RecordOverrun(_ context.Context, o faas.Overrun) {
	x, err := encodeOverrun(&Overrun{Overrun: o, At: l.config.now()})
	if err != nil {
		l.fail(wrap("record", l.path, o.ID, err))
		return
	}
	l.keep(&item{overruns: []overrun{x}})
}

// Append stores records, all or none, and returns when they are durable, also with
// WithWriteBehind. It waits for what was accepted before. If ctx ends first, they may
// be stored or not; it does no harm to append them again. Records that are stored
// already are left out. A record that is ErrConflict or ErrRecord keeps out all. After
// an error nothing is kept for a Retry.
func (l *Ledger) Append(ctx context.Context, es []faas.Execution) error {
	it := &item{executions: make([]execution, len(es))}
	for i := range es {
		var err error
		if it.executions[i], err = encodeExecution(&es[i], l.config.errorText); err != nil {
			return wrap("append", l.path, es[i].ID, err)
		}
	}
	return l.write(ctx, "append", it)
}

// AppendOverruns stores overruns as Append stores executions: for example those of
// another ledger.
func (l *Ledger) AppendOverruns(ctx context.Context, os []Overrun) error {
	it := &item{overruns: make([]overrun, len(os))}
	for i := range os {
		o := os[i]
		if o.At.IsZero() {
			o.At = l.config.now()
		}
		var err error
		if it.overruns[i], err = encodeOverrun(&o); err != nil {
			return wrap("append", l.path, o.ID, err)
		}
	}
	return l.write(ctx, "append", it)
}

// Correct stores a correction and returns it as it was stored. The error Is ErrNotFound
// if there is no such record, and ErrCorrection if the record would have negative
// numbers or be billed twice. Otherwise Append's rules hold. Give the correction an ID
// to be able to try again.
func (l *Ledger) Correct(ctx context.Context, c Correction) (Correction, error) {
	if c.ID == uuid.Nil {
		id, err := uuid.NewV7()
		if err != nil {
			return Correction{}, wrap("correct", l.path, c.Invocation, err)
		}
		c.ID = id
	}
	c.At = l.config.now()
	err := c.check()
	x, timeErr := c.encode()
	if err = errors.Join(err, timeErr); err != nil {
		return Correction{}, wrap("correct", l.path, c.Invocation, err)
	}
	if err := l.write(ctx, "correct", &item{correction: &x}); err != nil {
		return Correction{}, err
	}
	return x.decode(), nil
}

// Reserve reports whether a record can be taken, and keeps a place for it in the buffer
// of WithWriteBehind. It is false after a failure, after Close, and while the buffer is
// full.
func (l *Ledger) Reserve() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.err != nil || (l.config.behind && l.room == 0) {
		return false
	}
	if l.config.behind {
		l.room--
	}
	return true
}

// Unreserve gives back the place of a record that will not come.
func (l *Ledger) Unreserve() { l.release(1) }

// release frees places in the buffer. Records may come without a reservation, so room
// is capped: they must not make the buffer larger.
func (l *Ledger) release(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room = min(l.room+n, l.config.room)
}

// Err says why nothing is written any more; nil: the ledger works. It stays until a
// Retry succeeds. After Close it Is ErrClosed.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.closed {
		return &Error{Op: "record", Path: l.path, Err: ErrClosed}
	}
	return l.err
}

// Unstored returns the records that Record and RecordOverrun were given and that are
// not known to be durable, in the order in which they came. After a failure or after
// Close these are the ones that would be lost. While the ledger works, those of the
// commit under way are not among them. They are as they would be read back.
func (l *Ledger) Unstored() (executions []faas.Execution, overruns []Overrun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range slices.Concat(l.queue, l.late) {
		for i := range it.executions {
			if e, err := it.executions[i].decode(); err == nil {
				executions = append(executions, e)
			}
		}
		for i := range it.overruns {
			if o, err := it.overruns[i].decode(); err == nil {
				overruns = append(overruns, o)
			}
		}
	}
	return executions, overruns
}

// Retry starts to write again after a failure. It writes what was kept, and returns
// when that is durable, or with what went wrong this time. Without a failure it is
// Flush.
func (l *Ledger) Retry(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.err = nil
		l.start()
	}
	l.mu.Unlock()
	return l.Flush(ctx)
}

// Close writes what was accepted, tries once more after a failure, and closes the file.
// Its error says how many records could not be written; Unstored still has them. For a
// record that comes later WithFailure's function is called, and it is Unstored too.
// After Close nothing can be read. A second call does nothing and returns nil.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	// From here on put adds nothing to the queue, so the goroutine run comes to its end.
	// Without err it tries once more what a failure has left.
	l.closed = true
	l.err = nil
	l.start()
	l.mu.Unlock()
	err := l.Flush(context.Background())
	if err != nil {
		executions, overruns := l.Unstored()
		err = &Error{Op: "close", Path: l.path, Err: fmt.Errorf("%d records and %d overruns are not stored: %w", len(executions), len(overruns), err)}
	}
	// The writer is closed last: the last connection moves the WAL's content to the file,
	// and a connection that only reads can't.
	return errors.Join(err, l.Reader.Close(), wrap("close", l.path, uuid.Nil, l.w.close()))
}

// keep accepts items for which the ledger alone is responsible: their callers get no
// error.
func (l *Ledger) keep(items ...*item) {
	// All items share one channel with room for each of them: run sends without waiting,
	// and this goroutine receives as many times as there are items.
	var done chan error
	if !l.config.behind {
		done = make(chan error, len(items))
	}
	for _, it := range items {
		it.kept, it.done = true, done
	}
	if err := l.put(items...); err != nil {
		if errors.Is(err, ErrClosed) {
			for _, it := range items {
				l.fail(&Error{Op: "record", Path: l.path, ID: it.id(), Err: ErrClosed})
			}
		}
		return
	}
	if done != nil {
		for range items {
			<-done // run reports errors by the hook
		}
	}
}

// write waits until an item is durable.
func (l *Ledger) write(ctx context.Context, op string, it *item) error {
	it.done = make(chan error, 1)
	if err := l.put(it); err != nil {
		return wrap(op, l.path, it.id(), err)
	}
	select {
	case err := <-it.done:
		return l.named(op, it, err)
	case <-ctx.Done():
		return wrap(op, l.path, it.id(), ctx.Err())
	}
}

// put queues items. An error means that they will not be written before a Retry. Items
// that are kept are in the queue, or in late, all the same.
func (l *Ledger) put(items ...*item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range items {
		switch {
		case l.closed && it.kept:
			l.late = append(l.late, it)
		case !l.closed && (l.err == nil || it.kept):
			l.queue = append(l.queue, it)
			l.accepted++
		}
	}
	if l.closed {
		return ErrClosed
	}
	if l.err == nil {
		l.start()
	}
	return l.err
}

// start starts the goroutine run if there is something to do. l.mu must be held.
func (l *Ledger) start() {
	if !l.running && len(l.queue) > 0 {
		l.running = true
		go l.run()
	}
}

// run is the writer's goroutine. It commits what is queued; what comes meanwhile shares
// the next commit.
func (l *Ledger) run() {
	for batch := l.next(); batch != nil; batch = l.next() {
		if err := l.w.write(batch); err != nil {
			l.stop(batch, wrap("record", l.path, uuid.Nil, err))
			return
		}
		l.settle(batch)
	}
}

// next takes what is queued; nil: the goroutine must end. Then running is false
// already, under the same hold of l.mu, so that a later put starts a new goroutine.
func (l *Ledger) next() []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), maxBatch)
	if n == 0 {
		l.rest()
		return nil
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	return batch
}

// rest marks that the goroutine run ends. l.mu must be held.
func (l *Ledger) rest() {
	l.running = false
	if len(l.queue) == 0 {
		l.queue = nil // lets go of the array behind it, which is large after a burst
	}
}

// settle reports the outcome of a batch that was committed. It tells the failure hook and the
// callers that wait for single items first, and Flush last.
func (l *Ledger) settle(batch []*item) {
	reserved := 0
	for _, it := range batch {
		if it.reserved {
			reserved++
		}
	}
	// The places are free before any caller is woken: a caller that has its answer must
	// not find the buffer full of records that are on disk.
	l.release(reserved)
	for _, it := range batch {
		if it.err != nil && it.kept {
			l.fail(l.named("record", it, it.err))
		}
		if it.done != nil {
			it.done <- it.err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done += uint64(len(batch))
	for len(l.flushes) > 0 && l.flushes[0].upTo <= l.done {
		l.flushes[0].over <- nil
		l.flushes = slices.Delete(l.flushes, 0, 1)
	}
}

// named adds the file and the record to an error.
func (l *Ledger) named(op string, it *item, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) && e.Path == "" {
		return &Error{Op: op, Path: l.path, ID: e.ID, Err: e.Err}
	}
	return wrap(op, l.path, it.id(), err)
}

// stop ends a batch that could not be committed, and all work until Retry. Items to be
// kept go back to the front of the queue.
func (l *Ledger) stop(batch []*item, err error) {
	l.mu.Lock()
	// The batch and the queue are emptied under the hold of mu that sets err: an item
	// that comes later sees err in put, and none is left waiting for a goroutine that
	// has ended.
	var kept, waiting []*item
	for _, it := range append(batch, l.queue...) {
		if it.kept { // a copy without done: the caller hears of the failure now
			kept = append(kept, &item{executions: it.executions, overruns: it.overruns, reserved: it.reserved, kept: true})
		}
		if it.done != nil {
			waiting = append(waiting, it)
		}
	}
	l.queue = kept
	l.done = l.accepted - uint64(len(kept))
	l.err = err
	for _, f := range l.flushes {
		f.over <- err
	}
	l.flushes = nil
	l.rest()
	l.mu.Unlock()
	l.fail(err)
	for _, it := range waiting {
		it.done <- err
	}
}

// fail calls the user's hook, and recovers its panic. l.mu must not be held.
func (l *Ledger) fail(err error) {
	defer func() { _ = recover() }()
	l.config.failure(err)
}
