package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
)

// books is an SQLite database with the steps that the shop has done: payments, stock and mails. The key of a row is
// the step and the order's ID.
type books struct{ *sql.DB }

func openBooks(dir string) (*books, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "books.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE IF NOT EXISTS done (step TEXT, id TEXT, item TEXT, cents INTEGER, runs INTEGER, PRIMARY KEY (step, id))`)
	if err != nil {
		return nil, fmt.Errorf("open the books in %s: %w", dir, err)
	}
	return &books{db}, nil
}

// note writes down that a step of an order is done. After a crash between this write and the end of the job, the
// job runs again: then the row exists, and only its count of runs changes.
func (b *books) note(ctx context.Context, step string, o order) error {
	_, err := b.ExecContext(ctx, `INSERT INTO done VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET runs = runs + 1`, step, o.ID, o.Item, o.Cents)
	return err
}

// done returns the steps of an order that are done.
func (b *books) done(ctx context.Context, id string) ([]string, error) {
	rows, err := b.QueryContext(ctx, `SELECT step FROM done WHERE id = ? ORDER BY step`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	steps := []string{}
	for rows.Next() {
		var step string
		if err := rows.Scan(&step); err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}
