package ledgersqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Reader reads a ledger, even while other processes write it. All methods may be called
// concurrently. Its errors are [*Error].
type Reader struct {
	path string
	db   *sql.DB
}

// OpenReader opens a ledger for reading. It does not create, migrate or change a file. For a
// ledger with an older schema it returns ErrVersion until [Open] has opened the file once.
// Its other errors are those of Open. It does not read the whole file; see [Reader.Verify].
func OpenReader(path string) (*Reader, error) {
	ctx := context.Background()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap("open", path, uuid.Nil, err)
	}
	version, err := inspect(ctx, path, true)
	if err == nil && version < len(steps) {
		err = fmt.Errorf("%w: it has version %d: open it for writing once, which brings it to %d", ErrVersion, version, len(steps))
	}
	if err != nil {
		return nil, wrap("open", path, uuid.Nil, err)
	}
	r, err := newReader(path)
	return r, wrap("open", path, uuid.Nil, err)
}

// newReader opens a pool of connections that can't write.
func newReader(path string) (*Reader, error) {
	db, err := connect(path, "ro", "FULL")
	if err != nil {
		return nil, err
	}
	return &Reader{path: path, db: db}, nil
}

// Close closes the reader. Iterations in progress then yield an error. A second call does
// nothing.
func (r *Reader) Close() error { return wrap("close", r.path, uuid.Nil, r.db.Close()) }

// Filter selects records by time and by names, of which there may be any number. The zero
// value selects all records.
//
// Don't make a tenant's bill from a replay of that tenant's records alone: free quantities
// and price tiers belong to the whole account, and each tenant would get all of them. Replay
// all records, and take the tenant's part of the statement, [cost.Statement.Only]. For a
// similar reason, the statement of a day needs all records of the month up to that day
// ([cost.NewDayStatement]).
type Filter struct {
	// From and To bound the time at which the call ended: at or after From, and before To. A
	// zero time is no bound.
	From, To time.Time
	// Functions and Tenants are the selected names; nil selects all. The tenant "" stands for
	// calls without a tenant.
	Functions []string
	Tenants   []string
}

// Records iterates over the records of executions, in the order in which the calls ended. It
// yields the records that are in the ledger when the iteration begins. If it fails, the last
// pair is an empty Record with the error; an error that Is ErrCorrupt names the damaged row.
//
// It finds records by an index, and does not notice if a damaged index leaves some out.
// Replay and Verify do; make bills by Replay.
//
// While the body of the loop runs, no lock is held and no transaction is open. So the body
// may take long, and may call methods of the ledger.
func (r *Reader) Records(ctx context.Context, f Filter) iter.Seq2[Record, error] {
	return scan(ctx, r, f, executions)
}

// Overruns iterates over overruns, as Records does over the records of executions.
func (r *Reader) Overruns(ctx context.Context, f Filter) iter.Seq2[Overrun, error] {
	return scan(ctx, r, f, overruns)
}

