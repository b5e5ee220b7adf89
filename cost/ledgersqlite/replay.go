package ledgersqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/inproc/faas/cost"
)

// Replay gives the stored records, with their corrections applied, to a ledger in memory. So any
// book can price the usage, and not only the books of the ledger that metered it.
//
// Bills are made from the result, so if records are damaged or missing Replay returns an error
// that Is ErrCorrupt. After any error, throw the ledger in memory away. Replay finds records by
// an index, which Open does not check. So it compares the checksum of each row, and three
// numbers of rows: the rows found by the index must be as many as those in the table, and all
// rows of the table as many as the entries of its index and as the number of its last row. It
// does the same for corrections. This reads the tables once more, some millions of records a
// second (BenchmarkRead). Replay can't detect that rows are missing at the end together with
// their index entries, as in an old copy of the file or without its -wal file;
// [Reader.Reconcile] can.
func (r *Reader) Replay(ctx context.Context, f Filter, to *cost.Ledger) error {
	err := replay(ctx, r, f, executions, func(rec *Record) {
		if e, ok := rec.Corrected(); ok {
			// The ledger counts a call in the period in which it ended. Start is moved so
			// that a correction of the duration does not change that time.
			e.Start = rec.Start.Add(rec.Duration - e.Duration)
			to.Record(ctx, e)
		}
	})
	if err != nil {
		return err
	}
	return replay(ctx, r, f, overruns, func(o *Overrun) {
		if corrected, ok := o.Corrected(); ok {
			to.AddOverrun(o.At, corrected)
		}
	})
}

// replay gives the records that a filter selects to the function give, and checks that none
// is missing. It does not let SQLite select by names: a row with a damaged name would be left
// out before its checksum is compared.
func replay[T any](ctx context.Context, r *Reader, f Filter, t table[T], give func(*T)) error {
	s, err := r.snapshot(ctx, t.name)
	if err != nil {
		return wrap("read", r.path, uuid.Nil, err)
	}
	// The rows are counted before they are selected by name, because whole counts them so.
	wanted := f.names()
	var rows, corrections int64
	for v, err := range scanUpTo(ctx, r, Filter{From: f.From, To: f.To}, t, s) {
		if err != nil {
			return err
		}
		rows++
		corrections += int64(len(t.corrections(&v)))
		if wanted(t.names(&v)) {
			give(&v)
		}
	}
	return wrap("read", r.path, uuid.Nil, whole(ctx, r, f, t, s, rows, corrections))
}

// whole returns an error unless an iteration over a snapshot has yielded every row of
// the table within the filter's times, and every correction of those rows.
func whole[T any](ctx context.Context, r *Reader, f Filter, t table[T], s snapshot, rows, corrections int64) error {
	from, to, err := f.bounds()
	if err != nil {
		return err
	}
	// All is counted in one statement, and so at one moment. NOT INDEXED makes SQLite read
	// the table itself and not its index.
	var meant, all, last, indexed int64
	query := fmt.Sprintf(`SELECT a.meant, a.n, a.last, b.n FROM
		(SELECT coalesce(sum(ended >= ? AND ended <= ? AND seq <= ?), 0) AS meant, count(*) AS n, coalesce(max(seq), 0) AS last FROM %[1]s NOT INDEXED) a,
		(SELECT count(*) AS n FROM %[1]s INDEXED BY %[1]s_ended) b`, t.name)
	if err := r.db.QueryRowContext(ctx, query, from, to, s.last).Scan(&meant, &all, &last, &indexed); err != nil {
		return err
	}
	switch {
	case all != last || all != indexed:
		return corrupt("%s has %d rows, %d in its index, and the last one's number is %d", t.name, all, indexed, last)
	case rows != meant:
		return corrupt("%s has %d rows of the time that was asked for, and its index led to %d", t.name, meant, rows)
	}
	return wholeCorrections(ctx, r, t.name, t.overrun, from, to, s, corrections)
}

// wholeCorrections does for corrections what whole does for records. There are few
// corrections, so it reads all of them: a correction with a damaged reference belongs to no
// record, and a query by record would miss it.
func wholeCorrections(ctx context.Context, r *Reader, table string, overrun, from, to int64, s snapshot, found int64) error {
	var read int64
	for _, err := range r.Corrections(ctx) {
		if err != nil {
			return err
		}
		read++
	}
	var all, meant int64
	query := fmt.Sprintf(`SELECT coalesce(max(seq), 0), coalesce(sum(c.overrun = ? AND c.seq <= ? AND EXISTS (SELECT 1 FROM %s e
		WHERE e.id = c.invocation AND e.ended >= ? AND e.ended <= ? AND e.seq <= ?)), 0) FROM corrections c NOT INDEXED`, table)
	if err := r.db.QueryRowContext(ctx, query, overrun, s.lastCorrection, from, to, s.last).Scan(&all, &meant); err != nil {
		return err
	}
	if read < s.lastCorrection || read > all {
		return corrupt("corrections has %d rows, and the last one's number is %d", read, all)
	}
	if meant != found {
		return corrupt("corrections has %d rows for the records that were asked for, and its index led to %d", meant, found)
	}
	return nil
}
