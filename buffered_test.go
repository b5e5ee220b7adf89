package faas_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// perSecond is a sink that delivers a record each second.
func perSecond(m faas.Meter) faas.Meter {
	return faas.MeterFunc(func(ctx context.Context, e faas.Execution) { time.Sleep(time.Second); m.Record(ctx, e) })
}

func TestFlushWaitsForWhatWasAcceptedBeforeItAndNoLonger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &recorder{}
		b := faas.Buffered(perSecond(sink), 1000)
		for range 3 {
			b.Record(t.Context(), faas.Execution{})
		}
		stop := make(chan struct{})
		go func() { // makes twice as many records as are delivered
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second / 2):
					b.Record(t.Context(), faas.Execution{})
				}
			}
		}()
		start := time.Now()
		require.NoError(t, b.Flush(t.Context()))
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.Len(t, sink.all(), 3)
		require.NoError(t, b.Close(), "which does not wait for them either")
		assert.Less(t, time.Since(start), time.Minute)
		close(stop)
		synctest.Wait()
		require.NoError(t, b.Close())
	})
}

func TestAFlushThatIsGivenUpIsNotInTheWayOfOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := faas.Buffered(perSecond(&recorder{}), 10)
		for range 2 {
			b.Record(t.Context(), faas.Execution{})
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { assert.Error(t, b.Flush(short)) })
		synctest.Wait()
		start := time.Now()
		require.NoError(t, b.Flush(t.Context()))
		assert.Equal(t, 2*time.Second, time.Since(start))
		wg.Wait()
	})
}

func TestAnIdleRouterThatSharesABufferWithABusyOneShutsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := faas.Buffered(perSecond(&recorder{}), 5)
		busy, calm := router(t, faas.WithMeter(b)), router(t, faas.WithMeter(b))
		f := faas.Register(busy, "f", double)
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for !stop.Load() {
					_, _ = f.Invoke(t.Context(), 1)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		time.Sleep(10 * time.Second)
		start := time.Now()
		require.NoError(t, calm.Shutdown(t.Context()))
		assert.LessOrEqual(t, time.Since(start), 5*time.Second, "no more than the buffer held")
		stop.Store(true)
		wg.Wait()
	})
}

func TestASinkThatEndsItsGoroutineLosesWhatItWasGivenAndNoMore(t *testing.T) {
	for how, end := range map[string]func(){
		"by Goexit":                      runtime.Goexit,
		"by a panic":                     func() { panic("sink") },
		"by Goexit, and panics after it": func() { defer panic("sink"); runtime.Goexit() },
	} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sink := &recorder{}
				n := 0
				b := faas.Buffered(faas.MeterFunc(func(ctx context.Context, e faas.Execution) {
					if n++; n%2 == 1 {
						end()
					}
					sink.Record(ctx, e)
				}), 8)
				r := router(t, faas.WithMeter(b))
				f := faas.Register(r, "f", double)
				for range 8 {
					_, err := f.Invoke(t.Context(), 1)
					require.NoError(t, err)
				}
				require.NoError(t, r.Shutdown(t.Context()))
				assert.Len(t, sink.all(), 4)
				assert.EqualValues(t, 4, b.Panics())
				assert.Zero(t, b.Len())
				for range 8 {
					assert.True(t, b.Reserve(), "its room is free")
				}
				assert.False(t, b.Reserve())
			})
		})
	}
}

// exiter is a sink that ends its goroutine at the first batch and the first
// overrun.
type exiter struct {
	recorder
	batches, overs int
}

func (x *exiter) RecordBatch(ctx context.Context, es []faas.Execution) {
	if x.batches++; x.batches == 1 {
		runtime.Goexit()
	}
	for _, e := range es {
		x.Record(ctx, e)
	}
}

func (x *exiter) RecordOverrun(ctx context.Context, o faas.Overrun) {
	if x.overs++; x.overs == 1 {
		runtime.Goexit()
	}
	x.recorder.RecordOverrun(ctx, o)
}

func TestASinkMayEndItsGoroutineInABatchAndInAnOverrun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := &exiter{}
		b := faas.Buffered(x, 10)
		b.Record(t.Context(), faas.Execution{})
		b.RecordOverrun(t.Context(), faas.Overrun{})
		b.RecordOverrun(t.Context(), faas.Overrun{})
		b.Record(t.Context(), faas.Execution{})
		require.NoError(t, b.Close())
		assert.Len(t, x.all(), 1)
		assert.Len(t, x.overran(), 1)
		assert.EqualValues(t, 2, b.Panics())
	})
}

