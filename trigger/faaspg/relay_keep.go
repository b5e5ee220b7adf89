package faaspg

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// errExpired: the relay gave no sign of life for its term, and another relay has given back its
// rows.
var errExpired = errors.New("faaspg: the relay's term has run out")

// keep gives signs of life and writes the ends of rows, until ctx ends or the database fails.
// It has a goroutine of its own. Ends that arrive during a write are written together by the
// next one.
func (r *Relay) keep(ctx context.Context) error {
	beat := time.NewTicker(r.set.term / 3)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			err = r.live(ctx)
		case <-r.held.ended:
			err = r.write(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// live gives a sign of life, and deletes the relays whose term is over. With a relay, the
// database removes the marks of its rows (ON DELETE SET NULL), so that others can take them.
func (r *Relay) live(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.set.term)
	defer cancel()
	done, err := r.pool.Exec(ctx, `UPDATE faas_outbox_relay SET alive_until = now() + $2 WHERE id = $1`, r.id, r.set.term)
	if err != nil {
		return wrap("live", err)
	}
	if done.RowsAffected() == 0 {
		return errExpired
	}
	_, err = r.pool.Exec(ctx, `
DELETE FROM faas_outbox_relay WHERE id IN (SELECT id FROM faas_outbox_relay WHERE alive_until < now() FOR UPDATE SKIP LOCKED)`)
	return wrap("live", err)
}

// write writes the ends of rows in one transaction, with one round trip.
func (r *Relay) write(ctx context.Context) error {
	o := r.held.take()
	if o.isEmpty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.set.term)
	defer cancel()
	if err := r.pool.SendBatch(ctx, r.statements(&o)).Close(); err != nil {
		r.held.putBack(o)
		return wrap("write", err)
	}
	if r.held.forget(&o) {
		token(r.wake)
	}
	return nil
}

// statements returns the statements that write the ends of rows.
func (r *Relay) statements(o *outcomes) *pgx.Batch {
	b := &pgx.Batch{}
	if len(o.accepted) > 0 {
		b.Queue(`DELETE FROM faas_outbox WHERE seq = ANY ($1)`, o.accepted)
	}
	if len(o.returned) > 0 {
		b.Queue(`UPDATE faas_outbox SET taken_by = NULL WHERE seq = ANY ($1) AND taken_by = $2`, o.returned, r.id)
	}
	for _, rej := range o.rejected {
		b.Queue(`UPDATE faas_outbox SET taken_by = NULL, rejected = $2 WHERE seq = $1`, rej.seq, rej.why)
	}
	return b
}
