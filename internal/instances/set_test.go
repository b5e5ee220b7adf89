package instances_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/instances"
)

// acquire calls Acquire on a goroutine of its own, and returns when that goroutine is blocked or has ended.
func acquire(s *instances.Set, done <-chan struct{}) <-chan instances.Grant {
	got := make(chan instances.Grant, 1)
	go func() {
		g, _ := s.Acquire(done)
		got <- g
	}()
	synctest.Wait()
	return got
}

func TestTheFirstCallStartsAnInstanceAndTheNextDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{init: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		s := newSet(b, nil)
		start := time.Now()
		g, waited := s.Acquire(nil)
		require.NoError(t, g.Err)
		assert.True(t, waited)
		assert.True(t, g.Cold)
		assert.Equal(t, time.Second, time.Since(start))
		s.SetTarget(1)
		s.Release(g.Instance, false, 0)
		again, waited := s.Acquire(nil)
		assert.False(t, waited)
		assert.False(t, again.Cold)
		assert.Same(t, g.Instance, again.Instance)
		s.Release(again.Instance, false, 0)
		b.end(t, s)
	})
}

func TestCallsShareAnInstanceUpToItsSeatsAndTheLimitHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{init: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		b.limit.Store(2)
		s := newSet(b, func(c *instances.Config) { c.Seats = 3 })
		var calls []<-chan instances.Grant
		for range 7 {
			calls = append(calls, acquire(s, nil))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		live, ready := s.Count()
		assert.Equal(t, []int{2, 2, 1}, []int{live, ready, s.Waiting()}, "two instances of three seats for seven calls")
		first := <-calls[0]
		s.Release(first.Instance, false, 0)
		last := <-calls[6]
		assert.Same(t, first.Instance, last.Instance, "the seat that came free")
		assert.False(t, last.Cold)
		s.Release(last.Instance, false, 0)
		for _, got := range calls[1:6] {
			s.Release((<-got).Instance, false, 0)
		}
		b.end(t, s)
	})
}

// A raised limit takes effect when a spent instance is dropped, and in Scale.
func TestScaleStartsWhatWaitingCallsNeedOnceTheLimitAllowsIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		b.limit.Store(1)
		s := newSet(b, nil)
		g := <-acquire(s, nil)
		second := acquire(s, nil)
		assert.Empty(t, second)
		b.limit.Store(2)
		s.Scale(2, 0, 0)
		other := <-second
		assert.NotSame(t, g.Instance, other.Instance)
		s.Release(g.Instance, false, 0)
		s.Release(other.Instance, false, 0)
		b.end(t, s)
	})
}

func TestInitsPauseAfterFailuresTwiceAsLongEachTimeUpToThirtySeconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := true
		b := &backend{init: func(context.Context, int) error {
			if down {
				return errDown
			}
			return nil
		}}
		s := newSet(b, nil)
		var pauses []time.Duration
		for range 11 {
			g, _ := s.Acquire(nil)
			require.ErrorIs(t, g.Err, errDown)
			assert.True(t, g.Cold)
			retry, err := s.InitBackoff()
			assert.Equal(t, g.Err, err)
			pauses = append(pauses, retry)
			early, _ := s.Acquire(nil)
			assert.Equal(t, g.Err, early.Err, "during the pause calls get the last failure")
			s.Scale(1, 1, 0) // does not start an instance either
			time.Sleep(retry)
		}
		assert.Equal(t, []time.Duration{100e6, 200e6, 400e6, 800e6, 1600e6, 3200e6, 6400e6, 12800e6, 25600e6, 30e9, 30e9}, pauses)
		inits, _ := b.opened()
		assert.Equal(t, 11, inits, "none during a pause")
		retry, _ := s.InitBackoff()
		assert.Zero(t, retry)
		down = false
		s.SetTarget(1)
		g, _ := s.Acquire(nil)
		require.NoError(t, g.Err)
		down = true
		failed, _ := s.Acquire(nil)
		require.Error(t, failed.Err)
		s.Release(g.Instance, true, 0)
		retry, _ = s.InitBackoff()
		assert.Equal(t, 100*time.Millisecond, retry, "a success begins the count anew")
		b.end(t, s)
	})
}

