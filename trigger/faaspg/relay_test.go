package faaspg_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faaspg"
	"github.com/inproc/faas/trigger/source"
)

// forever is the interval of a poll that never happens, so that everything must come by NOTIFY.
const forever = time.Hour

func TestACommitWakesTheRelay(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(forever)))
	for n := range 20 {
		sendTx(t, pool, fn, n)
		require.Equal(t, n, receive(t, got.came))
	}
}

func TestACommitWakesTheRelayAgainAfterItWasBusy(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	sendMany(t, pool, fn, 1000)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(forever)))
	for range 1000 {
		receive(t, got.came)
	}
	sendTx(t, pool, fn, -1) // the relay may be listening already, or make another pass
	require.Equal(t, -1, receive(t, got.came))
	until(t, "the relay listens", func() bool { return count(t, pool, `SELECT count(*) FROM faas_outbox_relay WHERE listens`) == 1 })
	sendTx(t, pool, fn, -2)
	require.Equal(t, -2, receive(t, got.came))
}

// sendMany sends the numbers below n in one transaction.
func sendMany(tb testing.TB, pool faaspg.Beginner, fn *faas.Function[int, struct{}], n int, opts ...faas.SendOption) {
	tb.Helper()
	sendManyFor(tb, tb.Context(), pool, fn, n, opts...)
}

func sendManyFor(tb testing.TB, ctx context.Context, pool faaspg.Beginner, fn *faas.Function[int, struct{}], n int, opts ...faas.SendOption) {
	tb.Helper()
	require.NoError(tb, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for i := range n {
			if _, err := faaspg.SendTx(ctx, tx, fn, i, opts...); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestARelayThatDoesNotListenPolls(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithoutListen(), faaspg.WithPoll(5*time.Millisecond)))
	for n := range 5 {
		sendTx(t, pool, fn, n)
		require.Equal(t, n, receive(t, got.came))
	}
	require.Zero(t, count(t, pool, `SELECT count(*) FROM faas_outbox_relay WHERE listens`), "no transaction notifies")
}

func TestWithTheQueueInMemoryARowGoesWhenItsJobIsSettled(t *testing.T) {
	t.Parallel()
	pool, r := open(t), newRouter(t)
	began, release := make(chan struct{}), make(chan struct{})
	fn := faas.Register(r, "slow", func(context.Context, int) (struct{}, error) {
		began <- struct{}{}
		<-release
		return struct{}{}, nil
	})
	drive(t, r, faaspg.NewRelay(pool))
	id := sendTx(t, pool, fn, 1)
	receive(t, began)
	require.Equal(t, 1, rows(t, pool))
	close(release)
	_, err := fn.Job(id).Wait(t.Context())
	require.NoError(t, err)
	untilEmpty(t, pool)
}

func TestWithADurableQueueARowGoesWhenItsJobIsAccepted(t *testing.T) {
	t.Parallel()
	queue := durable{faas.NewMemoryJobs(0, 0)}
	pool, r := open(t), newRouter(t, faas.WithJobs(queue))
	began, release := make(chan struct{}), make(chan struct{})
	fn := faas.Register(r, "slow", func(context.Context, int) (struct{}, error) {
		began <- struct{}{}
		<-release
		return struct{}{}, nil
	})
	drive(t, r, faaspg.NewRelay(pool))
	id := sendTx(t, pool, fn, 1)
	receive(t, began)
	untilEmpty(t, pool)
	close(release)
	_, err := fn.Job(id).Wait(t.Context())
	require.NoError(t, err)
}

func TestTheRowsOfADeadJobGo(t *testing.T) {
	t.Parallel()
	pool, r := open(t), newRouter(t)
	fn := faas.Register(r, "bad", func(context.Context, int) (struct{}, error) { return struct{}{}, faas.Permanent(errors.New("no")) })
	d := drive(t, r, faaspg.NewRelay(pool))
	sendMany(t, pool, fn, 300)
	untilEmpty(t, pool)
	require.Equal(t, uint64(300), d.Info(t.Context()).Counts.Accepted)
}

func TestARowThatIsNotDueWaitsInTheTable(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	d := drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(10*time.Millisecond)))
	written := time.Now()
	sendTx(t, pool, fn, 1, faas.WithDelay(2*time.Second))
	id := sendTx(t, pool, fn, 0, faas.WithDelay(time.Hour))
	sendTx(t, pool, fn, 2)
	require.Equal(t, 2, receive(t, got.came))
	_, err := fn.Job(id).Info(t.Context())
	require.ErrorIs(t, err, faas.ErrNotFound)
	require.Equal(t, 1, receive(t, got.came))
	require.GreaterOrEqual(t, time.Since(written), 2*time.Second)
	until(t, "one row is left", func() bool { return rows(t, pool) == 1 })
	require.Equal(t, source.Lag{}, d.Info(t.Context()).Lag, "what is not due is not late")
}

