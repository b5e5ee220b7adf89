package faascron_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faascron"
	"github.com/inproc/faas/trigger/source"
)

// ticks collects the ticks with which a function was called.
type ticks struct {
	mu  sync.Mutex
	all []faascron.Tick
}

func (k *ticks) add(t faascron.Tick) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, t)
}

func (k *ticks) seen() []faascron.Tick {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]faascron.Tick(nil), k.all...)
}

// durable makes a queue in memory count as durable. Several routers may use it, one after the
// other.
type durable struct{ faas.JobQueue }

func (durable) Durable() bool { return true }

func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// every is Every. The timer is stopped when the test ends.
func every(t *testing.T, r *faas.Router, function, expr string, opts ...faascron.Option) *faascron.Timer {
	t.Helper()
	timer, err := faascron.Every(r, function, expr, append([]faascron.Option{faascron.Log(nil)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = timer.Stop(context.Background()) })
	return timer
}

func TestAYearOfAnHourlyTimer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got ticks
		faas.Register(r, "hourly", func(ctx context.Context, tick faascron.Tick) (struct{}, error) {
			if inv, _ := faas.FromContext(ctx); inv.Origin.Trigger != "timer" || inv.Origin.Door != "hourly" {
				return struct{}{}, errors.New("not from the timer")
			}
			got.add(tick)
			return struct{}{}, nil
		})
		timer := every(t, r, "hourly", "0 * * * *")
		require.Equal(t, time.Now().Truncate(time.Hour).Add(time.Hour).UTC(), timer.Next())
		begin := time.Now()
		time.Sleep(365*24*time.Hour + time.Second)
		synctest.Wait()
		all := got.seen()
		require.Len(t, all, 365*24)
		for i, tick := range all {
			require.True(t, tick.Scheduled.Equal(begin.Truncate(time.Hour).Add(time.Duration(i+1)*time.Hour)), i)
			require.True(t, tick.Actual.Equal(tick.Scheduled))
			require.Zero(t, tick.Missed)
		}
		require.EqualValues(t, 365*24, timer.Info(t.Context()).Counts.Accepted)
	})
}

func TestATimerFiresInItsZoneWithAJitterThatIsTheSameEverywhere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var at []time.Time
		var mu sync.Mutex
		faas.Register(r, "daily", func(context.Context, faascron.Tick) (struct{}, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			return struct{}{}, nil
		})
		every(t, r, "daily", "0 6 * * *", faascron.In("Asia/Kolkata"), faascron.Jitter(10*time.Minute), faascron.Name("a"))
		every(t, r, "daily", "0 6 * * *", faascron.In("Asia/Kolkata"), faascron.Jitter(10*time.Minute), faascron.Name("b"))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, at, 2)
		six := time.Date(2000, 1, 1, 0, 30, 0, 0, time.UTC)
		require.NotEqual(t, at[0], at[1])
		for _, a := range at {
			require.WithinDuration(t, six.Add(5*time.Minute), a, 5*time.Minute)
		}
	})
}

func TestOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		overlap          faascron.Overlapping
		began, succeeded int
	}{
		"allow":   {faascron.Allow, 6, 6},
		"forbid":  {faascron.Forbid, 2, 2},
		"replace": {faascron.Replace, 6, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := faastest.New(t)
				var began, succeeded ticks
				faas.Register(r, "slow", func(ctx context.Context, tick faascron.Tick) (struct{}, error) {
					began.add(tick)
					select {
					case <-time.After(150 * time.Minute):
						succeeded.add(tick)
						return struct{}{}, nil
					case <-ctx.Done():
						return struct{}{}, ctx.Err()
					}
				}, faas.WithTimeout(5*time.Hour))
				timer := every(t, r, "slow", "0 * * * *", faascron.Overlap(c.overlap))
				time.Sleep(6*time.Hour + time.Minute)
				require.NoError(t, timer.Stop(t.Context()))
				require.Len(t, began.seen(), c.began)
				require.Len(t, succeeded.seen(), c.succeeded)
				if c.overlap == faascron.Forbid {
					require.Equal(t, 2, began.seen()[1].Missed, "those that were left out")
				}
			})
		})
	}
}

func TestATimerThatCatchesUpGoesOnWhereTheLastProcessWas(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		queue := durable{faas.NewMemoryJobs(0, 0)}
		var got ticks
		process := func(run time.Duration, catchUp faascron.Missed) {
			r := faas.New(faas.WithJobs(queue))
			faas.Register(r, "hourly", func(_ context.Context, tick faascron.Tick) (struct{}, error) { got.add(tick); return struct{}{}, nil })
			_, err := faascron.Every(r, "hourly", "0 * * * *", faascron.CatchUp(catchUp), faascron.Log(nil))
			require.NoError(t, err)
			time.Sleep(run)
			require.NoError(t, r.Shutdown(t.Context()))
		}
		process(150*time.Minute, faascron.Last) // until 2:30, so 1:00 and 2:00 are fired
		require.Len(t, got.seen(), 2)
		time.Sleep(10 * time.Hour) // until 12:30
		process(time.Minute, faascron.Last)
		require.Len(t, got.seen(), 3)
		require.Equal(t, 12, got.seen()[2].Scheduled.Hour())
		require.Equal(t, 9, got.seen()[2].Missed)
		process(time.Minute, faascron.Last)
		require.Len(t, got.seen(), 3, "it was fired before")
		time.Sleep(5 * time.Hour) // until 17:32
		process(time.Minute, faascron.All(3))
		require.Len(t, got.seen(), 6)
		for _, tick := range got.seen()[3:] { // these run at once, in any order
			require.Equal(t, map[int]int{15: 2, 16: 0, 17: 0}[tick.Scheduled.Hour()], tick.Missed)
		}
		queue.Close()
	})
}