func TestAnInitThatEndsItsGoroutineOrOpensNothingFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for want, init := range map[error]func(context.Context) (any, instances.Closer, error){
			instances.ErrExited:  func(context.Context) (any, instances.Closer, error) { runtime.Goexit(); return nil, nil, nil },
			instances.ErrNothing: func(context.Context) (any, instances.Closer, error) { return nil, nil, nil },
			errDown:              func(context.Context) (any, instances.Closer, error) { return nil, nil, errDown },
		} {
			b := &backend{}
			s := newSet(b, func(c *instances.Config) { c.Init = init })
			g, _ := s.Acquire(nil)
			var failed *instances.InitError
			require.ErrorAs(t, g.Err, &failed)
			assert.Equal(t, want, failed.Err)
			assert.ErrorContains(t, g.Err, want.Error())
			synctest.Wait()
			assert.Equal(t, int64(1), b.ended.Load())
			b.end(t, s)
		}
	})
}

func TestAnInitThatIsLateIsGivenUpAndWhatItOpensIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{init: func(ctx context.Context, _ int) error {
			time.Sleep(3 * time.Minute) // the init ignores ctx
			assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
			return nil
		}}
		s := newSet(b, nil)
		start := time.Now()
		g, _ := s.Acquire(nil)
		require.ErrorIs(t, g.Err, instances.ErrTimeout)
		assert.Equal(t, time.Minute, time.Since(start))
		live, _ := s.Count()
		assert.Zero(t, live)
		assert.True(t, s.Busy(), "it still runs")
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		assert.False(t, s.Busy())
		assert.Equal(t, int64(2), b.ended.Load(), "the init, and the close")
		b.end(t, s)
	})
}

func TestACallThatLeavesLeavesItsClaimToTheNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{init: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		s := newSet(b, nil)
		done := make(chan struct{})
		first := acquire(s, done)
		close(done)
		require.ErrorIs(t, (<-first).Err, instances.ErrLeft)
		second := <-acquire(s, nil)
		assert.True(t, second.Cold)
		inits, _ := b.opened()
		assert.Equal(t, 1, inits)
		s.Release(second.Instance, false, 0)
		b.end(t, s)
	})
}

func TestASpentInstanceIsClosedWithItsLastCallAndTakesNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		s := newSet(b, func(c *instances.Config) { c.Seats = 3 })
		s.SetTarget(3)
		one, two := <-acquire(s, nil), <-acquire(s, nil)
		require.Same(t, one.Instance, two.Instance)
		s.Release(one.Instance, true, 0)
		next := <-acquire(s, nil)
		assert.NotSame(t, one.Instance, next.Instance)
		_, conns := b.opened()
		assert.Zero(t, conns[0].closed.Load(), "it still has a call")
		s.Release(two.Instance, false, 0)
		synctest.Wait()
		assert.Equal(t, int64(1), conns[0].closed.Load())
		assert.Nil(t, two.Instance.Handler(), "what it held is not kept")
		s.Release(next.Instance, false, 0)
		b.end(t, s)
	})
}

func TestANestedCallJoinsAFullInstanceAndNoneThatIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		s := newSet(b, nil)
		g := <-acquire(s, nil)
		require.True(t, s.Join(g.Instance), "its only seat is taken")
		s.Release(g.Instance, true, 0)
		require.True(t, s.Join(g.Instance), "it drains, and has a call still")
		s.Release(g.Instance, false, 0)
		s.Release(g.Instance, false, 0)
		assert.False(t, s.Join(g.Instance))
		live, ready := s.Count()
		assert.Zero(t, live+ready)
		b.end(t, s)
	})
}

