package ledgersqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// WithSync sets SQLite's synchronous.
func WithSync(mode string) Option { return option(func(c *config) { c.sync = mode }) }

// Full simulates a full disk: the file may have at most this many pages; 0 means no bound.
// The ledger must be idle.
func (l *Ledger) Full(pages int) error {
	if pages == 0 {
		pages = 1 << 30
	}
	_, err := l.w.conn.ExecContext(context.Background(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
	return err
}

// Pragma reads a pragma from the connection that writes.
func (l *Ledger) Pragma(name string) (value string, err error) {
	err = l.w.conn.QueryRowContext(context.Background(), `PRAGMA `+name).Scan(&value)
	return value, err
}

// Version is the newest version of the schema.
func Version() int { return len(steps) }

// RoundTrip encodes and decodes.
func RoundTrip(e faas.Execution) (faas.Execution, error) {
	x, err := encodeExecution(&e, nil)
	if err != nil {
		return e, err
	}
	return x.decode()
}

// Row is the content of a row of executions.
type Row struct {
	ID                                                 uuid.UUID
	Function, Version, Tenant, Labels, Failure, Origin string
	Job                                                uuid.UUID
	Numbers                                            [12]int64
}

func (r *Row) columns() []any {
	n := &r.Numbers
	return []any{
		int64(1), int64(0), int64(0), r.ID[:], r.Function, r.Version, r.Tenant, r.Labels, n[0], n[1],
		r.Failure, n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], r.Origin, r.Job[:], n[10], n[11], false,
	}
}

// Scan stands in for the database.
func (r *Row) Scan(dest ...any) error {
	x := r.row()
	from := r.columns()
	from[1], from[2] = after(x.start, x.duration), x.sum()
	for i, to := range dest {
		switch to := to.(type) {
		case *int64:
			*to = from[i].(int64)
		case *string:
			*to = from[i].(string)
		case *[]byte:
			*to = from[i].([]byte)
		case *bool:
			*to = from[i].(bool)
		default:
			return fmt.Errorf("a %T is not scanned here", to)
		}
	}
	return nil
}

func (r *Row) row() execution {
	n := r.Numbers
	return execution{
		id: r.ID, function: r.Function, version: r.Version, tenant: r.Tenant, labels: r.Labels, failure: r.Failure,
		attempt: n[0], outcome: n[1], start: n[2], queued: n[3], init: n[4], duration: n[5], memory: n[6], bytesIn: n[7], bytesOut: n[8], cold: n[9],
		origin: r.Origin, job: r.Job, delivery: n[10], firstByte: n[11],
	}
}

// DecodeRow reads a row as the iteration does.
func DecodeRow(r *Row) (faas.Execution, error) {
	x, _, _, err := scanExecution(r)
	if err != nil {
		return faas.Execution{}, err
	}
	return x.decode()
}
