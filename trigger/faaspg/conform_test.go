package faaspg_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faaspg"
	"github.com/inproc/faas/trigger/source"
)

func TestTheRelayThatPollsIsASource(t *testing.T) {
	t.Parallel()
	testSource(t, func(t *testing.T, pool *pgxpool.Pool) *faaspg.Relay {
		t.Helper()
		return faaspg.NewRelay(pool, faaspg.WithoutListen())
	})
}

func testSource(t *testing.T, newRelay func(t *testing.T, pool *pgxpool.Pool) *faaspg.Relay) {
	t.Helper()
	faastest.TestSource(t, func(t *testing.T) (source.Source, func(n int)) {
		pool, r := open(t), faastest.New(t)
		fn := faas.Register(r, "mail", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
		return newRelay(t, pool), func(n int) { sendMany(t, pool, fn, n) }
	})
}
