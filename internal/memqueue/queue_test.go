package memqueue_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/memqueue"
)

type (
	item  = memqueue.Item[string]
	queue = memqueue.Queue[string]
)

func number(n int) (id memqueue.ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// job is an item of function f.
func job(n int, tenant string) item {
	return item{ID: number(n), Function: "f", Tenant: tenant, At: time.Now().UnixNano(), Size: 1}
}

func put(t *testing.T, q *queue, it item) error {
	t.Helper()
	_, err := q.Put(it, "", 0)
	return err
}

// finish leases a job and settles it.
func finish(t *testing.T, q *queue, names ...string) memqueue.View[string] {
	t.Helper()
	v, token, err := q.Lease(t.Context(), names)
	require.NoError(t, err)
	done := v.Item
	done.State, done.At = memqueue.Succeeded, 0
	require.NoError(t, q.Settle(token, done))
	return v
}

func TestTheBoundsAreOfWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](3, 100)
	for n := range 3 {
		require.NoError(t, put(t, q, job(n, "")))
	}
	require.ErrorIs(t, put(t, q, job(3, "")), memqueue.ErrFull)
	finish(t, q, "f")
	require.NoError(t, put(t, q, job(4, "")))

	q = memqueue.New[string](10, 100)
	big := job(1, "")
	big.Size = 100
	require.NoError(t, put(t, q, big))
	require.ErrorIs(t, put(t, q, job(2, "")), memqueue.ErrFull)
	finish(t, q, "f")
	big.ID, big.Size = number(3), 101
	require.ErrorIs(t, put(t, q, big), memqueue.ErrFull)
}

func TestATenantGetsHalfWhileOthersWait(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10, 1000)
	require.NoError(t, put(t, q, job(0, "b")))
	for n := range 5 {
		require.NoError(t, put(t, q, job(1+n, "a")))
	}
	require.ErrorIs(t, put(t, q, job(100, "a")), memqueue.ErrFull)
	require.NoError(t, put(t, q, job(101, "b")))

	q = memqueue.New[string](10, 1000)
	require.NoError(t, put(t, q, job(0, "b")))
	large := job(1, "a")
	large.Size = 501
	require.ErrorIs(t, put(t, q, large), memqueue.ErrFull)
	large.Size = 500
	require.NoError(t, put(t, q, large))

	q = memqueue.New[string](10, 1000) // a tenant that is alone gets all
	for n := range 10 {
		require.NoError(t, put(t, q, job(n, "a")))
	}
}

func TestTheNextPlaceIsOfTheTenantThatWasTurnedAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](4, 1000)
		for n := range 4 {
			require.NoError(t, put(t, q, job(n, "a")))
		}
		require.ErrorIs(t, put(t, q, job(10, "b")), memqueue.ErrFull)
		finish(t, q, "f")
		require.ErrorIs(t, put(t, q, job(11, "a")), memqueue.ErrFull) // tenant a would take each place that becomes free before b tries again
		require.NoError(t, put(t, q, job(12, "b")))

		q = memqueue.New[string](4, 1000)
		for n := range 4 {
			require.NoError(t, put(t, q, job(n, "a")))
		}
		require.ErrorIs(t, put(t, q, job(10, "b")), memqueue.ErrFull)
		finish(t, q, "f")
		time.Sleep(10 * time.Second) // b does not try again within patience
		require.NoError(t, put(t, q, job(11, "a")))
	})
}

func TestSettledJobsAreForgottenTheOldestFirst(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](2, 100)
	for n := range 5 {
		require.NoError(t, put(t, q, job(n, "")))
		finish(t, q, "f")
	}
	for n, want := range []error{memqueue.ErrUnknown, memqueue.ErrForgotten, memqueue.ErrForgotten, nil, nil} {
		_, err := q.Get(number(n))
		require.ErrorIs(t, err, want, n)
	}
	v, err := q.Put(job(1, ""), "", 0)
	require.ErrorIs(t, err, memqueue.ErrTaken)
	require.Equal(t, number(1), v.ID)
	require.NoError(t, put(t, q, job(0, ""))) // its ID is not remembered any more

	large := job(20, "")
	require.NoError(t, put(t, q, large))
	finish(t, q, "f")
	v, token, err := q.Lease(t.Context(), []string{"f"})
	require.NoError(t, err)
	large = v.Item
	large.State, large.Size, large.At = memqueue.Dead, 1000, 0
	require.NoError(t, q.Settle(token, large)) // larger than the bound, and kept all the same: a goroutine that waits must see its end
	_, err = q.Get(v.ID)
	require.NoError(t, err)
}

