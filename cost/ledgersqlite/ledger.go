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
// [faas.OverrunMeter] and a [faas.Reserver], to be given to [faas.WithMeter]. It also has all
// methods of a [Reader]. All methods may be called concurrently. Its errors are of type
// [*Error].
//
// A Ledger has one goroutine, the writer, while there is something to write, and those of
// database/sql until Close.
type Ledger struct {
	*Reader

	config config
	// Only the goroutine run uses w, with three exceptions: Open, before run starts; Counters,
	// which reads its session; and Close, after Flush has returned. Close is safe because Flush
	// waits until run has finished each batch, and run records this under mu after its last use of
	// w.
	w *writer

	// mu guards the fields below. It is never held during a write, a read or a call of a
	// hook, because Reserve locks it and every call waits for Reserve.
	mu sync.Mutex
	// room is how many more records may be reserved; it is used only with WithWriteBehind.
	room int
	// queue has the items that were accepted and not yet taken by the goroutine run. late has
	// kept items that came after Close.
	queue, late []*item
	// running is set while the goroutine run exists. The goroutine ends when the queue is
	// empty, and at a failure.
	running bool
	// accepted counts the items that were put into the queue. done counts those of them that
	// were written or refused; this happens in the order in which they were put.
	accepted, done uint64
	// flushes are the calls of Flush that wait. The goroutine run removes them. They are
	// sorted by upTo, the smallest first.
	flushes []*flush
	closed  bool
	// err is the failure that has stopped all writing; nil if there is none. Items that
	// arrive meanwhile stay in the queue.
	err error
}

// The interfaces that a router looks for.
var (
	_ faas.Meter        = (*Ledger)(nil)
	_ faas.BatchMeter   = (*Ledger)(nil)
	_ faas.OverrunMeter = (*Ledger)(nil)
	_ faas.Reserver     = (*Ledger)(nil)
)

// maxBatch is how many items a commit has at most, so that no caller waits for long.
const maxBatch = 4096

// Open opens the ledger at path. If there is no file it makes an empty ledger that only its
// owner may read; the directory must exist. A ledger with an older schema is migrated. The
// file is checked before anything is written to it. Open returns ErrCorrupt for a damaged
// file, ErrForeign for a database of another program and ErrVersion for a ledger of a newer
// release, and does not change a byte of such a file. The check reads the whole file, about
// 150 MB a second (BenchmarkOpen); see [WithLazyCheck]. It compares neither the indexes with
// the tables nor checksums: Verify does both, and [Reader.Replay] does both for the records
// that it gives.
//
// After a crash of a process, Open recovers the ledger: every record that was durable is in
// it.
func Open(path string, opts ...Option) (*Ledger, error) {
	ctx := context.Background()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap("open", path, uuid.Nil, err)
	}
	l, err := open(ctx, path, opts)
	return l, wrap("open", path, uuid.Nil, err)
}

// open checks the file before it opens it for writing. The connections of inspect can't
// change the file.
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

// Record stores the record of a call. It returns when the record is durable or, with
// [WithWriteBehind], when it is accepted. ctx is not used. A record that can't be stored at
// the moment is kept in memory, see [Ledger.Err]. A record that can never be stored
// (ErrConflict, ErrRecord) is dropped, and the function of WithFailure is called.
func (l *Ledger) Record(ctx context.Context, e faas.Execution) {
	l.RecordBatch(ctx, []faas.Execution{e})
}

// RecordBatch stores the records of calls, each as Record does, with one commit for every
// 4,096 records. If a record can't be stored, the others are stored all the same.
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

// RecordOverrun stores the overrun of a runaway, as Record stores a record. The time of the
// overrun is that of the call of RecordOverrun.
func (l *Ledger) RecordOverrun(_ context.Context, o faas.Overrun) {
	x, err := encodeOverrun(&Overrun{Overrun: o, At: l.config.now()})
	if err != nil {
		l.fail(wrap("record", l.path, o.ID, err))
		return
	}
	l.keep(&item{overruns: []overrun{x}})
}

// Append stores all the records or none, and returns when they are durable, even with
// WithWriteBehind. It waits until records accepted earlier are written. If ctx ends first,
// the records may or may not be stored; it does no harm to append them again. Records that
// are stored already are left out. If one record is refused with ErrConflict or ErrRecord,
// none is stored. After an error nothing is kept for a Retry.
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

