package faas

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// When close releases the ants pool, a call may have a worker whose goroutine has not started.
func TestACallThatHasItsSlotIsSeenOutWhenThePoolIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		f := Register(r, "f", func(context.Context, int) (int, error) { return 7, nil })
		s, err := r.workers.newWorker(false)
		require.NoError(t, err)
		r.workers.close()

		c, work := s.newContext(), f.task()
		c.who, c.fn, c.task = f.core.who, f.core, work
		f.core.part.Entered.Add(1)
		require.True(t, f.core.part.TryAcquire(&c.hold))
		q := &caller{ctx: t.Context()}
		require.NoError(t, c.begin(q, s, r.clock.now()))
		p, _, err := s.serve(c)
		require.NoError(t, err)
		mine, err := p.await(q)
		require.NoError(t, err)
		assert.True(t, mine)
		assert.Equal(t, 7, work.out)

		_, err = r.workers.newWorker(false)
		require.ErrorIs(t, err, ErrClosed)
		synctest.Wait()
		assert.Empty(t, r.workers.list(), "its worker has gone")
		require.NoError(t, r.Close())
	})
}

func TestASlotThatNeverHadACallLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		var slots []*worker
		for range 3 {
			s, err := r.workers.newWorker(false)
			require.NoError(t, err)
			slots = append(slots, s)
		}
		for _, i := range []int{1, 0, 2} {
			r.workers.unregister(slots[i])
			r.workers.unregister(slots[i]) // the second call does nothing
		}
		assert.Empty(t, r.workers.list())
		s, err := r.workers.newWorker(false)
		require.NoError(t, err)
		r.workers.release(s) // as after turnAway
		time.Sleep(3 * keepAlive)
		assert.Empty(t, r.workers.list(), "it was idle for too long")
		require.NoError(t, r.Close())
	})
}

// exitMeter ends the goroutine that records.
type exitMeter struct{}

func (exitMeter) Record(context.Context, Execution) { runtime.Goexit() }

func TestAWorkerIsForgottenWhenAMeterEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	r := New(WithMeter(exitMeter{}))
	handler := func(context.Context, int) (int, error) { return 0, nil }
	typed, inline := Register(r, "typed", handler), Register(r, "inline", handler, WithInline())
	calls := map[string]func(){
		"typed":  func() { _, _ = typed.Invoke(context.Background(), 0) },
		"inline": func() { _, _ = inline.Invoke(context.Background(), 0) },
		"func":   func() { typed.InvokeFunc(context.Background(), 0, func(int, error) {}) },
	}
	for name, call := range calls {
		for range 3 {
			var all sync.WaitGroup
			all.Go(call)
			all.Wait()
		}
		for len(r.workers.list()) > 0 { // a worker's own goroutine ends after its caller has the answer
			runtime.Gosched()
		}
		assert.Empty(t, r.workers.list(), name)
	}
	require.NoError(t, r.Close())
}