func TestInfoTellsTheLag(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	d := drive(t, r, faaspg.NewRelay(pool))
	d.Pause()
	sendMany(t, pool, fn, 5)
	_, err := pool.Exec(t.Context(), `UPDATE faas_outbox SET due = due - interval '1 hour' WHERE payload = '3'`)
	require.NoError(t, err)
	lag := d.Info(t.Context()).Lag
	require.Equal(t, int64(5), lag.Items)
	require.InDelta(t, time.Hour.Seconds(), lag.Age.Seconds(), patience.Seconds())
	d.Resume()
	untilEmpty(t, pool)
	require.Equal(t, source.Lag{}, d.Info(t.Context()).Lag)
}

func TestATenantWithFewRowsDoesNotWaitForOneWithMany(t *testing.T) {
	t.Parallel()
	pool, r := open(t), newRouter(t)
	var mu sync.Mutex
	ran, few, done := map[string]int{}, make(chan int, 1), 0
	fn := faas.Register(r, "mail", func(ctx context.Context, _ int) (struct{}, error) {
		inv, _ := faas.FromContext(ctx)
		mu.Lock()
		defer mu.Unlock()
		ran[inv.Tenant]++
		if inv.Tenant != "many" {
			if done++; done == 20 {
				few <- ran["many"]
			}
		}
		return struct{}{}, nil
	}, faas.WithConcurrency(1))
	sendManyFor(t, faas.WithTenant(t.Context(), "many"), pool, fn, 2000)
	sendManyFor(t, faas.WithTenant(t.Context(), "few"), pool, fn, 10)
	sendManyFor(t, faas.WithTenant(t.Context(), "two"), pool, fn, 10)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithWindow(8)))
	assert.Less(t, receive(t, few), 200)
	untilEmpty(t, pool)
}

func TestATenantWhoseJobsWaitForTheirRetryDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	bad := faas.Register(r, "bad", func(context.Context, int) (struct{}, error) { return struct{}{}, errors.New("again") })
	fn := note(r, "mail", got)
	sendManyFor(t, faas.WithTenant(t.Context(), "a"), pool, bad, 50)
	d := drive(t, r, faaspg.NewRelay(pool, faaspg.WithWindow(8)))
	until(t, "it has all that it may have", func() bool { return d.Info(t.Context()).UnderWay == 4 })
	sendManyFor(t, faas.WithTenant(t.Context(), "b"), pool, fn, 100)
	for range 100 {
		receive(t, got.came)
	}
	require.Equal(t, 4, count(t, pool, `SELECT count(*) FROM faas_outbox WHERE tenant = 'a' AND taken_by IS NOT NULL`))
}

func TestManyTenantsAllHaveTheirTurn(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	for n := range 500 {
		ctx := faas.WithTenant(t.Context(), "tenant "+uuid.NewString())
		sendTxFor(t, ctx, pool, fn, n, faas.WithDelay(time.Duration(n%2)*time.Hour))
	}
	drive(t, r, faaspg.NewRelay(pool))
	for range 250 {
		require.Zero(t, receive(t, got.came)%2)
	}
	until(t, "the others are left", func() bool { return rows(t, pool) == 250 })
}

