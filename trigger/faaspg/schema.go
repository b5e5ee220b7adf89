package faaspg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// channel is the name in NOTIFY and LISTEN.
const channel = "faas_outbox"

// migrations returns the steps, each of which brings the tables from one version to the next. A
// step that has been released must not change. New steps are added at the end.
func migrations() []string { return []string{firstTables} }

// firstTables makes version 1. Tenants are compared byte by byte (COLLATE "C"), whatever the
// database's collation is, because the relay walks along their index in that order. The index
// faas_outbox_ready has only rows that take may take, and no taken ones.
const firstTables = `
CREATE TABLE faas_outbox_relay (
	id          uuid PRIMARY KEY,
	alive_until timestamptz NOT NULL,
	listens     boolean NOT NULL DEFAULT false
);
CREATE TABLE faas_outbox (
	seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id        uuid NOT NULL,
	function  text COLLATE "C" NOT NULL,
	tenant    text COLLATE "C" NOT NULL,
	order_key text COLLATE "C",
	due       timestamptz NOT NULL,
	job       json NOT NULL,
	payload   bytea,
	taken_by  uuid REFERENCES faas_outbox_relay ON DELETE SET NULL,
	rejected  text
);
CREATE INDEX faas_outbox_ready ON faas_outbox (tenant, due, seq) WHERE taken_by IS NULL AND rejected IS NULL;
CREATE INDEX faas_outbox_taken ON faas_outbox (taken_by) WHERE taken_by IS NOT NULL;
CREATE INDEX faas_outbox_order ON faas_outbox (function, tenant, order_key, due, seq) WHERE order_key IS NOT NULL AND rejected IS NULL;
`

// migrationLock is the key of the advisory lock under which tables are made: "faasoutb" as a
// number.
const migrationLock = 0x666161736f757462

// Beginner begins transactions: a *pgxpool.Pool or a *pgx.Conn.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Migrate makes the outbox's tables, or brings them to this release's version, in one
// transaction. If they have that version, nothing changes. Processes that call it at the same
// moment wait for each other. If the tables are of a later release, Migrate returns an error.
func Migrate(ctx context.Context, db Beginner) error {
	return wrap("migrate", pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return migrate(ctx, tx) }))
}

func migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return err
	}
	version, err := versionOf(ctx, tx)
	if err != nil {
		return err
	}
	steps := migrations()
	if version > len(steps) {
		return fmt.Errorf("the tables have version %d, and this release knows versions up to %d", version, len(steps))
	}
	for _, step := range steps[version:] {
		if _, err := tx.Exec(ctx, step); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE faas_outbox_version SET version = $1 WHERE version <> $1`, len(steps))
	return err
}

// versionOf returns the version of the tables, or 0 if there are none.
func versionOf(ctx context.Context, tx pgx.Tx) (version int, err error) {
	if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS faas_outbox_version (version int NOT NULL)`); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `SELECT version FROM faas_outbox_version`).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = tx.Exec(ctx, `INSERT INTO faas_outbox_version VALUES (0)`)
	}
	return version, err
}