// Correct stores a correction and returns it as it was stored. The error Is ErrNotFound if
// there is no such record, and ErrCorrection if the record would have negative numbers or be
// billed twice. In all other respects it works as Append does. Give the correction an ID of
// its own if you want to be able to try again.
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

// Reserve reports whether the ledger can take one more record, and reserves a place for it in
// the buffer of WithWriteBehind. It returns false after a failure, after Close, and while the
// buffer is full.
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

// Unreserve gives back the place that Reserve reserved for a record that will not come.
func (l *Ledger) Unreserve() { l.release(1) }

// release frees n places in the buffer. Records may come without a reservation, so room is
// capped: releasing their places must not make the buffer larger.
func (l *Ledger) release(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room = min(l.room+n, l.config.room)
}

// Err returns the failure that has stopped all writing, or nil if the ledger works. The
// failure stays until a Retry succeeds. After Close the error Is ErrClosed.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.closed {
		return &Error{Op: "record", Path: l.path, Err: ErrClosed}
	}
	return l.err
}

// Unstored returns the records passed to Record and RecordOverrun that are not known to be
// durable, in the order in which they came. After a failure or after Close these are the
// records that would be lost. While the ledger works, the records of the commit in progress
// are not among them. The records have the form in which they would be read back from the
// file.
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

// Retry starts to write again after a failure. It writes the records that were kept, and
// returns when they are durable or when writing has failed again, with that failure. Without
// an earlier failure it does what Flush does.
func (l *Ledger) Retry(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.err = nil
		l.start()
	}
	l.mu.Unlock()
	return l.Flush(ctx)
}

// Close writes the records that were accepted, tries once more after a failure, and closes
// the file. Its error says how many records could not be written; Unstored still returns
// them. A record that comes after Close is not stored: the function of WithFailure is called,
// and Unstored returns it. After Close nothing can be read. A second call does nothing and
// returns nil.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	// From here on put adds nothing to the queue, so the goroutine run comes to its end.
	// Clearing err makes run try once more to write the items that a failure has left.
	l.closed = true
	l.err = nil
	l.start()
	l.mu.Unlock()
	err := l.Flush(context.Background())
	if err != nil {
		executions, overruns := l.Unstored()
		err = &Error{Op: "close", Path: l.path, Err: fmt.Errorf("%d records and %d overruns are not stored: %w", len(executions), len(overruns), err)}
	}
	// The writer is closed last: the last connection that is closed moves the content of the
	// WAL to the file, which a read-only connection can't do.
	return errors.Join(err, l.Reader.Close(), wrap("close", l.path, uuid.Nil, l.w.close()))
}

// keep accepts items whose callers get no error, so that the ledger must keep them after a
// failure.
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
			<-done // run reports errors by the hook, so the value is not needed
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

// put adds items to the queue. An error means that they will not be written before a Retry.
// Even then, items that are kept are added to the queue or, after Close, to late.
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

// run is the writer's goroutine. It commits the queued items. Items that arrive during a
// commit share the next one.
func (l *Ledger) run() {
	for batch := l.next(); batch != nil; batch = l.next() {
		if err := l.w.write(batch); err != nil {
			l.stop(batch, wrap("record", l.path, uuid.Nil, err))
			return
		}
		l.settle(batch)
	}
}

// next takes the next batch from the queue, or returns nil if the goroutine must end. In that
// case it has set running to false before it unlocks l.mu, so that a later put starts a new
// goroutine.
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

// rest records that the goroutine run ends. l.mu must be held.
func (l *Ledger) rest() {
	l.running = false
	if len(l.queue) == 0 {
		l.queue = nil // frees the array of the slice, which is large after a burst
	}
}

// settle reports the outcome of a batch that was committed: first to the failure hook and to
// the callers that wait for single items, and last to the waiting calls of Flush.
func (l *Ledger) settle(batch []*item) {
	reserved := 0
	for _, it := range batch {
		if it.reserved {
			reserved++
		}
	}
	// The places are freed before any caller is woken: a caller that has its answer must not
	// find the buffer full of records that are already on disk.
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

// stop ends a batch that could not be committed, and stops all writing until Retry. Items
// that are kept go back to the front of the queue.
func (l *Ledger) stop(batch []*item, err error) {
	l.mu.Lock()
	// The batch and the queue are emptied in the critical section that sets err. So put sees
	// err for every later item, and no item waits for a goroutine that has ended.
	var kept, waiting []*item
	for _, it := range append(batch, l.queue...) {
		if it.kept { // a copy without done: the caller gets the failure now
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