func TestSettledJobsAreForgottenWhenTheirTimeHasPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](100, 1000)
		settle := func(n int, keep time.Duration) {
			require.NoError(t, put(t, q, job(n, "")))
			v, token, err := q.Lease(t.Context(), []string{"f"})
			require.NoError(t, err)
			v.State, v.At = memqueue.Dead, time.Now().Add(keep).UnixNano()
			require.NoError(t, q.Settle(token, v.Item))
		}
		settle(1, 2*time.Hour)
		settle(2, time.Hour)
		time.Sleep(time.Hour)
		_, err := q.Get(number(2))
		require.ErrorIs(t, err, memqueue.ErrForgotten)
		_, err = q.Get(number(1))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		found, _, err := q.List(0, "", func(*item) bool { return true })
		require.NoError(t, err)
		assert.Empty(t, found)
		settle(3, time.Hour) // this Settle looks for old jobs
		counts, err := q.Count()
		require.NoError(t, err)
		assert.Equal(t, 1, counts["f"].States[memqueue.Dead])
	})
}

func TestUniqueKeysAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](2, 100)
		until := time.Now().Add(time.Hour).UnixNano()
		for n := range 4 {
			_, err := q.Put(job(n, ""), strconv.Itoa(n), until)
			require.NoError(t, err)
			finish(t, q, "f")
		}
		_, err := q.Put(job(4, ""), "4", until)
		require.ErrorIs(t, err, memqueue.ErrFull)
		v, err := q.Put(job(5, ""), "0", until)
		require.ErrorIs(t, err, memqueue.ErrTaken)
		require.Equal(t, number(0), v.ID)
		time.Sleep(time.Hour)
		_, err = q.Put(job(4, ""), "4", time.Now().Add(time.Hour).UnixNano())
		require.NoError(t, err)
	})
}

func TestATenantWithOneJobWaitsForOneOfATenantWithMany(t *testing.T) {
	t.Parallel()
	many := 50_000
	if os.Getenv("FAAS_SOAK") != "" {
		many = 1_000_000
	}
	q := memqueue.New[string](2*many, math.MaxInt64)
	for n := range many {
		require.NoError(t, put(t, q, job(n, "many")))
	}
	require.NoError(t, put(t, q, job(many, "one")))
	tenants := finish(t, q, "f").Tenant + " " + finish(t, q, "f").Tenant
	assert.Contains(t, tenants, "one")
}

func TestJobsAreGivenInOrderWhateverIsTakenOutBetween(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		q := memqueue.New[string](1000, 1000)
		var left []item
		for n := range 200 {
			it := job(n, "")
			it.Priority, it.At = int32(r.IntN(5)), int64(1+r.IntN(1000))
			require.NoError(t, put(t, q, it))
			left = append(left, it)
		}
		for range 100 {
			at := r.IntN(len(left))
			v, err := q.Get(left[at].ID)
			require.NoError(t, err)
			v.State, v.At = memqueue.Canceled, 0
			require.NoError(t, q.Swap(v.Revision, v.Item))
			left = slices.Delete(left, at, at+1)
		}
		slices.SortStableFunc(left, func(a, b item) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.At, b.At))
		})
		for _, want := range left {
			require.Equal(t, want.ID, finish(t, q, "f").ID)
		}
	}
}

func TestAJobThatWasDueBeforeGetsItsOrderKeyFirstAlthoughItCameLater(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10, 100)
	for n := range 3 {
		it := job(n, "")
		it.Order, it.At = "k", it.At-int64(n)*int64(time.Second)
		require.NoError(t, put(t, q, it))
	}
	for n := range 3 {
		require.Equal(t, number(2-n), finish(t, q, "f").ID)
	}
}

func TestTheOldestJobIsFoundBehindUrgentOnes(t *testing.T) {
	t.Parallel()
	q := memqueue.New[string](10, 100)
	for n := range 5 {
		it := job(n, "")
		it.At, it.Priority = int64(1000+n), int32(n)
		require.NoError(t, put(t, q, it))
	}
	counts, err := q.Count()
	require.NoError(t, err)
	assert.EqualValues(t, 1000, counts["f"].Oldest)
}

