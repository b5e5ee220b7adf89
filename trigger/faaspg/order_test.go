package faaspg_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/trigger/faaspg"
)

// A reader that remembers up to which row number it has read would miss the first row here.
func TestATransactionThatCommitsLateLosesNothing(t *testing.T) {
	t.Parallel()
	pool, r, got := open(t), newRouter(t), newSeen()
	fn := note(r, "mail", got)
	drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(10*time.Millisecond)))
	a, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = faaspg.SendTx(t.Context(), a, fn, 1)
	require.NoError(t, err)
	late := time.After(1500 * time.Millisecond)
	sendTx(t, pool, fn, 2) // B has the higher number
	require.Equal(t, 2, receive(t, got.came))
	until(t, "the relay has passed, and B's row is gone", func() bool { return rows(t, pool) == 0 })
	<-late
	require.NoError(t, a.Commit(t.Context()))
	require.Equal(t, 1, receive(t, got.came))
	untilEmpty(t, pool)
	require.Equal(t, []int{2, 1}, got.all())
}

func TestManySessionsThatCommitInAnyOrderLoseNothing(t *testing.T) {
	t.Parallel()
	const sessions, each = 64, 20
	pool := open(t)
	pool.Config()
	got := newSeen()
	r := newRouter(t)
	fn := note(r, "mail", got)
	for range 2 {
		drive(t, r, faaspg.NewRelay(pool, faaspg.WithPoll(10*time.Millisecond)))
	}
	var (
		mu   sync.Mutex
		want []int
		all  sync.WaitGroup
	)
	big := poolOf(t, pool, sessions)
	for s := range sessions {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(s), 1))
			for i := range each {
				tx, err := big.Begin(context.Background())
				if !assert.NoError(t, err) {
					return
				}
				n := s*each + i
				_, err = faaspg.SendTx(context.Background(), tx, fn, n)
				assert.NoError(t, err)
				time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond) // so that commits of other transactions come between
				if rnd.IntN(4) == 0 {
					assert.NoError(t, tx.Rollback(context.Background()))
					continue
				}
				assert.NoError(t, tx.Commit(context.Background()))
				mu.Lock()
				want = append(want, n)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	untilEmpty(t, pool)
	ran := got.all()
	slices.Sort(ran)
	slices.Sort(want)
	require.Equal(t, want, ran, "each that was committed, once, and none that was rolled back")
}
