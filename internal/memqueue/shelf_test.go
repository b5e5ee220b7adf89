package memqueue_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/memqueue"
)

// textCodec is the codec of a body that is a text. It refuses the text "odd".
type textCodec struct{}

func (textCodec) Encode(data []byte, it *item) ([]byte, bool) {
	return append(data, it.Body...), it.Body != "odd"
}

func (textCodec) Decode(data []byte, it *item) { it.Body = string(data) }

func newShelf(count int) *queue {
	q := memqueue.New[string](count, math.MaxInt64)
	q.SetCodec(textCodec{})
	return q
}

// end puts a job with that body and settles it.
func end(t *testing.T, q *queue, n int, body string, state memqueue.State) {
	t.Helper()
	it := job(n, "a")
	it.Body, it.Priority, it.Order = body, int32(-n), "k"
	l, err := putLease(q, it, []string{"f"})
	require.NoError(t, err)
	it = l.View.Item
	it.State, it.At = state, 0
	_, err = settleLease(q, l, it, nil)
	require.NoError(t, err)
}

func TestASettledJobIsTheSameFromTheShelf(t *testing.T) {
	t.Parallel()
	q := newShelf(10)
	defer q.Close()
	bodies := []string{"small", "odd", strings.Repeat("large", 1000), ""}
	for n, body := range bodies {
		end(t, q, n, body, memqueue.Succeeded)
	}
	for n, body := range bodies {
		v, err := q.Get(number(n))
		require.NoError(t, err)
		assert.Equal(t, body, v.Body)
		assert.Equal(t, []any{"f", "a", "k", int32(-n), memqueue.Succeeded, int64(1), uint64(n + 1)},
			[]any{v.Function, v.Tenant, v.Order, v.Priority, v.State, v.Size, v.Seq})
	}
	ids, _ := listed(t, q, "f")
	assert.Len(t, ids, len(bodies))
	v, err := q.Put(job(0, ""), "", 0)
	require.ErrorIs(t, err, memqueue.ErrTaken)
	assert.Equal(t, "small", v.Body)
}

// Whether a job is on the shelf or not, the one that settled first is forgotten first.
func TestTheShelfAndTheOtherSettledJobsAreForgottenInOneOrder(t *testing.T) {
	t.Parallel()
	const kept, jobs = 500, 3000
	q := newShelf(kept)
	defer q.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range jobs {
		state, body := memqueue.Succeeded, "small"
		switch r.IntN(4) {
		case 0:
			state = memqueue.Dead
		case 1:
			body = "odd"
		}
		end(t, q, n, body, state)
	}
	for n := range jobs {
		_, err := q.Get(number(n))
		switch {
		case n < jobs-2*kept:
			require.ErrorIs(t, err, memqueue.ErrUnknown, n)
		case n < jobs-kept:
			require.ErrorIs(t, err, memqueue.ErrForgotten, n)
		default:
			require.NoError(t, err, n)
		}
	}
}

func TestJobsThatAreRemovedFromTheMiddleOfTheShelfLeaveTheOthersInOrder(t *testing.T) {
	t.Parallel()
	const jobs = 2000
	q := newShelf(jobs)
	defer q.Close()
	for n := range jobs {
		end(t, q, n, "small", memqueue.Succeeded)
	}
	var kept []memqueue.ID
	for n := range jobs { // every tenth stays, so that the shelf is compacted more than once
		if n%10 == 0 {
			kept = append(kept, number(n))
			continue
		}
		require.NoError(t, q.Remove(number(n), revisionOf(t, q, n)))
	}
	ids, _ := listed(t, q, "f")
	assert.Equal(t, kept, ids)
	for _, id := range kept {
		v, err := q.Get(id)
		require.NoError(t, err)
		require.Equal(t, "small", v.Body)
	}
	for n := jobs; n < 2*jobs; n++ {
		end(t, q, n, "small", memqueue.Succeeded)
	}
	_, err := q.Get(kept[len(kept)-1])
	require.ErrorIs(t, err, memqueue.ErrForgotten)
	_, err = q.Get(number(jobs))
	require.NoError(t, err)
}

func TestAShelvedJobIsForgottenWhenItsTimeHasPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newShelf(100)
		defer q.Close()
		for n := range 10 {
			l, err := putLease(q, job(n, "a"), []string{"f"})
			require.NoError(t, err)
			it := done(l.View.Item)
			it.At = time.Now().Add(time.Hour).UnixNano()
			_, err = settleLease(q, l, it, nil)
			require.NoError(t, err)
		}
		time.Sleep(time.Hour)
		_, err := q.Get(number(5))
		require.ErrorIs(t, err, memqueue.ErrForgotten)
		for n := range 3 {
			end(t, q, 100+n, "small", memqueue.Succeeded)
		}
		counts, err := q.Count()
		require.NoError(t, err)
		assert.Equal(t, 3, counts["f"].States[memqueue.Succeeded])
	})
}

func TestAWatchOfAShelvedJobSeesWhenItIsWrittenAndWhenItIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newShelf(100)
		defer q.Close()
		end(t, q, 1, "small", memqueue.Succeeded)
		v, err := q.Get(number(1))
		require.NoError(t, err)
		seen, ended := make(chan memqueue.View[string], 1), make(chan error, 1)
		go func() {
			next, err := q.Watch(context.Background(), v.ID, v.Revision)
			seen <- next
			if err == nil {
				_, err = q.Watch(context.Background(), v.ID, next.Revision)
			}
			ended <- err
		}()
		synctest.Wait()
		it := v.Item
		it.Body = "written again"
		require.NoError(t, q.Swap(v.Revision, it))
		next := <-seen
		assert.Equal(t, "written again", next.Body)
		synctest.Wait()
		require.NoError(t, q.Remove(v.ID, next.Revision))
		require.ErrorIs(t, <-ended, memqueue.ErrForgotten)
	})
}
