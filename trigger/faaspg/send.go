package faaspg

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/inproc/faas"
)

// Tx is the transaction in which a job is written: a pgx.Tx, nested ones too. A *pgx.Conn or a
// *pgxpool.Pool is one as well: then the job is a transaction of its own. See [SQL] for database/sql.
type Tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SQLTx is what SQL takes: a *sql.Tx, a *sql.Conn or a *sql.DB.
type SQLTx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// SQL returns a transaction of database/sql as SendTx takes it. Its driver must write parameters
// as $1, as those of pgx and lib/pq do.
func SQL(tx SQLTx) Tx { return sqlTx{tx} }

type sqlTx struct{ tx SQLTx }

func (t sqlTx) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	_, err := t.tx.ExecContext(ctx, query, args...)
	return pgconn.CommandTag{}, err
}

// SendTx has the function called after tx has committed, and not if it is rolled back. It returns
// the ID that the job will have: fn.Job(id) is its handle once a [Relay] has had it accepted, which
// is soon after the commit, or when it is due if that is later.
//
// The job is the one that fn.Send would send: the same options, and tenant, priority, origin, sender
// and carriers of ctx. It is checked as by Send, gates included, before anything is written: so an
// error that Is of package faas leaves tx as it was. An error of the database means, as always
// in PostgreSQL, that tx can only be rolled back. Delays and ages count from SendTx. The window of
// a unique key counts from acceptance, and the second job of a key is dropped then.
//
// It is one statement. It may be called for many jobs of one transaction, by one goroutine at a
// time as the transaction demands.
func SendTx[In, Out any](ctx context.Context, tx Tx, fn *faas.Function[In, Out], in In, opts ...faas.SendOption) (uuid.UUID, error) {
	rec, err := fn.Prepare(ctx, in, opts...)
	if err != nil {
		return uuid.Nil, err
	}
	return rec.ID, WriteTx(ctx, tx, rec)
}

// WriteTx is SendTx of a job that was prepared: by name with faas.Router.Prepare, for example.
func WriteTx(ctx context.Context, tx Tx, rec faas.JobRecord) error {
	if !utf8.ValidString(rec.Tenant) || !utf8.ValidString(rec.OrderKey) {
		return unwritable(&rec, errNoText)
	}
	payload := rec.Payload
	if payload == nil {
		payload = []byte{}
	}
	rec.Payload = nil // it stands in a column of its own: JSON would make it longer by a third
	job, err := json.Marshal(rec)
	if err != nil {
		return unwritable(&rec, err)
	}
	wait := max(0, time.Until(rec.Due)).Microseconds()
	if _, err := tx.Exec(ctx, insert, rec.ID.String(), rec.Function, rec.Tenant, rec.OrderKey, wait, string(job), payload); err != nil {
		return fmt.Errorf("faaspg: send to %q: %w", rec.Function, err)
	}
	return nil
}

// unwritable is the error for a job of which nothing was written.
func unwritable(rec *faas.JobRecord, why error) error {
	return &faas.Error{Op: "send", Function: rec.Function, Err: fmt.Errorf("%w: %w", faas.ErrInput, why)}
}

var errNoText = errors.New("a tenant or an order key that is not UTF-8 can't stand in PostgreSQL")

// insert writes a row, and wakes the relays when the transaction commits. PostgreSQL has the commits
// of all transactions that notify wait for each other, so none does while no relay asks for it.
//
// When the row is due goes by the database's clock, as take does: the sender's may be another.
const insert = `
WITH row AS (
	INSERT INTO faas_outbox (id, function, tenant, order_key, due, job, payload)
	VALUES ($1::uuid, $2, $3, nullif($4, ''), clock_timestamp() + $5::bigint * interval '1 microsecond', $6::json, $7::bytea)
)
SELECT pg_notify('` + channel + `', '') WHERE EXISTS (SELECT FROM faas_outbox_relay WHERE listens AND alive_until > now())`