// refusing is a durable queue that refuses the job of one firing.
type refusing struct {
	durable

	scheduled string
}

func (q refusing) Put(ctx context.Context, rec faas.JobRecord) (faas.JobRecord, error) {
	if rec.Labels["faascron.scheduled"] == q.scheduled {
		return rec, errors.New("not now")
	}
	return q.durable.Put(ctx, rec)
}

func TestAFiringThatTheQueueHasNotTakenIsMadeUpForThoughALaterOneWas(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		defer queue.Close()
		first := time.Now().Truncate(time.Hour).Add(time.Hour).UTC()
		host := func(queue faas.JobQueue, got *ticks) (*faas.Router, *faascron.Timer) {
			r := faas.New(faas.WithJobs(queue))
			faas.Register(r, "hourly", func(_ context.Context, tick faascron.Tick) (struct{}, error) { got.add(tick); return struct{}{}, nil })
			return r, every(t, r, "hourly", "0 * * * *", faascron.CatchUp(faascron.All(10)))
		}
		var before, after ticks
		r, timer := host(refusing{durable{queue}, first.Format("2006-01-02T15:04:05.000000000Z")}, &before)
		time.Sleep(time.Until(first) + 2*time.Hour + time.Minute)
		require.NoError(t, r.Close()) // as when the process dies: nothing more is settled
		require.Len(t, before.seen(), 2, "those after the first")

		r, _ = host(durable{queue}, &after)
		defer r.Close()
		synctest.Wait()

		require.Len(t, after.seen(), 1)
		require.True(t, after.seen()[0].Scheduled.Equal(first))
		require.NoError(t, timer.Stop(t.Context()))
	})
}

func TestAtFiresOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got ticks
		faas.Register(r, "once", func(_ context.Context, tick faascron.Tick) (struct{}, error) { got.add(tick); return struct{}{}, nil })
		at := time.Now().Add(36*time.Hour + 7*time.Second)
		timer, err := faascron.At(r, "once", at, faascron.Log(nil))
		require.NoError(t, err)
		<-timer.Done()
		require.Equal(t, at.Round(0), time.Now().Round(0))
		require.Len(t, got.seen(), 1)
		require.True(t, got.seen()[0].Scheduled.Equal(at))
		require.Zero(t, timer.Next())
		_, err = faascron.At(r, "once", at)
		require.ErrorIs(t, err, faas.ErrInput)
	})
}

func TestAtFiresAlthoughItsTimePassesWhileTheTimerIsMade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got ticks
		faas.Register(r, "once", func(_ context.Context, tick faascron.Tick) (struct{}, error) { got.add(tick); return struct{}{}, nil })
		at := time.Now().Add(-time.Millisecond)
		timer, err := faascron.AtSince(r, "once", at, at.Add(-time.Microsecond))
		require.NoError(t, err)
		<-timer.Done()
		synctest.Wait()
		require.Len(t, got.seen(), 1)
		require.True(t, got.seen()[0].Scheduled.Equal(at))
	})
}

func TestATimerIsRunByHandPausedAndResumed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got ticks
		faas.Register(r, "hourly", func(_ context.Context, tick faascron.Tick) (struct{}, error) { got.add(tick); return struct{}{}, nil })
		timer := every(t, r, "hourly", "0 * * * *")
		job, err := timer.Run(t.Context())
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		require.True(t, got.seen()[0].Manual)
		timer.Pause()
		time.Sleep(5*time.Hour + time.Minute)
		require.Equal(t, source.Paused, timer.Info(t.Context()).State)
		require.Len(t, got.seen(), 1)
		timer.Resume()
		synctest.Wait()
		require.Len(t, got.seen(), 2)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, got.seen(), 3)
	})
}

func TestWhatCannotWorkIsRefusedAtSetUp(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "f", func(context.Context, faascron.Tick) (struct{}, error) { return struct{}{}, nil })
	for _, c := range []struct {
		function, expr string
		opts           []faascron.Option
		want           error
	}{
		{"f", "0 0 30 2 *", nil, faas.ErrInput},
		{"f", "0 0 31 4,6,9,11 *", []faascron.Option{faascron.In("Europe/Berlin")}, faas.ErrInput},
		{"f", "0 0 0 1 1 * 2020", nil, faas.ErrInput},
		{"f", "0 6 * *", nil, faas.ErrInput},
		{"f", "0 6 * * *", []faascron.Option{faascron.In("Nowhere")}, faas.ErrInput},
		{"f", "0 6 * * *", []faascron.Option{faascron.Jitter(-1)}, faas.ErrInput},
		{"f", "0 6 * * *", []faascron.Option{faascron.CatchUp(faascron.Last)}, faas.ErrInput}, // the queue is in memory
		{"f", "0 6 * * *", []faascron.Option{faascron.CatchUp(-1)}, faas.ErrInput},
		{"f", "0 6 * * *", []faascron.Option{faascron.Overlap(9)}, faas.ErrInput},
		{"g", "0 6 * * *", nil, faas.ErrNotFound},
	} {
		_, err := faascron.Every(r, c.function, c.expr, c.opts...)
		require.ErrorIs(t, err, c.want, c.expr)
	}
	_, err := faascron.Every(nil, "f", "0 6 * * *")
	require.ErrorIs(t, err, faas.ErrInput)
}
