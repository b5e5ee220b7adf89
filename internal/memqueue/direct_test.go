package memqueue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/memqueue"
)

// putLease puts a job and leases the next one.
func putLease(q *queue, it item, names []string) (memqueue.Leased[string], error) {
	return q.PutLease(&it, "", 0, names, time.Now().UnixNano(), new(memqueue.View[string]))
}

// settleLease settles a job and leases the next one.
func settleLease(q *queue, l memqueue.Leased[string], it item, names []string, follow ...item) (memqueue.Leased[string], error) {
	h := l.Hold()
	return q.SettleLease(&h, &it, names, time.Now().UnixNano(), follow...)
}

// leaseOn leases on a goroutine of its own, and sends the job's ID.
func leaseOn(t *testing.T, q *queue) <-chan memqueue.ID {
	t.Helper()
	got := make(chan memqueue.ID, 1)
	go func() {
		if v, _, err := q.Lease(t.Context(), []string{"f"}); err == nil {
			got <- v.ID
		}
	}()
	synctest.Wait()
	return got
}

func done(it item) item {
	it.State, it.At = memqueue.Succeeded, 0
	return it
}

func TestAPutThatLeasesWakesNoOtherLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10, 100)
		defer q.Close()
		waits := leaseOn(t, q)
		next, err := putLease(q, job(1, "a"), []string{"f"})
		require.NoError(t, err)
		assert.Equal(t, number(1), next.View.ID)
		assert.Equal(t, memqueue.Running, next.View.State)
		synctest.Wait()
		assert.Empty(t, waits)
		next, err = putLease(q, job(2, "a"), []string{"f"}) // tenant a has a leased job that has not begun
		require.NoError(t, err)
		assert.Zero(t, next.Token)
		next, err = putLease(q, job(3, "b"), nil) // PutLease leases for no function, so the Lease that waits gets the job
		require.NoError(t, err)
		assert.Zero(t, next.Token)
		assert.Equal(t, number(3), <-waits)
	})
}

// The queue uses the place of a forgotten job for another one. A holder that has lost its lease
// of the first must not settle the second.
func TestALostLeaseSettlesNoLaterJobInTheSamePlace(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10, 100)
	defer q.Close()
	lost, err := putLease(q, job(1, "a"), []string{"f"})
	require.NoError(t, err)
	require.Equal(t, 1, q.LoseLeases())
	finish(t, q, "f")
	require.NoError(t, q.Remove(number(1), revisionOf(t, q, 1)))
	second, err := putLease(q, job(2, "a"), []string{"f"})
	require.NoError(t, err)
	_, err = settleLease(q, lost, done(job(1, "a")), nil)
	require.ErrorIs(t, err, memqueue.ErrLease)
	h := lost.Hold()
	require.ErrorIs(t, q.BeginHold(&h), memqueue.ErrLease)
	_, err = settleLease(q, second, done(second.View.Item), nil)
	require.NoError(t, err)
}

func revisionOf(t *testing.T, q *queue, n int) uint64 {
	t.Helper()
	v, err := q.Get(number(n))
	require.NoError(t, err)
	return v.Revision
}

func TestASettleThatLeasesGetsTheNextJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10, 100)
		defer q.Close()
		first, err := putLease(q, job(1, "a"), []string{"f"})
		require.NoError(t, err)
		require.NoError(t, put(t, q, job(2, "a")))
		require.NoError(t, put(t, q, job(3, "a")))
		waits := leaseOn(t, q)
		second, err := settleLease(q, first, done(first.View.Item), []string{"f"})
		require.NoError(t, err)
		assert.Equal(t, number(2), second.View.ID)
		synctest.Wait()
		assert.Empty(t, waits)
		require.NoError(t, q.Begin(number(2), second.Token))
		assert.Equal(t, number(3), <-waits)
		_, err = settleLease(q, first, done(first.View.Item), []string{"f"})
		require.ErrorIs(t, err, memqueue.ErrLease)
		last, err := settleLease(q, second, done(second.View.Item), []string{"f"}, job(4, "b"))
		require.NoError(t, err)
		assert.Equal(t, number(4), last.View.ID, "what follows")
	})
}

func TestAStepThatLeasesOneJobWakesTheLeaseForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10, 100)
		defer q.Close()
		first, err := putLease(q, job(1, "a"), []string{"f"})
		require.NoError(t, err)
		waits := leaseOn(t, q)
		_, err = settleLease(q, first, done(first.View.Item), []string{"f"}, job(2, "a"), job(3, "b"))
		require.NoError(t, err)
		assert.Equal(t, number(3), <-waits)
	})
}

func TestAwaitReturnsTheSettledJobOrWhenItIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10, 100)
		defer q.Close()
		l, err := putLease(q, job(1, "a"), []string{"f"})
		require.NoError(t, err)
		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		v, err := q.Await(t.Context(), stop, number(1))
		require.NoError(t, err)
		assert.Equal(t, memqueue.Running, v.State)
		time.AfterFunc(time.Second, func() {
			again := l.View.Item
			again.State = memqueue.Ready // a retry: Await goes on waiting
			next, err := settleLease(q, l, again, []string{"f"})
			assert.NoError(t, err)
			time.Sleep(time.Second)
			assert.NoError(t, q.Settle(next.Token, done(next.View.Item)))
		})
		began := time.Now()
		v, err = q.Await(t.Context(), nil, number(1))
		require.NoError(t, err)
		assert.Equal(t, memqueue.Succeeded, v.State)
		assert.Equal(t, 2*time.Second, time.Since(began))
		_, err = q.Await(t.Context(), nil, number(9))
		require.ErrorIs(t, err, memqueue.ErrUnknown)
	})
}

func TestAnAwaitThatIsStoppedAfterTheJobHasSettledReturnsItsEnd(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10, 1<<20)
	defer q.Close()
	for i := range 5_000 { // in some rounds Await looks before the job settles, and waits after stop is closed
		l, err := putLease(q, job(i, "a"), []string{"f"})
		require.NoError(t, err)
		stop, seen := make(chan struct{}), make(chan memqueue.State, 1)
		go func() {
			v, _ := q.Await(t.Context(), stop, number(i))
			seen <- v.State
		}()
		require.NoError(t, q.Settle(l.Token, done(l.View.Item)))
		close(stop)
		require.Equal(t, memqueue.Succeeded, <-seen)
	}
}