func TestRowsOfOneOrderKeyRunOneAfterTheOtherAlsoWithManyRelays(t *testing.T) {
	t.Parallel()
	pool := open(t)
	var (
		mu      sync.Mutex
		running = map[int]bool{}
		got     = map[int][]int{}
	)
	var fn *faas.Function[int, struct{}]
	var routers []*faas.Router
	for range 3 {
		r := newRouter(t)
		fn = faas.Register(r, "ship", func(_ context.Context, n int) (struct{}, error) {
			key := n % 4
			mu.Lock()
			assert.False(t, running[key], "two of a key at once")
			running[key] = true
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			running[key] = false
			got[key] = append(got[key], n)
			return struct{}{}, nil
		})
		routers = append(routers, r)
	}
	want := map[int][]int{}
	for n := range 120 {
		sendTx(t, pool, fn, n, faas.WithOrderKey([]string{"a", "b", "c", "d"}[n%4]))
		want[n%4] = append(want[n%4], n)
	}
	for _, r := range routers { // no router may have more than four rows
		drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(10*time.Millisecond), faaspg.WithWindow(8)))
	}
	untilEmpty(t, pool)
	require.Equal(t, want, got)
}

func TestARowThatIsNoJobStaysAndSaysWhy(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	for _, job := range []string{`[]`, `{}`, `{"id": 7}`} {
		_, err := pool.Exec(t.Context(), `INSERT INTO faas_outbox (id, function, tenant, order_key, due, job) VALUES (gen_random_uuid(), 'mail', '', 'k', now(), $1)`, job)
		require.NoError(t, err)
	}
	d := drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(10*time.Millisecond)))
	sendTx(t, pool, fn, 1, faas.WithOrderKey("k"))
	require.Equal(t, 1, receive(t, got.came), "it waits for none of them")
	until(t, "three rows are left", func() bool { return rows(t, pool) == 3 })
	require.Equal(t, 3, count(t, pool, `SELECT count(*) FROM faas_outbox WHERE rejected LIKE '%rejected%' AND taken_by IS NULL`))
	require.Equal(t, source.Lag{}, d.Info(t.Context()).Lag)
}

func TestARelayMayTakeTheRowsOfSomeFunctions(t *testing.T) {
	t.Parallel()
	pool, got := open(t), newSeen()
	one, two := newRouter(t), newRouter(t)
	mail, ship := note(one, "mail", got), note(two, "ship", got)
	sendTx(t, pool, mail, 1)
	sendTx(t, pool, ship, 2)
	d := drive(t, two, faaspg.NewRelay(pool, faaspg.WithFunctions("ship")))
	require.Equal(t, 2, receive(t, got.came))
	until(t, "one row is left", func() bool { return rows(t, pool) == 1 })
	require.Equal(t, source.Lag{}, d.Info(t.Context()).Lag)
	drive(t, one, faaspg.NewRelay(pool, faaspg.WithFunctions("mail")))
	require.Equal(t, 1, receive(t, got.came))
}

func TestTheRowsOfARelayThatHasDiedAreTakenWhenItsTermIsOver(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	sendMany(t, pool, fn, 3)
	dead := uuid.New()
	_, err := pool.Exec(t.Context(), `INSERT INTO faas_outbox_relay VALUES ($1, now() + interval '1 hour', false)`, dead)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `UPDATE faas_outbox SET taken_by = $1 WHERE payload <> '2'`, dead)
	require.NoError(t, err)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithTerm(100*time.Millisecond), faaspg.WithPoll(10*time.Millisecond)))
	require.Equal(t, 2, receive(t, got.came))
	until(t, "it lets the others be", func() bool { return rows(t, pool) == 2 })
	_, err = pool.Exec(t.Context(), `UPDATE faas_outbox_relay SET alive_until = now() - interval '1 second' WHERE id = $1`, dead)
	require.NoError(t, err)
	require.ElementsMatch(t, []int{0, 1}, []int{receive(t, got.came), receive(t, got.came)})
	untilEmpty(t, pool)
}