func TestIdleInstancesGoTheColdestFirstOnceTheyHaveBeenKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		start := time.Now()
		now := func() int64 { return int64(time.Since(start)) }
		s := newSet(b, func(c *instances.Config) { c.KeepAlive = time.Minute })
		s.Scale(3, 3, now())
		var held []instances.Grant
		for range 3 {
			held = append(held, <-acquire(s, nil))
		}
		for _, g := range held {
			s.Release(g.Instance, false, now())
			time.Sleep(10 * time.Second)
		}
		s.Scale(1, 0, now())
		_, ready := s.Count()
		assert.Equal(t, 3, ready, "none has been idle for a minute")
		time.Sleep(35 * time.Second) // the instances are then idle for 65, 55 and 45 s
		s.Scale(1, 0, now())
		_, ready = s.Count()
		assert.Equal(t, 2, ready)
		assert.Nil(t, held[0].Instance.Handler(), "the coldest has gone")
		time.Sleep(time.Minute)
		s.Scale(1, 0, now())
		_, ready = s.Count()
		assert.Equal(t, 1, ready, "the target is kept")
		assert.NotNil(t, held[2].Instance.Handler())
		s.Scale(0, 0, now())
		synctest.Wait()
		live, _ := s.Count()
		assert.Zero(t, live)
		b.end(t, s)
	})
}

func TestScaleStartsNoMoreThanAtMost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		s := newSet(b, nil)
		s.Scale(3, 2, 0)
		synctest.Wait()
		_, ready := s.Count()
		assert.Equal(t, 2, ready)
		s.Scale(9, 9, 0)
		synctest.Wait()
		_, ready = s.Count()
		assert.Equal(t, 4, ready, "the limit")
		b.end(t, s)
	})
}

func TestRetireStopsInitsThatNoCallWaitsForAndServesTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		stopped := 0
		b := &backend{init: func(ctx context.Context, n int) error {
			select {
			case <-ctx.Done():
				stopped++
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		}}
		s := newSet(b, nil)
		s.Scale(2, 2, 0)
		call := acquire(s, nil)
		s.Retire(false)
		g := <-call
		require.NoError(t, g.Err)
		synctest.Wait()
		assert.Equal(t, 1, stopped)
		retry, _ := s.InitBackoff()
		assert.Zero(t, retry, "to be stopped is no failure")
		late := acquire(s, nil)
		s.Retire(true)
		require.ErrorIs(t, (<-late).Err, instances.ErrClosed)
		require.ErrorIs(t, (<-acquire(s, nil)).Err, instances.ErrClosed)
		s.Release(g.Instance, false, 0)
		synctest.Wait()
		b.end(t, s)
	})
}

func TestProvisionWaitsForItsMinimumOrTellsWhyThereIsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fails := false
		b := &backend{init: func(ctx context.Context, n int) error {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(1+n) * time.Second):
			}
			if fails {
				return errDown
			}
			return ctx.Err()
		}}
		s := newSet(b, nil)
		start := time.Now()
		require.NoError(t, s.Provision(2))
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, s.Provision(2), "they are there")
		b.end(t, s)
		for _, closed := range []bool{false, true} {
			s := newSet(b, nil)
			answer := make(chan error, 1)
			go func() { answer <- s.Provision(1) }()
			synctest.Wait()
			s.Retire(closed)
			want := map[bool]error{false: instances.ErrRemoved, true: instances.ErrClosed}[closed]
			require.ErrorIs(t, <-answer, want)
			require.ErrorIs(t, s.Provision(1), want)
			synctest.Wait()
		}
		fails = true
		other := newSet(b, nil)
		require.ErrorIs(t, other.Provision(1), errDown)
		b.end(t, other)
	})
}

// The close func of an instance may end its goroutine, or take a long time.
func TestBusyLastsUntilEachCloseIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		s := newSet(b, func(c *instances.Config) {
			c.Close = func(ctx context.Context, closer instances.Closer) {
				<-ctx.Done()
				assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
				_ = closer(ctx)
				runtime.Goexit()
			}
		})
		s.Scale(1, 1, 0)
		synctest.Wait()
		s.Retire(true)
		assert.True(t, s.Busy())
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.False(t, s.Busy())
		assert.Equal(t, int64(2), b.ended.Load())
		b.end(t, s)
	})
}
