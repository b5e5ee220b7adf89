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

// Relay takes the rows of the outbox that were committed. It is a [source.Source]: see
// [source.Driver] for how to pause it, and what it tells. A Relay has one driver at a time.
//
// It uses a connection of the pool to listen on as long as it runs ([WithoutListen]), and up to two
// more for moments.
type Relay struct {
	pool *pgxpool.Pool
	set  settings
	id   uuid.UUID // by which rows are marked that it has

	held   held
	wake   chan struct{} // holds a token if there may be rows that the last pass has not seen
	cursor string        // the tenant at which the next pass begins; Run's goroutine has it
	busy   bool          // it passes again and again, and need not be woken; Run's goroutine has it
}

// NewRelay returns a relay of the outbox in the pool's database. It panics with an error that Is
// faas.ErrInput if an option is out of range. The pool stays the caller's, and must be open as
// long as the relay is driven.
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

// Drive gives the jobs of the rows to the router's queue, until the driver is stopped or the router
// is shut down. It is [source.Drive] with the name "outbox" and the relay's window as the
// driver's concurrency; options go before these.
func (r *Relay) Drive(router *faas.Router, opts ...source.Option) (*source.Driver, error) {
	own := []source.Option{source.WithName("outbox"), source.WithConcurrency(r.set.window)}
	return source.Drive(router, r, append(own, opts...)...)
}

// Lag implements [source.Source]: how many rows are due and in the table, those included that are
// under way, and for how long the oldest has been due.
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

// Run implements [source.Source]. Three goroutines work until it returns: this one takes rows, one
// gives signs of life and writes what has become of rows, one listens.
func (r *Relay) Run(ctx context.Context, sink source.Sink) error {
	if err := r.appear(ctx); err != nil {
		return err
	}
	// Rows that end after ctx has are deleted as any others: so keep has a context of its own.
	keeping, keepNoMore := context.WithCancel(context.WithoutCancel(ctx))
	taking, takeNoMore := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	others.Go(func() { takeNoMore(r.keep(keeping)) })
	if r.set.listens {
		others.Go(func() { r.listen(taking) })
	}
	err := r.takeAll(taking, sink)
	if why := context.Cause(taking); why != nil {
		err = why // of keep, if that has failed
	}
	takeNoMore(nil)
	if ctx.Err() != nil {
		r.held.awaitEnds()
		defer r.leave(context.WithoutCancel(ctx)) // what can't be written comes again
	}
	keepNoMore()
	others.Wait()
	return err
}

// appear enters the relay among those that live, and gives back what it had taken and does not hold:
// the answer to its take was lost with a connection.
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

// leave writes the ends of rows that are not written yet, and gives the other rows back. It is
// best effort: if it fails, the relay's term runs out, and another relay gives back all of these
// rows.
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
