package ledgersqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// applicationID marks the file as a ledger in SQLite's header. Its bytes spell "faas".
const applicationID = 0x66616173

// steps are the migrations: steps[n] makes version n+1 of the schema from version n. A step
// that was released is never changed, since there are files that it has made.
//
//nolint:gochecknoglobals // read-only, and there are no constant slices
var steps = []string{
	// 1: the records. Times are nanoseconds since 1970; the smallest integer is a time that
	// is not set. Durations are nanoseconds, memory is bytes, labels are a JSON object or
	// empty. ended is start + duration; the index on it finds the records of a period.
	`CREATE TABLE executions (
		seq       INTEGER PRIMARY KEY,
		id        BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
		function  TEXT    NOT NULL,
		version   TEXT    NOT NULL,
		tenant    TEXT    NOT NULL,
		labels    TEXT    NOT NULL,
		attempt   INTEGER NOT NULL,
		outcome   INTEGER NOT NULL,
		failure   TEXT    NOT NULL,
		start     INTEGER NOT NULL,
		ended     INTEGER NOT NULL,
		queued    INTEGER NOT NULL,
		init      INTEGER NOT NULL,
		duration  INTEGER NOT NULL,
		memory    INTEGER NOT NULL,
		bytes_in  INTEGER NOT NULL,
		bytes_out INTEGER NOT NULL,
		cold      INTEGER NOT NULL,
		sum       INTEGER NOT NULL
	) STRICT;
	CREATE INDEX executions_ended ON executions (ended);
	CREATE TABLE overruns (
		seq       INTEGER PRIMARY KEY,
		id        BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
		function  TEXT    NOT NULL,
		version   TEXT    NOT NULL,
		tenant    TEXT    NOT NULL,
		labels    TEXT    NOT NULL,
		ended     INTEGER NOT NULL,
		duration  INTEGER NOT NULL,
		memory    INTEGER NOT NULL,
		sum       INTEGER NOT NULL
	) STRICT;
	CREATE INDEX overruns_ended ON overruns (ended);` +
		guard("executions", "id = NEW.id") +
		guard("overruns", "id = NEW.id"),

	// 2: sessions and corrections. A session is one Open. before is the seq of the last
	// execution before the session, so that those of the session are found without an index.
	`CREATE TABLE sessions (
		seq    INTEGER PRIMARY KEY,
		opened INTEGER NOT NULL,
		before INTEGER NOT NULL
	) STRICT;
	ALTER TABLE executions ADD COLUMN session INTEGER; -- NULL: written by version 1
	CREATE TABLE corrections (
		seq        INTEGER PRIMARY KEY,
		id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
		invocation BLOB    NOT NULL,
		overrun    INTEGER NOT NULL,
		calls      INTEGER NOT NULL,
		duration   INTEGER NOT NULL,
		init       INTEGER NOT NULL,
		memory     INTEGER NOT NULL,
		why        TEXT    NOT NULL CHECK (why <> ''),
		made       INTEGER NOT NULL,
		sum        INTEGER NOT NULL
	) STRICT;
	CREATE INDEX corrections_invocation ON corrections (invocation);
	CREATE TRIGGER corrections_refer BEFORE INSERT ON corrections
	WHEN NOT EXISTS (SELECT 1 FROM executions WHERE id = NEW.invocation AND NOT NEW.overrun
		UNION ALL SELECT 1 FROM overruns WHERE id = NEW.invocation AND NEW.overrun)
	BEGIN SELECT RAISE(ABORT, 'a correction refers to a record that is not there'); END;` +
		guard("sessions", "FALSE") +
		guard("corrections", "id = NEW.id"),

	// 3: where a call came from, and the job whose delivery it was. job is empty for a call
	// that belongs to no job, origin is a JSON object or empty, first_byte is nanoseconds. A
	// row in which none of them is set has the same checksum as in version 2.
	`ALTER TABLE executions ADD COLUMN origin     TEXT    NOT NULL DEFAULT '';
	ALTER TABLE executions ADD COLUMN job        BLOB    NOT NULL DEFAULT x'' CHECK (length(job) IN (0, 16));
	ALTER TABLE executions ADD COLUMN delivery   INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE executions ADD COLUMN first_byte INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE overruns   ADD COLUMN job        BLOB    NOT NULL DEFAULT x'' CHECK (length(job) IN (0, 16));
	ALTER TABLE overruns   ADD COLUMN delivery   INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE overruns   ADD COLUMN attempt    INTEGER NOT NULL DEFAULT 0;`,
}

// guard returns the triggers that keep a table append-only. The last trigger is needed
// because INSERT OR REPLACE deletes the old row without running the triggers for deletion.
// Where it runs, a new row that leaves seq to SQLite has no seq yet, and NEW.seq is -1.
func guard(table, same string) string {
	return fmt.Sprintf(`
	CREATE TRIGGER %[1]s_no_update BEFORE UPDATE ON %[1]s
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
	CREATE TRIGGER %[1]s_no_delete BEFORE DELETE ON %[1]s
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
	CREATE TRIGGER %[1]s_no_replace BEFORE INSERT ON %[1]s
	WHEN EXISTS (SELECT 1 FROM %[1]s WHERE %[2]s) OR EXISTS (SELECT 1 FROM %[1]s WHERE seq = NEW.seq)
	BEGIN SELECT RAISE(ABORT, 'the ledger has this record'); END;`, table, same)
}

// tables returns the tables of a version of the schema.
func tables(version int) []string {
	if version == 1 {
		return []string{"executions", "overruns"}
	}
	return []string{"executions", "overruns", "sessions", "corrections"}
}

// checkGuards returns an error if a trigger was dropped: then rows may have been
// changed or deleted.
func checkGuards(ctx context.Context, db *sql.DB, version int) error {
	var want []string
	for _, table := range tables(version) {
		want = append(want, table+"_no_update", table+"_no_delete", table+"_no_replace")
	}
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		return err
	}
	got, err := column[string](rows)
	if err != nil {
		return err
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			return corrupt("the trigger %s, which keeps it append-only, is gone", name)
		}
	}
	return nil
}

// column reads rows that have one column.
func column[T any](rows *sql.Rows) (all []T, err error) {
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// migrate brings the schema to this release's version, in one transaction. It reads the
// version within the transaction, since another process may migrate at the same time.
func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	tx, err := db.BeginTx(ctx, nil) // BEGIN IMMEDIATE, because of the connection's _txlock
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // has no effect after Commit
	var version int
	if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		if _, err := tx.ExecContext(ctx, steps[version]); err != nil {
			return fmt.Errorf("step to version %d of the schema: %w", version+1, err)
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version+1)); err != nil {
			return err
		}
	}
	return tx.Commit()
}