func TestARelayWhoseTermRanOutBeginsAnew(t *testing.T) {
	t.Parallel()
	pool, r := open(t), newRouter(t)
	began, release := make(chan struct{}, 9), make(chan struct{})
	fn := faas.Register(r, "slow", func(context.Context, int) (struct{}, error) {
		began <- struct{}{}
		<-release
		return struct{}{}, nil
	})
	d := drive(t, r, faaspg.NewRelay(pool, faaspg.WithTerm(100*time.Millisecond), faaspg.WithPoll(10*time.Millisecond)))
	sendTx(t, pool, fn, 1)
	receive(t, began)
	_, err := pool.Exec(t.Context(), `DELETE FROM faas_outbox_relay`)
	require.NoError(t, err)
	until(t, "it was started again", func() bool { return d.Info(t.Context()).Restarts > 0 })
	until(t, "it has the row again", func() bool { return count(t, pool, `SELECT count(*) FROM faas_outbox WHERE taken_by IS NOT NULL`) == 1 })
	close(release)
	untilEmpty(t, pool)
	require.Empty(t, began, "the job had not gone, and ran once")
	require.NoError(t, d.Stop(t.Context()), "nothing is under way that has ended")
}

func TestARelayWhoseConnectionsBreakLosesNothing(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithTerm(300*time.Millisecond), faaspg.WithPoll(10*time.Millisecond)))
	other, err := pgx.Connect(t.Context(), pool.Config().ConnString())
	require.NoError(t, err)
	defer other.Close(context.Background())
	for range 20 {
		sendMany(t, other, fn, 100)
		_, err := other.Exec(t.Context(), `
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = $1`, pool.Config().ConnConfig.RuntimeParams["application_name"])
		require.NoError(t, err)
	}
	for range 2000 {
		receive(t, got.came)
	}
	until(t, "the outbox is empty", func() bool {
		var n int
		return other.QueryRow(t.Context(), "SELECT count(*) FROM faas_outbox").Scan(&n) == nil && n == 0
	})
	require.Len(t, got.all(), 2000, "the queue knew the jobs")
}

func TestShutdownDeletesWhatIsDoneAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	began := make(chan struct{}, 9)
	fn := note(r, "mail", got)
	bad := faas.Register(r, "bad", func(context.Context, int) (struct{}, error) {
		began <- struct{}{}
		return struct{}{}, errors.New("again")
	})
	drive(t, r, faaspg.NewRelay(pool))
	sendTx(t, pool, bad, 0)
	sendMany(t, pool, fn, 10)
	receive(t, began)
	for range 10 {
		receive(t, got.came)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = r.Shutdown(ctx) // its error may name the job that waits for another attempt
	require.Equal(t, 1, rows(t, pool))
	require.Equal(t, 1, count(t, pool, `SELECT count(*) FROM faas_outbox WHERE function = 'bad' AND taken_by IS NULL`))
	require.Zero(t, count(t, pool, `SELECT count(*) FROM faas_outbox_relay`))
}

func TestARelayThatCanNotWorkIsRefused(t *testing.T) {
	t.Parallel()
	pool := openEmpty(t)
	for _, o := range []faaspg.RelayOption{faaspg.WithWindow(1), faaspg.WithPoll(0), faaspg.WithTerm(0)} {
		assert.Panics(t, func() { faaspg.NewRelay(pool, nil, o) })
	}
	assert.Panics(t, func() { faaspg.NewRelay(nil) })
	d := drive(t, newRouter(t), faaspg.NewRelay(pool)) // the schema has no tables
	until(t, "it says so", func() bool { return d.Info(t.Context()).LastError != "" })
	require.Contains(t, d.Info(t.Context()).LastError, "faas_outbox_relay")
}