// Corrections iterates over all corrections, in the order in which they were made.
func (r *Reader) Corrections(ctx context.Context) iter.Seq2[Correction, error] {
	return func(yield func(Correction, error) bool) {
		fail := func(err error) { yield(Correction{}, wrap("read", r.path, uuid.Nil, err)) }
		for seq := int64(0); ; {
			page, last, err := r.corrections(ctx, ` WHERE seq > ? ORDER BY seq LIMIT ?`, seq, pageSize)
			if err != nil {
				fail(err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, c := range page {
				if !yield(c, nil) {
					return
				}
			}
			seq = last
		}
	}
}

// pageSize is how many rows are read at a time.
const pageSize = 500

// row is a row that can be scanned: an *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// The SELECT with the columns of each table. readPage adds a column that says whether the row
// has corrections.
const (
	selectExecutions = `SELECT e.seq, e.ended, e.sum, e.id, e.function, e.version, e.tenant, e.labels, e.attempt, e.outcome,
		e.failure, e.start, e.queued, e.init, e.duration, e.memory, e.bytes_in, e.bytes_out, e.cold,
		e.origin, e.job, e.delivery, e.first_byte, `
	selectOverruns = `SELECT e.seq, e.ended, e.sum, e.id, e.function, e.version, e.tenant, e.labels, e.duration, e.memory,
		e.job, e.delivery, e.attempt, `
	selectCorrections = `SELECT seq, sum, id, invocation, overrun, calls, duration, init, memory, why, made FROM corrections`
)

// place is the position of a row in the order of the iteration.
type place struct{ ended, seq int64 }

// scanExecution reads a row and compares its checksum. SQLite has no checksums of its own:
// without this one a flipped bit would be billed. scanExecution also compares ended with
// start + duration, since the index finds rows by ended, which the checksum does not cover.
func scanExecution(from row) (x execution, at place, corrected bool, err error) {
	var sum int64
	var id, job []byte
	err = from.Scan(&at.seq, &at.ended, &sum, &id, &x.function, &x.version, &x.tenant, &x.labels, &x.attempt, &x.outcome,
		&x.failure, &x.start, &x.queued, &x.init, &x.duration, &x.memory, &x.bytesIn, &x.bytesOut, &x.cold,
		&x.origin, &job, &x.delivery, &x.firstByte, &corrected)
	if err != nil {
		return x, at, false, err
	}
	copy(x.id[:], id)
	copy(x.job[:], job)
	if sum != x.sum() || at.ended != after(x.start, x.duration) || len(id) != len(x.id) {
		return x, at, false, corrupt("row %d of executions is not what was written", at.seq)
	}
	return x, at, corrected, nil
}

// scanOverrun reads a row and compares its checksum, which covers ended as well.
func scanOverrun(from row) (x overrun, at place, corrected bool, err error) {
	var sum int64
	var id, job []byte
	err = from.Scan(&at.seq, &at.ended, &sum, &id, &x.function, &x.version, &x.tenant, &x.labels, &x.duration, &x.memory,
		&job, &x.delivery, &x.attempt, &corrected)
	if err != nil {
		return x, at, false, err
	}
	copy(x.id[:], id)
	copy(x.job[:], job)
	x.ended = at.ended
	if sum != x.sum() || len(id) != len(x.id) {
		return x, at, false, corrupt("row %d of overruns is not what was written", at.seq)
	}
	return x, at, corrected, nil
}

func scanCorrection(from row) (correction, error) {
	x, _, err := scanCorrectionAt(from)
	return x, err
}

// scanCorrectionAt reads a row and compares its checksum.
func scanCorrectionAt(from row) (x correction, seq int64, err error) {
	var sum int64
	var id, invocation []byte
	if err := from.Scan(&seq, &sum, &id, &invocation, &x.overrun, &x.calls, &x.duration, &x.init, &x.memory, &x.why, &x.made); err != nil {
		return x, seq, err
	}
	copy(x.id[:], id)
	copy(x.invocation[:], invocation)
	if sum != x.sum() {
		return x, seq, corrupt("row %d of corrections is not what was written", seq)
	}
	return x, seq, nil
}

// table describes one table, and how an iteration turns its rows into the values that it
// yields.
type table[T any] struct {
	name        string
	columns     string
	overrun     int64 // in corrections
	scan        func(row) (T, place, bool, error)
	id          func(*T) uuid.UUID
	names       func(*T) (function, tenant string)
	correct     func(*T, []Correction)
	corrections func(*T) []Correction
}

//nolint:gochecknoglobals // read-only descriptions of the two tables
var (
	executions = table[Record]{
		name: "executions", columns: selectExecutions, overrun: 0,
		scan: func(from row) (Record, place, bool, error) {
			x, at, corrected, err := scanExecution(from)
			if err != nil {
				return Record{}, at, false, err
			}
			e, err := x.decode()
			return Record{Execution: e}, at, corrected, err
		},
		id:          func(r *Record) uuid.UUID { return r.ID },
		names:       func(r *Record) (function, tenant string) { return r.Function, r.Tenant },
		correct:     func(r *Record, cs []Correction) { r.Corrections = cs },
		corrections: func(r *Record) []Correction { return r.Corrections },
	}
	overruns = table[Overrun]{
		name: "overruns", columns: selectOverruns, overrun: 1,
		scan: func(from row) (Overrun, place, bool, error) {
			x, at, corrected, err := scanOverrun(from)
			if err != nil {
				return Overrun{}, at, false, err
			}
			o, err := x.decode()
			return o, at, corrected, err
		},
		id:          func(o *Overrun) uuid.UUID { return o.ID },
		names:       func(o *Overrun) (function, tenant string) { return o.Function, o.Tenant },
		correct:     func(o *Overrun, cs []Correction) { o.Corrections = cs },
		corrections: func(o *Overrun) []Correction { return o.Corrections },
	}
)

// snapshot has the seq of the last row, and of the last correction, that an iteration yields.
// Rows never change and seq only grows, so the rows up to a seq are a snapshot that needs no
// transaction. A transaction would stay open for as long as the loop runs, and would keep the
// WAL from being emptied.
type snapshot struct{ last, lastCorrection int64 }

// snapshot reads the last seq of a table and that of the corrections in one statement, so
// that both are of the same moment.
func (r *Reader) snapshot(ctx context.Context, table string) (s snapshot, err error) {
	const query = `SELECT coalesce(max(seq), 0), (SELECT coalesce(max(seq), 0) FROM corrections) FROM `
	err = r.db.QueryRowContext(ctx, query+table).Scan(&s.last, &s.lastCorrection)
	return s, err
}

// scan iterates over the records that a filter selects.
func scan[T any](ctx context.Context, r *Reader, f Filter, t table[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s, err := r.snapshot(ctx, t.name)
		if err != nil {
			var none T
			yield(none, wrap("read", r.path, uuid.Nil, err))
			return
		}
		keep := f.keeps()
		for v, err := range scanUpTo(ctx, r, f, t, s) {
			if function, tenant := t.names(&v); (err != nil || keep == nil || keep(function, tenant)) && !yield(v, err) {
				return
			}
		}
	}
}

// scanUpTo iterates over a snapshot, page by page. If the filter has too many names for
// SQLite it ignores them, and the caller must select by Filter.keeps.
func scanUpTo[T any](ctx context.Context, r *Reader, f Filter, t table[T], s snapshot) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		fail := func(err error) {
			var none T
			yield(none, wrap("read", r.path, uuid.Nil, err))
		}
		from, to, err := f.bounds()
		if err != nil {
			fail(err)
			return
		}
		for at := (place{from, 0}); ; {
			page, next, err := readPage(ctx, r, f, t, at, to, s)
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if err != nil {
				fail(err)
				return
			}
			if len(page) < pageSize {
				return
			}
			at = next
		}
	}
}