func TestLenIsWhatIsAcceptedAndNotDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &slowSink{}
		sink.slow.Store(true)
		b := faas.Buffered(sink, 10)
		assert.Zero(t, b.Len())
		require.True(t, b.Reserve())
		assert.Zero(t, b.Len(), "a reservation is no record")
		b.Record(t.Context(), faas.Execution{})
		b.Record(t.Context(), faas.Execution{})
		b.RecordOverrun(t.Context(), faas.Overrun{})
		synctest.Wait()
		assert.Equal(t, 3, b.Len(), "the one that the sink has in hand is not delivered")
		time.Sleep(90 * time.Minute)
		assert.Equal(t, 2, b.Len())
		require.NoError(t, b.Close())
		assert.Zero(t, b.Len())
	})
}

func TestShutdownThatGivesUpSaysHowManyRecordsOfWhichMeterAreLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink, own := &slowSink{}, &batcher{}
		sink.slow.Store(true)
		common, one := faas.Buffered(sink, 10), faas.Buffered(own, 10)
		r := router(t, faas.WithMeter(common))
		f := faas.Register(r, "f", double, faas.WithMeter(faas.Meters(one, &recorder{})))
		g := faas.Register(r, "g", double)
		for range 3 {
			_, err := f.Invoke(t.Context(), 1)
			require.NoError(t, err)
		}
		_, err := g.Invoke(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()

		err = r.Shutdown(ctx)

		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `4 records not delivered to meter *faas_test.slowSink`)
		require.ErrorContains(t, err, `function "f": 3 records not delivered to meter *faas_test.batcher`)
		var left *faas.UndeliveredError
		require.ErrorAs(t, err, &left)
		assert.Same(t, common, left.Meter)
		assert.Equal(t, 4, left.Records)
		require.NoError(t, r.Shutdown(t.Context()), "late is not lost")
		assert.Len(t, sink.all(), 4)
		assert.Len(t, own.all(), 3)
	})
}

func TestShutdownFlushesTheMeterOfAFunctionThatIsRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &slowSink{}
		sink.slow.Store(true)
		r := router(t)
		f := faas.Register(r, "f", double, faas.WithMeter(faas.Buffered(sink, 10)))
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		require.NoError(t, r.Remove("f"))
		_ = r.Stats()
		start := time.Now()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, time.Hour, time.Since(start))
		assert.Len(t, sink.all(), 1)
	})
}

// badFlush is a meter whose Flush fails: it panics, calls Goexit or returns an error.
type badFlush struct {
	recorder
	flush func() error
}

func (b *badFlush) Flush(context.Context) error { return b.flush() }

func TestAFlushThatMisbehavesIsAnErrorAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		boom := errors.New("boom")
		for _, flush := range []func() error{
			func() error { panic(boom) },
			func() error { runtime.Goexit(); return nil },
			func() error { return boom },
		} {
			sink := &slowSink{}
			sink.slow.Store(true)
			r := faas.New(faas.WithMeter(&badFlush{flush: flush}), faas.WithMeter(faas.Buffered(sink, 1)))
			_, err := faas.Register(r, "f", double).Invoke(t.Context(), 1)
			require.NoError(t, err)
			require.Error(t, r.Shutdown(t.Context()))
			assert.Len(t, sink.all(), 1, "the others are flushed")
		}
	})
}

// A hammer: when a goroutine's Flush returns, the sink has all records that this goroutine
// made before, whatever the other goroutines do and however the sink fails.
func TestFlushAndRecordHoldUnderAHammer(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	var n atomic.Int64
	b := faas.Buffered(faas.MeterFunc(func(_ context.Context, e faas.Execution) {
		seen.Store(e.Function, true)
		switch n.Add(1) % 7 {
		case 0:
			runtime.Goexit()
		case 1:
			panic("sink")
		}
	}), 64)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			for i := range 500 {
				id := name + string(rune(i))
				b.Record(t.Context(), faas.Execution{Function: id})
				assert.NoError(t, b.Flush(t.Context()))
				_, ok := seen.Load(id)
				assert.True(t, ok, id)
				_ = b.Len()
			}
		})
	}
	wg.Wait()
	require.NoError(t, b.Close())
	assert.Zero(t, b.Len())
	assert.EqualValues(t, 2000, n.Load())
}
