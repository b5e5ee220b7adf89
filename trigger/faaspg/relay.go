package faaspg

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/source"
)

// Relay takes the committed rows of the outbox. It is a [source.Source]. The [source.Driver]
// that [Relay.Drive] returns can pause it, and describes its state. A Relay has one driver at a
// time.
//
// While it runs, it holds one connection of the pool to listen (see [WithoutListen]), and uses
// up to two more for a moment at a time.
type Relay struct {
	pool *pgxpool.Pool
	set  settings
	id   uuid.UUID // marks the rows that this relay has taken

	held   held
	wake   chan struct{} // holds a token if there may be rows that the last pass has not seen
	cursor string        // the next pass begins at this tenant; only Run's goroutine uses it
	busy   bool          // the relay makes one pass after another, and gets no notifications; only Run's goroutine uses it
}

// NewRelay returns a relay for the outbox in the pool's database. It panics with an error that
// Is faas.ErrInput if pool is nil or an option is out of range. The relay never closes the
// pool, which must stay open for as long as the relay is driven.
func NewRelay(pool *pgxpool.Pool, opts ...RelayOption) *Relay {
	r := &Relay{pool: pool, id: uuid.New(), wake: make(chan struct{}, 1)}
	r.set = settings{window: 512, poll: time.Second, term: 15 * time.Second, listens: true}
	for _, o := range opts {
		if o != nil {
			o(&r.set)
		}
	}
	err := r.set.check()
	if pool == nil {
		err = fmt.Errorf("faaspg: %w: NewRelay needs a pool", faas.ErrInput)
	}
	if err != nil {
		panic(err)
	}
	r.held.init()
	return r
}

// Drive gives the jobs of the rows to the router's queue, until the driver is stopped or the
// router is shut down. It is [source.Drive] with the name "outbox", and with the relay's window
// as the driver's concurrency. The options override both.
func (r *Relay) Drive(router *faas.Router, opts ...source.Option) (*source.Driver, error) {
	own := []source.Option{source.WithName("outbox"), source.WithConcurrency(r.set.window)}
	return source.Drive(router, r, append(own, opts...)...)
}

// Lag implements [source.Source]. It counts the rows in the table that are due, including those
// under way, and returns for how long the oldest has been due.
func (r *Relay) Lag(ctx context.Context) (source.Lag, error) {
	var (
		lag   source.Lag
		micro int64
	)
	err := r.pool.QueryRow(ctx, `
SELECT count(*), (extract(epoch FROM coalesce(clock_timestamp() - min(due), interval '0')) * 1000000)::bigint
FROM faas_outbox WHERE rejected IS NULL AND due <= now() AND ($1::text[] IS NULL OR function = ANY ($1))`, r.set.functions).Scan(&lag.Items, &micro)
	if err != nil {
		return source.Lag{}, fmt.Errorf("faaspg: lag: %w", err)
	}
	lag.Age = time.Duration(micro) * time.Microsecond
	return lag, nil
}

// Run implements [source.Source]. It uses three goroutines: its own takes rows; one runs keep,
// which gives signs of life and writes the ends of rows; and one runs listen.
func (r *Relay) Run(ctx context.Context, sink source.Sink) error {
	if err := r.appear(ctx); err != nil {
		return err
	}
	// Rows that end after ctx are deleted too, so keep has a context of its own.
	keeping, keepNoMore := context.WithCancel(context.WithoutCancel(ctx))
	taking, takeNoMore := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	others.Go(func() { takeNoMore(r.keep(keeping)) })
	if r.set.listens {
		others.Go(func() { r.listen(taking) })
	}
	err := r.takeAll(taking, sink)
	if why := context.Cause(taking); why != nil {
		err = why // the error of keep, if keep has failed
	}
	takeNoMore(nil)
	if ctx.Err() != nil {
		r.held.awaitEnds()
		defer r.leave(context.WithoutCancel(ctx)) // rows that it can't give back come again when the relay's term is over
	}
	keepNoMore()
	others.Wait()
	return err
}

// appear enters this relay in the table of living relays. It also gives back rows that are
// marked as this relay's and that it does not hold: the connection broke before the relay
// received them.
func (r *Relay) appear(ctx context.Context) error {
	_, err := r.pool.Exec(ctx, `
INSERT INTO faas_outbox_relay (id, alive_until, listens) VALUES ($1, now() + $2, $3)
ON CONFLICT (id) DO UPDATE SET alive_until = EXCLUDED.alive_until, listens = EXCLUDED.listens`, r.id, r.set.term, r.set.listens)
	if err == nil {
		_, err = r.pool.Exec(ctx, `UPDATE faas_outbox SET taken_by = NULL WHERE taken_by = $1 AND seq <> ALL ($2)`, r.id, r.held.seqs())
	}
	r.busy = false
	return wrap("appear", err)
}

// leave writes the ends of rows that are not written yet, and gives back the other rows. An
// error is ignored: when the relay's term runs out, another relay gives all these rows back.
func (r *Relay) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.set.term)
	defer cancel()
	_ = r.write(ctx)
	_, _ = r.pool.Exec(ctx, `DELETE FROM faas_outbox_relay WHERE id = $1`, r.id)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("faaspg: %s: %w", doing, err)
}
