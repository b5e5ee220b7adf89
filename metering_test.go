package faas_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestARecordSaysAllThereIsToBill(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithMemory(512<<20), faas.WithConcurrency(1), faas.WithLabels(map[string]string{"team": "a"}))
		f := faas.Register(r, "f", func(_ context.Context, in []int) (string, error) {
			time.Sleep(1500*time.Microsecond + 7)
			return "done", nil
		}, opts...)
		start := time.Now()
		go func() { _, _ = f.Invoke(t.Context(), nil) }()
		synctest.Wait()
		out, err := r.Invoke(faas.WithTenant(t.Context(), "acme"), "f", []byte("[1,2]"))
		require.NoError(t, err)
		assert.Equal(t, `"done"`, string(out))
		e := m.last(t)
		const run = 1500*time.Microsecond + 7
		assert.Equal(t, faas.Execution{
			ID: e.ID, Function: "f", Version: "$LATEST", Tenant: "acme", Labels: map[string]string{"team": "a"}, Attempt: 1,
			Outcome: faas.OK, Start: start.Add(run), Queued: run, Duration: run, Memory: 512 << 20, BytesIn: 5, BytesOut: 6,
		}, e)
	})
}

func TestTheRecordIsMadeBeforeTheAnswer(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		slow := faas.MeterFunc(func(ctx context.Context, e faas.Execution) { time.Sleep(time.Second); m.Record(ctx, e) })
		f := faas.Register(router(t, faas.WithMeter(slow)), "f", double, opts...)
		for i := range 3 {
			_, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
			assert.Len(t, m.all(), i+1)
			assert.Zero(t, m.last(t).Duration, "its own time is nobody's")
		}
	})
}

func TestMetersOfRouterAndFunctionAddUp(t *testing.T) {
	t.Parallel()
	a, b, c := &recorder{}, &recorder{}, &recorder{}
	r := router(t, faas.WithMeter(a))
	f := faas.Register(r, "f", double, faas.WithMeter(b))
	g := faas.Register(r, "g", double, faas.WithMeter(c))
	_, _ = f.Invoke(t.Context(), 0)
	_, _ = g.Invoke(t.Context(), 0)
	assert.Len(t, a.all(), 2)
	assert.Len(t, b.all(), 1)
	assert.Len(t, c.all(), 1)
}

func TestAPanickingMeterKeepsNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	bad := faas.MeterFunc(func(context.Context, faas.Execution) { panic("meter") })
	for name, opts := range map[string][]faas.RouterOption{
		"options": {faas.WithMeter(bad)},
		"Meters":  {faas.WithMeter(faas.Meters(nil, bad, faas.Meters(bad)))},
	} {
		m := &recorder{}
		r := router(t, append(opts, faas.WithMeter(faas.Meters(bad, m)))...)
		f := faas.Register(r, "f", double)
		out, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err, name)
		assert.Equal(t, 2, out)
		assert.Len(t, m.all(), 1)
		assert.EqualValues(t, 2, r.Stats().HookPanics, "one for each option")
	}
}

// bounded is a Reserver that counts reservations.
type bounded struct {
	recorder
	room      atomic.Int64
	unreserve atomic.Int64
}

func (b *bounded) Reserve() bool {
	if b.room.Add(-1) < 0 {
		b.room.Add(1)
		return false
	}
	return true
}
func (b *bounded) Unreserve() { b.unreserve.Add(1); b.room.Add(1) }

func TestNoWorkRunsThatCouldNotBeRecorded(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		wide, narrow := &bounded{}, &bounded{}
		wide.room.Store(10)
		narrow.room.Store(2)
		r := router(t, faas.WithMeter(faas.Meters(wide, narrow)))
		f := faas.Register(r, "f", double, opts...)
		for i := range 4 {
			_, err := f.Invoke(t.Context(), 0)
			if i < 2 {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, faas.ErrOverloaded)
		}
		assert.EqualValues(t, 2, f.Info().Rejected[faas.ReasonMeterFull])
		assert.Len(t, narrow.all(), 2)
		assert.EqualValues(t, 8, wide.room.Load(), "what one could not take, no other keeps")
	})
}

func TestARefusedCallGivesItsReservationBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &bounded{}
		m.room.Store(5)
		f := faas.Register(router(t, faas.WithMeter(m)), "f", func(context.Context, int) (int, error) { time.Sleep(time.Hour); return 0, nil },
			faas.WithConcurrency(1), faas.WithQueueTimeout(time.Second))
		go func() { _, _ = f.Invoke(t.Context(), 0) }()
		synctest.Wait()
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrOverloaded)
		assert.EqualValues(t, 1, f.Info().Rejected[faas.ReasonQueueTimeout])
		assert.EqualValues(t, 4, m.room.Load())
	})
}

func TestARunawaysOverrunIsRecordedOnceItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(faas.Meters(m)), faas.WithMemory(1<<20))
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Hour); return 0, nil }, faas.WithTimeout(time.Minute))
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, time.Minute, m.last(t).Duration)
		assert.Equal(t, 1, f.Info().Runaways)
		assert.Empty(t, m.overran())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []faas.Overrun{{ID: m.last(t).ID, Function: "f", Version: "$LATEST", Duration: 59 * time.Minute, Memory: 1 << 20}}, m.overran())
		assert.Zero(t, f.Info().Runaways)
		assert.Len(t, m.all(), 1)
	})
}

func TestAMeterThatEndsItsGoroutineStillLetsTheCallerGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		exits := true
		m := faas.MeterFunc(func(context.Context, faas.Execution) {
			if exits {
				exit()
			}
		})
		f := faas.Register(router(t, faas.WithMeter(m), faas.WithConcurrency(1)), "f", double)
		out, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, 2, out)
		exits = false
		out, err = f.Invoke(t.Context(), 2)
		require.NoError(t, err)
		assert.Equal(t, 4, out)
	})
}

func TestBufferedDeliversEverythingOffTheCallersPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		slow := struct {
			faas.MeterFunc
			faas.OverrunMeter
		}{func(ctx context.Context, e faas.Execution) { time.Sleep(time.Second); m.Record(ctx, e) }, m}
		b := faas.Buffered(slow, 10)
		f := faas.Register(router(t, faas.WithMeter(b)), "f", double)
		start := time.Now()
		for range 10 {
			_, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
		}
		_, err := f.Invoke(t.Context(), 0)
		require.ErrorIs(t, err, faas.ErrOverloaded, "rather than run unrecorded")
		assert.Zero(t, time.Since(start))
		b.RecordOverrun(t.Context(), faas.Overrun{Function: "f"})
		time.Sleep(time.Second)
		synctest.Wait()
		_, err = f.Invoke(t.Context(), 0)
		require.NoError(t, err, "one was delivered")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.Flush(ctx), context.DeadlineExceeded)
		require.NoError(t, b.Close())
		assert.Len(t, m.all(), 11)
		assert.Len(t, m.overran(), 1)
		assert.False(t, b.Reserve(), "closed")
		require.NoError(t, b.Close())
		require.NoError(t, b.Flush(t.Context()))
	})
}

func TestShutdownFlushesTheMetersOfRouterAndFunctions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := &recorder{}, &recorder{}
		slow := func(m faas.Meter) *faas.BufferedMeter {
			return faas.Buffered(faas.MeterFunc(func(ctx context.Context, e faas.Execution) { time.Sleep(time.Second); m.Record(ctx, e) }), 10)
		}
		r := faas.New(faas.WithMeter(faas.Meters(slow(one), slow(one))))
		f := faas.Register(r, "f", double, faas.WithMeter(slow(two)))
		_, err := f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Len(t, one.all(), 2)
		assert.Len(t, two.all(), 1)
		assert.Equal(t, time.Second, time.Since(start), "all at once")
	})
}

