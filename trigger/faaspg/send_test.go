package faaspg_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faaspg"
)

func TestAJobIsMadeAfterTheCommitAndNeverBefore(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	drive(t, r, faaspg.NewRelay(pool))
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = faaspg.SendTx(t.Context(), tx, fn, 1)
	require.NoError(t, err)
	for n := range 10 { // each is written later, and done
		sendTx(t, pool, fn, 2+n)
		require.Equal(t, 2+n, receive(t, got.came))
	}
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, 1, receive(t, got.came))
	untilEmpty(t, pool)
	require.Len(t, got.all(), 11)
}

func TestAJobThatIsRolledBackIsNeverMade(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	drive(t, r, faaspg.NewRelay(pool))
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = faaspg.SendTx(t.Context(), tx, fn, 1)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))

	tx, err = pool.Begin(t.Context())
	require.NoError(t, err)
	inner, err := tx.Begin(t.Context()) // a savepoint
	require.NoError(t, err)
	_, err = faaspg.SendTx(t.Context(), inner, fn, 2)
	require.NoError(t, err)
	require.NoError(t, inner.Rollback(t.Context()))
	_, err = faaspg.SendTx(t.Context(), tx, fn, 3)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, 3, receive(t, got.came))
	untilEmpty(t, pool)
	require.Equal(t, []int{3}, got.all())
}

func TestATransactionOfDatabaseSQLWritesTheSameJob(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	db, err := sql.Open("pgx", pool.Config().ConnString())
	require.NoError(t, err)
	defer db.Close()
	for n, commit := range []bool{false, true} {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		id, err := faaspg.SendTx(t.Context(), faaspg.SQL(tx), fn, n, faas.WithOrderKey("k"))
		require.NoError(t, err)
		assert.NotEqual(t, uuid.Nil, id)
		if commit {
			require.NoError(t, tx.Commit())
		} else {
			require.NoError(t, tx.Rollback())
		}
	}
	require.Equal(t, 1, rows(t, pool))
	require.Equal(t, 1, count(t, pool, `SELECT count(*) FROM faas_outbox WHERE order_key = 'k' AND payload = '1'`))
	drive(t, r, faaspg.NewRelay(pool))
	require.Equal(t, 1, receive(t, got.came))
}

func TestAJobHasAllThatSendWouldHaveGivenIt(t *testing.T) {
	t.Parallel()
	pool := open(t)
	saved := make(chan string, 1)
	r := newRouter(t, faas.WithCarrier(faas.Carrier{
		Name: "test",
		Save: func(context.Context) ([]byte, error) { return []byte("carried"), nil },
		Restore: func(ctx context.Context, b []byte) (context.Context, error) {
			saved <- string(b)
			return ctx, nil
		},
	}))
	came := make(chan faas.Invocation, 1)
	fn := faas.Register(r, "mail", func(ctx context.Context, in []byte) ([]byte, error) {
		inv, _ := faas.FromContext(ctx)
		came <- inv
		return in, nil
	})
	ctx := faas.WithPriority(faas.WithTenant(t.Context(), "acme"), 3)
	ctx = faas.WithOrigin(ctx, faas.Origin{Trigger: "http", Door: "http", RequestID: "r-1", Key: "sticky"})
	id, in := uuid.New(), []byte("\x00\xff\"\n")
	require.Equal(t, id, sendTxFor(t, ctx, pool, fn, in, faas.WithJobID(id), faas.WithOrderKey("order"), faas.WithUnique("u", time.Hour),
		faas.WithExpiry(time.Minute), faas.WithJobLabels(map[string]string{"a": "\x00b"})))
	drive(t, r, faaspg.NewRelay(pool))
	inv := receive(t, came)
	assert.Equal(t, "carried", receive(t, saved))
	assert.Equal(t, []any{"acme", 3, "http", "r-1", "sticky", id}, []any{inv.Tenant, inv.Priority, inv.Origin.Door, inv.Origin.RequestID, inv.Origin.Key, inv.Job})
	out, err := fn.Job(id).Wait(t.Context())
	require.NoError(t, err)
	assert.Equal(t, in, out)
	info, err := fn.Job(id).Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []any{"order", "u", "\x00b"}, []any{info.OrderKey, info.UniqueKey, info.Labels["a"]})
	assert.Equal(t, time.Minute, info.Expires.Sub(info.Due))
}

func TestTheSecondJobOfAUniqueKeyIsDropped(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	for n := range 3 {
		sendTx(t, pool, fn, n, faas.WithUnique("u", time.Hour))
	}
	drive(t, r, faaspg.NewRelay(pool))
	untilEmpty(t, pool)
	require.Len(t, got.all(), 1)
}

type denies struct{}

func (denies) Admit(_ context.Context, inv faas.Invocation) error {
	if inv.Tenant == "denied" {
		return faas.ErrDenied
	}
	return nil
}
func (denies) Done(faas.Invocation, *faas.Execution) {}

func TestAJobThatIsRefusedLeavesTheTransactionAsItWas(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t, faas.WithGate(denies{})), newSeen()
	fn := note(r, "mail", got, faas.WithLimits(8, 8))
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = faaspg.SendTx(faas.WithTenant(t.Context(), "denied"), tx, fn, 1)
	require.ErrorIs(t, err, faas.ErrDenied)
	_, err = faaspg.SendTx(t.Context(), tx, fn, 1_000_000_000)
	require.ErrorIs(t, err, faas.ErrTooLarge)
	_, err = faaspg.SendTx(t.Context(), tx, fn, 1, faas.WithDelay(-1))
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = faaspg.SendTx(faas.WithTenant(t.Context(), "\xff"), tx, fn, 1)
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = faaspg.SendTx(t.Context(), tx, fn, 1, faas.WithOrderKey("\xff"))
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = faaspg.SendTx(t.Context(), tx, fn, 7)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	drive(t, r, faaspg.NewRelay(pool))
	require.Equal(t, 7, receive(t, got.came))
	require.Equal(t, []int{7}, got.all())
}

func TestAFailureOfTheDatabaseIsNoRefusal(t *testing.T) {
	t.Parallel()
	pool, r := openEmpty(t), newRouter(t)
	fn := note(r, "mail", newSeen())
	_, err := faaspg.SendTx(t.Context(), pool, fn, 1) // the schema has no table
	var refused *faas.Error
	require.Error(t, err)
	require.NotErrorAs(t, err, &refused)
}

func TestAJobByNameIsWrittenWhenItWasPrepared(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	note(r, "mail", got)
	rec, err := r.Prepare(t.Context(), "mail", []byte("5"))
	require.NoError(t, err)
	require.NoError(t, faaspg.WriteTx(t.Context(), pool, rec))
	drive(t, r, faaspg.NewRelay(pool))
	require.Equal(t, 5, receive(t, got.came))
}