// readPage returns the rows after the place at. It may return an error together with the rows
// that it read before the error.
func readPage[T any](ctx context.Context, r *Reader, f Filter, t table[T], at place, to int64, s snapshot) (page []T, next place, err error) {
	names, args := f.condition()
	// Most rows have no corrections. The query marks the rows that do, so that only these
	// need another query.
	query := t.columns + `EXISTS (SELECT 1 FROM corrections c WHERE c.invocation = e.id AND c.overrun = ? AND c.seq <= ?)
		FROM ` + t.name + ` e WHERE (e.ended, e.seq) > (?, ?) AND e.ended <= ? AND e.seq <= ?` + names + ` ORDER BY e.ended, e.seq LIMIT ?`
	args = append([]any{t.overrun, s.lastCorrection, at.ended, at.seq, to, s.last}, args...)
	rows, err := r.db.QueryContext(ctx, query, append(args, pageSize)...)
	if err != nil {
		return nil, at, err
	}
	defer rows.Close()
	for rows.Next() {
		v, place, corrected, err := t.scan(rows)
		if err != nil {
			return page, at, err
		}
		if corrected {
			id := t.id(&v)
			cs, _, err := r.corrections(ctx, ` WHERE invocation = ? AND overrun = ? AND seq <= ? ORDER BY seq`, id[:], t.overrun, s.lastCorrection)
			if err != nil {
				return page, at, err
			}
			t.correct(&v, cs)
		}
		page, next = append(page, v), place
	}
	return page, next, rows.Err()
}