func TestABufferedSinkThatPanicsLosesOneRecordAndCountsIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		m := &recorder{}
		b := faas.Buffered(faas.MeterFunc(func(ctx context.Context, e faas.Execution) {
			if n++; n == 1 {
				panic("sink")
			}
			m.Record(ctx, e)
		}), 2)
		for range 2 {
			require.True(t, b.Reserve())
			b.Record(t.Context(), faas.Execution{})
		}
		require.NoError(t, b.Flush(t.Context()))
		assert.Len(t, m.all(), 1)
		assert.EqualValues(t, 1, b.Panics())
		for range 2 {
			assert.True(t, b.Reserve(), "its room is free")
		}
		assert.False(t, b.Reserve())
	})
}

// batcher is a sink that takes a second for each call, and notes how many records it got each time;
// an overrun counts 0.
type batcher struct {
	recorder
	sizes []int
}

func (b *batcher) RecordBatch(ctx context.Context, es []faas.Execution) {
	time.Sleep(time.Second)
	b.sizes = append(b.sizes, len(es))
	for _, e := range es {
		if e.Function == "panics" {
			panic("sink")
		}
		b.Record(ctx, e)
	}
}

func (b *batcher) RecordOverrun(ctx context.Context, o faas.Overrun) {
	b.sizes = append(b.sizes, 0)
	b.recorder.RecordOverrun(ctx, o)
}

func TestBufferedGivesWhatCameInMeanwhileAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &batcher{}
		b := faas.Buffered(sink, 10_000)
		put := func(n int) {
			for i := range n {
				require.True(t, b.Reserve())
				b.Record(t.Context(), faas.Execution{Attempt: i})
			}
		}
		put(1)
		synctest.Wait() // until the sink is busy with the record
		put(3)
		b.RecordOverrun(t.Context(), faas.Overrun{})
		put(4100)
		require.NoError(t, b.Close())
		assert.Equal(t, []int{1, 3, 0, 4096, 4}, sink.sizes, "in the order in which they came")
		require.Len(t, sink.all(), 4104)
		for i, e := range sink.all()[4:] {
			require.Equal(t, i, e.Attempt)
		}
	})
}

func TestABatchThatPanicsIsLostAndItsRoomIsFree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &batcher{}
		b := faas.Buffered(sink, 3)
		for _, name := range []string{"panics", "a", "b"} {
			require.True(t, b.Reserve())
			b.Record(t.Context(), faas.Execution{Function: name})
		}
		require.False(t, b.Reserve())
		require.NoError(t, b.Flush(t.Context()))
		assert.EqualValues(t, 1, b.Panics())
		for range 3 {
			assert.True(t, b.Reserve())
		}
		assert.False(t, b.Reserve(), "and no wider than it was")
	})
}

func TestARecordWithoutAReservationDoesNotWidenTheBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := faas.Buffered(faas.MeterFunc(func(context.Context, faas.Execution) { time.Sleep(time.Second) }), 2)
		for range 3 {
			b.Record(t.Context(), faas.Execution{})
		}
		assert.False(t, b.Reserve(), "over its bound")
		require.NoError(t, b.Flush(t.Context()))
		assert.True(t, b.Reserve())
		assert.True(t, b.Reserve())
		assert.False(t, b.Reserve(), "and no wider than it was")
		b.Unreserve()
		assert.True(t, b.Reserve())
	})
}

func TestBufferedAsksASinkThatReservesItself(t *testing.T) {
	t.Parallel()
	sink := &bounded{}
	sink.room.Store(1)
	b := faas.Buffered(sink, 10)
	assert.True(t, b.Reserve())
	assert.False(t, b.Reserve(), "the sink has no more")
	b.Unreserve()
	assert.EqualValues(t, 1, sink.room.Load())
	assert.True(t, b.Reserve())
}

func TestBufferedRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	assert.Panics(t, func() { faas.Buffered(nil, 1) })
	assert.Panics(t, func() { faas.Buffered(&recorder{}, 0) })
}

func TestOutcomesHaveNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "OK", faas.OK.String())
	assert.Equal(t, "InitFailed", faas.InitFailed.String())
	assert.Equal(t, "Outcome(?)", faas.Outcome(99).String())
}
