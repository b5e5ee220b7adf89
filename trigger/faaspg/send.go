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

// Tx is the transaction in which a job is written. It is a pgx.Tx, which may be nested. A
// *pgx.Conn or a *pgxpool.Pool also fits: then the job is written in a transaction of its own.
// For database/sql, see [SQL].
type Tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SQLTx is the argument of SQL: a *sql.Tx, a *sql.Conn or a *sql.DB.
type SQLTx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// SQL makes a transaction of database/sql an argument for SendTx. Its driver must write
// parameters as $1, as the drivers of pgx and lib/pq do.
func SQL(tx SQLTx) Tx { return sqlTx{tx} }

type sqlTx struct{ tx SQLTx }

func (t sqlTx) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	_, err := t.tx.ExecContext(ctx, query, args...)
	return pgconn.CommandTag{}, err
}

// SendTx writes a job into tx. The function is called after tx has committed, and is not called
// if tx is rolled back. SendTx returns the ID that the job will have. fn.Job(id) is the job's
// handle once a [Relay] has given the job to the queue: soon after the commit, or when the job
// is due if that is later.
//
// The job is the one that fn.Send would send, with the same options, and the tenant, priority,
// origin, sender and carriers of ctx. It is checked as Send checks it, by the gates too, before
// anything is written. So an error that Is one of package faas leaves tx as it was. After an
// error of the database, tx can only be rolled back, as always in PostgreSQL. Delays and ages
// count from SendTx. The window of a unique key counts from the acceptance by the queue, and at
// that time a second job of the key is dropped.
//
// SendTx executes one statement. It may be called for many jobs in one transaction, by one
// goroutine at a time, because tx is not safe for more.
func SendTx[In, Out any](ctx context.Context, tx Tx, fn *faas.Function[In, Out], in In, opts ...faas.SendOption) (uuid.UUID, error) {
	rec, err := fn.Prepare(ctx, in, opts...)
	if err != nil {
		return uuid.Nil, err
	}
	return rec.ID, WriteTx(ctx, tx, rec)
}

// WriteTx is SendTx for a job that has been prepared, for example by faas.Router.Prepare, which
// takes the function's name.
func WriteTx(ctx context.Context, tx Tx, rec faas.JobRecord) error {
	if !utf8.ValidString(rec.Tenant) || !utf8.ValidString(rec.OrderKey) {
		return unwritable(&rec, errNoText)
	}
	payload := rec.Payload
	if payload == nil {
		payload = []byte{}
	}
	rec.Payload = nil // the payload has a column of its own: in JSON it would be a third longer
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

// unwritable returns the error for a job that can't be written. tx is unchanged.
func unwritable(rec *faas.JobRecord, why error) error {
	return &faas.Error{Op: "send", Function: rec.Function, Err: fmt.Errorf("%w: %w", faas.ErrInput, why)}
}

var errNoText = errors.New("PostgreSQL can't store a tenant or an order key that is not UTF-8")

// insert writes a row, and has the commit send a notification to the relays. PostgreSQL makes
// the commits of transactions that notify wait for each other. So a transaction notifies only
// while a living relay listens.
//
// The time at which a row is due is computed from the database's clock, since take compares it
// with that clock. The sender's clock may differ.
const insert = `
WITH row AS (
	INSERT INTO faas_outbox (id, function, tenant, order_key, due, job, payload)
	VALUES ($1::uuid, $2, $3, nullif($4, ''), clock_timestamp() + $5::bigint * interval '1 microsecond', $6::json, $7::bytea)
)
SELECT pg_notify('` + channel + `', '') WHERE EXISTS (SELECT FROM faas_outbox_relay WHERE listens AND alive_until > now())`
