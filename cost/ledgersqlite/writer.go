package ledgersqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	sqlite3 "modernc.org/sqlite/lib"
)

// item is a set of rows that is written as a whole or not at all.
type item struct {
	executions []execution
	overruns   []overrun
	correction *correction
	// reserved is set if the item came by Record, and so holds a place in the buffer.
	reserved bool
	// kept is set if the ledger keeps the item after a failure, because its caller gets no
	// error.
	kept bool
	// done receives the outcome of the item. It has a buffer for it, so that run never blocks
	// on a caller that has stopped waiting. It is nil if no caller waits.
	done chan error
	// err is the reason if this item was refused and the rest of the batch was not.
	err error
}

// id returns the id of the only record in the item, or zero if the item has several.
func (it *item) id() uuid.UUID {
	switch {
	case len(it.executions) == 1:
		return it.executions[0].id
	case len(it.overruns) == 1:
		return it.overruns[0].id
	case it.correction != nil:
		return it.correction.id
	default:
		return uuid.Nil
	}
}

// writer is the connection that writes. One goroutine uses it at a time.
type writer struct {
	db      *sql.DB
	conn    *sql.Conn
	session int64

	begin, commit, rollback       *sql.Stmt
	execution, overrun, amendment *sql.Stmt
	prepared                      []*sql.Stmt // all the statements above
}

