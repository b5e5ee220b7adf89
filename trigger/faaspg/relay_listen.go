package faaspg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// listen is the goroutine that wakes the relay when a transaction has sent a notification, until
// ctx ends. A connection that breaks is replaced after the time of a poll, or after a second if
// that is less. Until then the polls find the rows that no notification tells of.
func (r *Relay) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = r.listenOnce(ctx) // the same failure meets keep and takeAll, which tell it
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
		token(r.wake) // at first too: of what was committed before there is no notification
		if _, err := conn.Conn().WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// discard closes a connection: one that listens must not go back to the pool.
func discard(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Hijack().Close(ctx)
}
