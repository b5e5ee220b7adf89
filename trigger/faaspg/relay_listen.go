package faaspg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// listen wakes the relay whenever a transaction has sent a notification, until ctx ends. It has
// a goroutine of its own. If its connection breaks, it connects again after the time of
// WithPoll, or after a second if that is less. In between, the polls find the rows.
func (r *Relay) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = r.listenOnce(ctx) // not logged: keep and takeAll get the same error and return it
		_ = sleep(ctx, min(r.set.poll, time.Second))
	}
}

func (r *Relay) listenOnce(ctx context.Context) error {
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer discard(conn)
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return err
	}
	for {
		token(r.wake) // also at the start, since rows that were committed before LISTEN have sent no notification here
		if _, err := conn.Conn().WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// discard closes a connection. A connection that listens must not go back to the pool.
func discard(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Hijack().Close(ctx)
}