const (
	insertExecution = `INSERT INTO executions (id, function, version, tenant, labels, attempt, outcome, failure,
		start, ended, queued, init, duration, memory, bytes_in, bytes_out, cold, sum, session, origin, job, delivery, first_byte)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertOverrun = `INSERT INTO overruns (id, function, version, tenant, labels, ended, duration, memory, sum, job, delivery, attempt)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertCorrection = `INSERT INTO corrections (id, invocation, overrun, calls, duration, init, memory, why, made, sum)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// newWriter opens the one connection that writes, and begins a session.
func newWriter(ctx context.Context, path string, c *config) (*writer, error) {
	db, err := connect(path, "rw", c.sync)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db}
	if err := w.open(ctx, c); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// open migrates the schema, and prepares the statements on one connection: BEGIN and
// COMMIT must run on the connection that inserts.
func (w *writer) open(ctx context.Context, c *config) (err error) {
	if err := migrate(ctx, w.db, steps); err != nil {
		return err
	}
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	for stmt, text := range map[**sql.Stmt]string{
		&w.begin: `BEGIN IMMEDIATE`, &w.commit: `COMMIT`, &w.rollback: `ROLLBACK`,
		&w.execution: insertExecution, &w.overrun: insertOverrun, &w.amendment: insertCorrection,
	} {
		if *stmt, err = w.conn.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // close closes all in w.prepared
			return err
		}
		w.prepared = append(w.prepared, *stmt)
	}
	opened, err := encodeTime(c.now())
	if err != nil {
		return err
	}
	const session = `INSERT INTO sessions (opened, before) SELECT ?, coalesce(max(seq), 0) FROM executions RETURNING seq`
	return w.conn.QueryRowContext(ctx, session, opened).Scan(&w.session)
}

// close closes the statements first. database/sql does not close those of an
// [sql.Conn], and SQLite would keep the connection, and with it the WAL, for them.
func (w *writer) close() error {
	var errs []error
	for _, stmt := range w.prepared {
		errs = append(errs, stmt.Close())
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.db.Close())...)
}

// write commits a batch. If it returns nil, everything is durable except the items whose
// field err is set. If it returns an error, either nothing is durable or that is not known: a
// COMMIT may fail after it has reached the disk. In both cases the whole batch can be written
// again, since a record that is stored already is not written twice.
func (w *writer) write(batch []*item) (err error) {
	ctx := context.Background()
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.rollback.ExecContext(ctx) //nolint:errcheck // some errors have rolled back already; BEGIN reports any other
		}
	}()
	for _, it := range batch {
		if it.err, err = w.put(ctx, it); err != nil {
			return err
		}
	}
	_, err = w.commit.ExecContext(ctx)
	return err
}

// put writes one item within the transaction. The error refused concerns only the item, and
// the rest of the batch is written. The error failed concerns the file, and the whole batch
// fails.
func (w *writer) put(ctx context.Context, it *item) (refused, failed error) {
	// An INSERT that is refused leaves nothing behind, so a single row needs no savepoint.
	// Several rows need one: without it, the rows before the refused one would stay.
	whole := len(it.executions)+len(it.overruns) <= 1
	if !whole {
		if _, err := w.conn.ExecContext(ctx, `SAVEPOINT item`); err != nil {
			return nil, err
		}
	}
	refused, failed = w.insert(ctx, it)
	if whole || failed != nil {
		return refused, failed
	}
	if refused != nil {
		_, failed = w.conn.ExecContext(ctx, `ROLLBACK TO item`)
	}
	if failed == nil {
		_, failed = w.conn.ExecContext(ctx, `RELEASE item`)
	}
	return refused, failed
}

// insert writes the rows of an item up to the first error.
func (w *writer) insert(ctx context.Context, it *item) (refused, failed error) {
	for i := range it.executions {
		if err := w.insertExecution(ctx, &it.executions[i]); err != nil {
			return split(err)
		}
	}
	for i := range it.overruns {
		if err := w.insertOverrun(ctx, &it.overruns[i]); err != nil {
			return split(err)
		}
	}
	if it.correction != nil {
		return split(w.insertCorrection(ctx, it.correction))
	}
	return nil, nil
}

// split returns err as refused if it concerns an item, and as failed if it concerns the file.
func split(err error) (refused, failed error) {
	for _, sentinel := range []error{ErrConflict, ErrCorrection, ErrNotFound, ErrRecord} {
		if errors.Is(err, sentinel) {
			return err, nil
		}
	}
	if code(err)&0xff == sqlite3.SQLITE_TOOBIG {
		return fmt.Errorf("%w: %w", ErrRecord, err), nil
	}
	return nil, err
}

// exists reports whether err is that of a trigger that has refused a row, because the row's
// id is taken.
func exists(err error) bool { return code(err) == sqlite3.SQLITE_CONSTRAINT_TRIGGER }

// insertExecution writes a row. If a trigger refuses the row, its id is taken. Then
// insertExecution reads the stored row, and returns no error if the two are equal, since a
// record may be written twice.
func (w *writer) insertExecution(ctx context.Context, x *execution) error {
	_, err := w.execution.ExecContext(ctx, x.id[:], x.function, x.version, x.tenant, x.labels, x.attempt, x.outcome, x.failure,
		x.start, after(x.start, x.duration), x.queued, x.init, x.duration, x.memory, x.bytesIn, x.bytesOut, x.cold, x.sum(), w.session,
		x.origin, encodeJob(&x.job), x.delivery, x.firstByte)
	if !exists(err) {
		return err
	}
	there, err := w.storedExecution(ctx, x.id)
	if err != nil {
		return err
	}
	if there != *x {
		return conflict(x.id, there, *x)
	}
	return nil
}

// insertOverrun writes a row, as insertExecution does, but does not compare the times of the
// two rows: RecordOverrun takes the time at which it is called.
func (w *writer) insertOverrun(ctx context.Context, x *overrun) error {
	_, err := w.overrun.ExecContext(ctx, x.id[:], x.function, x.version, x.tenant, x.labels, x.ended, x.duration, x.memory, x.sum(),
		encodeJob(&x.job), x.delivery, x.attempt)
	if !exists(err) {
		return err
	}
	there, err := w.storedOverrun(ctx, x.id)
	if err != nil {
		return err
	}
	again := *x
	again.ended = there.ended // the time that was stored first stays
	if there != again {
		return conflict(x.id, there, *x)
	}
	return nil
}

func conflict(id uuid.UUID, there, given any) error {
	return &Error{Op: "record", ID: id, Err: fmt.Errorf("%w: stored is %+v, given was %+v", ErrConflict, there, given)}
}

// insertCorrection reads the record in the same transaction, so no other correction can be
// stored between the check and the insert.
func (w *writer) insertCorrection(ctx context.Context, x *correction) error {
	if there, err := w.storedCorrection(ctx, x.id); err == nil {
		again := *x
		again.made = there.made
		if there != again {
			return conflict(x.id, there, *x)
		}
		*x = there
		return nil
	} else if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	b, err := w.balance(ctx, x.invocation, x.overrun)
	if err != nil {
		return err
	}
	if !b.add(x) {
		return fmt.Errorf("%w: a number of the record would overflow", ErrCorrection)
	}
	if err := b.sound(); err != nil {
		return err
	}
	_, err = w.amendment.ExecContext(ctx, x.id[:], x.invocation[:], x.overrun, x.calls, x.duration, x.init, x.memory, x.why, x.made, x.sum())
	return err
}

// balance returns a record's numbers with its corrections added.
func (w *writer) balance(ctx context.Context, id uuid.UUID, isOverrun int64) (balance, error) {
	b := balance{calls: 1}
	if isOverrun != 0 {
		x, err := w.storedOverrun(ctx, id)
		if err != nil {
			return b, absent(err)
		}
		b.duration, b.memory = x.duration, x.memory
	} else {
		x, err := w.storedExecution(ctx, id)
		if err != nil {
			return b, absent(err)
		}
		b.duration, b.init, b.memory = x.duration, x.init, x.memory
	}
	rows, err := w.conn.QueryContext(ctx, selectCorrections+` WHERE invocation = ? AND overrun = ?`, id[:], isOverrun)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	for rows.Next() {
		x, err := scanCorrection(rows)
		if err != nil {
			return b, err
		}
		b.add(&x) // can't overflow: this was checked when the correction was made
	}
	return b, rows.Err()
}

// absent turns the error of a query that found no row into ErrNotFound.
func absent(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func (w *writer) storedExecution(ctx context.Context, id uuid.UUID) (execution, error) {
	x, _, _, err := scanExecution(w.conn.QueryRowContext(ctx, selectExecutions+`0 FROM executions e WHERE id = ?`, id[:]))
	return x, err
}

func (w *writer) storedOverrun(ctx context.Context, id uuid.UUID) (overrun, error) {
	x, _, _, err := scanOverrun(w.conn.QueryRowContext(ctx, selectOverruns+`0 FROM overruns e WHERE id = ?`, id[:]))
	return x, err
}

func (w *writer) storedCorrection(ctx context.Context, id uuid.UUID) (correction, error) {
	return scanCorrection(w.conn.QueryRowContext(ctx, selectCorrections+` WHERE id = ?`, id[:]))
}