func TestALeaseThatWaitsGetsAJobThatIsDueBeforeTheOneItWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10, 100)
		start := time.Now()
		late, soon := job(1, ""), job(2, "")
		late.At, soon.At = start.Add(30*time.Second).UnixNano(), start.Add(10*time.Second).UnixNano()
		require.NoError(t, put(t, q, late))
		leased := make(chan memqueue.View[string])
		go func() { leased <- finish(t, q, "f") }() //nolint:testifylint // a failure there leaves the receive below blocked, which the bubble reports
		synctest.Wait()
		require.NoError(t, put(t, q, soon))
		assert.Equal(t, soon.ID, (<-leased).ID)
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestManyJobsThatBecomeDueAtOnceAreAllGiven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10_000, math.MaxInt64)
		for n := range 5000 {
			it := job(n, strconv.Itoa(n%3))
			it.At = time.Now().Add(time.Hour).UnixNano()
			if n%2 == 0 {
				it.Function = "g"
			}
			require.NoError(t, put(t, q, it))
		}
		seen := map[memqueue.ID]bool{}
		for range 2500 {
			seen[finish(t, q, "g").ID] = true
		}
		assert.Len(t, seen, 2500)
		assert.Equal(t, time.Hour, time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
		counts, err := q.Count()
		require.NoError(t, err)
		assert.Equal(t, 2500, counts["f"].States[memqueue.Ready])
		assert.Zero(t, counts["f"].States[memqueue.Scheduled])
		assert.Equal(t, 2500, counts["g"].States[memqueue.Succeeded])
	})
}

func TestAnIdleQueueHasNoGoroutineAndKeepsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left
		q := memqueue.New[string](10, 100)
		it := job(1, "")
		it.At = time.Now().Add(time.Hour).UnixNano()
		require.NoError(t, put(t, q, it))
		time.Sleep(2 * time.Hour)
		v := finish(t, q, "f")
		done, err := q.Get(v.ID)
		require.NoError(t, err)
		require.NoError(t, q.Remove(v.ID, done.Revision))
		counts, err := q.Count()
		require.NoError(t, err)
		assert.Empty(t, counts)
	})
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const jobs = 2000
	q := memqueue.New[string](jobs, math.MaxInt64)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var next, done atomic.Int64
	var wg, watching sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := int(next.Add(1)); n <= jobs; n = int(next.Add(1)) {
				it := job(n, strconv.Itoa(n%7))
				if n%5 == 0 {
					it.Order = strconv.Itoa(n % 3)
				}
				v, err := q.Put(it, strconv.Itoa(n), time.Now().Add(time.Hour).UnixNano())
				assert.NoError(t, err)
				if n%50 == 0 {
					watching.Go(func() {
						for err := error(nil); err == nil && !settledState(v.State); {
							v, err = q.Watch(ctx, v.ID, v.Revision)
						}
					})
				}
			}
		})
		wg.Go(func() {
			for {
				v, token, err := q.Lease(ctx, []string{"f"})
				if err != nil {
					return
				}
				_ = q.Begin(v.ID, token)
				_ = q.Extend(v.ID, token, token)
				it := v.Item
				it.State, it.At = memqueue.Succeeded, 0
				if token%4 == 0 {
					it.State, it.At = memqueue.Parked, time.Now().UnixNano()
				}
				if q.Settle(token, it) == nil && settledState(it.State) && done.Add(1) == jobs {
					cancel()
				}
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			q.LoseLeases()
			_, err := q.Count()
			assert.NoError(t, err)
			for seq, more := uint64(0), true; more; more = seq != 0 {
				_, seq, err = q.List(seq, "", func(*item) bool { return true })
				assert.NoError(t, err)
			}
			runtime.Gosched()
		}
	})
	wg.Wait()
	watching.Wait()
	assert.EqualValues(t, jobs, done.Load())
	q.Close()
	q.Close()
}

func settledState(s memqueue.State) bool { return s >= memqueue.Succeeded }

func TestOverdueTellsOfJobsThatWaitForTheirKeyForTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New[string](10, 100)
		defer q.Close()
		now := time.Now().UnixNano()
		for n := range 5 { // the first job gets the key
			it := job(n, "a")
			it.Order, it.Expires = "k", now+int64(n)
			require.NoError(t, put(t, q, it))
		}
		v, token, err := q.Lease(t.Context(), []string{"f"})
		require.NoError(t, err)
		require.Equal(t, number(0), v.ID)
		all, again := q.Overdue()
		assert.Empty(t, all)
		assert.Equal(t, now+1, again)
		time.Sleep(2 * time.Nanosecond)
		all, again = q.Overdue()
		require.Len(t, all, 2)
		assert.Equal(t, number(1), all[0].ID)
		assert.Equal(t, now+3, again)
		require.NoError(t, q.Swap(all[0].Revision, done(all[0].Item)))
		require.NoError(t, q.Settle(token, done(v.Item))) // then the second job has the key
		time.Sleep(time.Second)
		all, again = q.Overdue()
		assert.Len(t, all, 2)
		assert.Zero(t, again)
	})
}