// corrections returns the corrections that the SQL condition where selects, and the seq of
// the last one.
func (r *Reader) corrections(ctx context.Context, where string, args ...any) (all []Correction, last int64, err error) {
	rows, err := r.db.QueryContext(ctx, selectCorrections+where, args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		x, seq, err := scanCorrectionAt(rows)
		if err != nil {
			return nil, 0, err
		}
		all, last = append(all, x.decode()), seq
	}
	return all, last, rows.Err()
}

// bounds returns the first and the last instant that the filter selects.
func (f *Filter) bounds() (from, to int64, err error) {
	from, to = noTime, math.MaxInt64
	if !f.From.IsZero() {
		if from, err = encodeTime(f.From); err != nil {
			return 0, 0, err
		}
	}
	if !f.To.IsZero() {
		if to, err = encodeTime(f.To); err != nil {
			return 0, 0, err
		}
		to--
	}
	return from, to, nil
}

// manyNames is how many names a query has at most. SQLite accepts 32,766 arguments, but reads
// all of them for each page.
const manyNames = 1000

func (f *Filter) many() bool { return len(f.Functions)+len(f.Tenants) > manyNames }

// keeps returns the function that selects by names, or nil if the query does.
func (f *Filter) keeps() func(function, tenant string) bool {
	if !f.many() {
		return nil
	}
	return f.names()
}

// names returns a function that reports whether a record's names are selected.
func (f *Filter) names() func(function, tenant string) bool {
	functions, tenants := setOf(f.Functions), setOf(f.Tenants)
	return func(function, tenant string) bool {
		return (functions == nil || functions[function]) && (tenants == nil || tenants[tenant])
	}
}

// setOf returns names as a set. It returns nil for nil, which selects all names.
func setOf(names []string) map[string]bool {
	if names == nil {
		return nil
	}
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// condition returns the SQL for functions and tenants, and its arguments.
func (f *Filter) condition() (condition string, args []any) {
	if f.many() {
		return "", nil
	}
	functions, args := in("function", f.Functions, nil)
	tenants, args := in("tenant", f.Tenants, args)
	return functions + tenants, args
}

// in returns the SQL condition that column is one of names, and args with the names added.
// For nil names there is no condition.
func in(column string, names []string, args []any) (string, []any) {
	if names == nil {
		return "", args
	}
	for _, name := range names {
		args = append(args, name)
	}
	return ` AND e.` + column + ` IN (` + strings.TrimSuffix(strings.Repeat("?,", len(names)), ",") + `)`, args
}

// Verify reads the whole file. It checks that SQLite's own structures are whole, that the
// triggers exist, that no row is missing between the first and the last, and that each row is
// as it was written. It takes about as long as reading the file several times, and does not
// block writers. If it finds damage it returns an error that Is ErrCorrupt.
//
// It can't detect that rows are missing at the end, for example because the -wal file was
// deleted or the file was replaced by an old copy. [Reader.Reconcile] can.
func (r *Reader) Verify(ctx context.Context) error {
	return wrap("verify", r.path, uuid.Nil, r.verify(ctx))
}

func (r *Reader) verify(ctx context.Context) error {
	if err := checkPages(ctx, r.db, "integrity_check"); err != nil {
		return err
	}
	if err := checkGuards(ctx, r.db, len(steps)); err != nil {
		return err
	}
	for _, name := range tables(len(steps)) {
		var n, last int64
		if err := r.db.QueryRowContext(ctx, `SELECT count(*), coalesce(max(seq), 0) FROM `+name).Scan(&n, &last); err != nil {
			return err
		}
		if n != last {
			return corrupt("%s has %d rows, and the last one's number is %d", name, n, last)
		}
	}
	if err := firstError(r.Records(ctx, Filter{})); err != nil {
		return err
	}
	if err := firstError(r.Overruns(ctx, Filter{})); err != nil {
		return err
	}
	return firstError(r.Corrections(ctx))
}

// firstError reads all rows, and returns the first error.
func firstError[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}
