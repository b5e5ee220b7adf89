package faastest_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestMeterPassesTheMetersOfTheCore(t *testing.T) {
	t.Parallel()
	t.Run("Buffered", func(t *testing.T) {
		t.Parallel()
		faastest.TestMeter(t, func(t *testing.T) (faas.Meter, func() []faas.Execution) {
			t.Helper()
			rec := &faastest.Recorder{}
			b := faas.Buffered(rec, 4)
			t.Cleanup(func() { _ = b.Close() })
			return b, func() []faas.Execution {
				assert.NoError(t, b.Flush(context.Background()))
				return rec.Executions()
			}
		})
	})
	t.Run("Meters", func(t *testing.T) {
		t.Parallel()
		faastest.TestMeter(t, func(*testing.T) (faas.Meter, func() []faas.Execution) {
			rec := &faastest.Recorder{}
			return faas.Meters(&faastest.Recorder{}, rec), rec.Executions
		})
	})
	t.Run("MeterFunc, which can't be read back", func(t *testing.T) {
		t.Parallel()
		faastest.TestMeter(t, func(*testing.T) (faas.Meter, func() []faas.Execution) {
			return faas.MeterFunc(func(context.Context, faas.Execution) {}), nil
		})
	})
}

// badMeter is a Recorder with faults.
type badMeter struct {
	faastest.Recorder

	record  func(m *faastest.Recorder, ctx context.Context, e faas.Execution)
	overrun func(o faas.Overrun)
}

func (m *badMeter) Record(ctx context.Context, e faas.Execution) { m.record(&m.Recorder, ctx, e) }

func (m *badMeter) RecordOverrun(_ context.Context, o faas.Overrun) { m.overrun(o) }

type meterCheck interface {
	EveryCallOnce()
	Unusual()
	LeavesLabels()
	NoWait()
	Overruns()
	Batches()
	Reservations()
}

func TestMeterCatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		record func(m *faastest.Recorder, ctx context.Context, e faas.Execution)
		check  func(meterCheck)
		want   string
	}{
		"a meter that drops failures": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			if e.Outcome == faas.OK {
				m.Record(ctx, e)
			}
		}, meterCheck.EveryCallOnce, "is there 0 times"},
		"a meter that records twice": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			m.Record(ctx, e)
			m.Record(ctx, e)
		}, meterCheck.EveryCallOnce, "is there 2 times"},
		"a meter that makes records up": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			m.Record(ctx, e)
			e.ID[15]++
			m.Record(ctx, e)
		}, meterCheck.Unusual, "which was not made"},
		"a meter that loses the tenant": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			e.Tenant = ""
			m.Record(ctx, e)
		}, meterCheck.EveryCallOnce, "has become"},
		"a meter that rounds": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			e.Duration++
			m.Record(ctx, e)
		}, meterCheck.EveryCallOnce, "has become"},
		"a meter that panics in the router": {func(*faastest.Recorder, context.Context, faas.Execution) {
			panic("oops")
		}, meterCheck.EveryCallOnce, "panicked in 400 calls"},
		"a meter that panics": {func(_ *faastest.Recorder, _ context.Context, e faas.Execution) {
			e.Labels["x"] = "y" // a nil map
		}, meterCheck.Unusual, "panicked: assignment to entry in nil map"},
		"a meter that heeds its context": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			if ctx.Err() == nil {
				m.Record(ctx, e)
			}
		}, meterCheck.Unusual, "is there 0 times"},
		"a meter that does not know InitFailed": {func(m *faastest.Recorder, ctx context.Context, e faas.Execution) {
			if e.Outcome != faas.InitFailed {
				m.Record(ctx, e)
			}
		}, meterCheck.Unusual, "(InitFailed) is there 0 times"},
		"a meter that sleeps": {func(*faastest.Recorder, context.Context, faas.Execution) {
			time.Sleep(time.Millisecond)
		}, meterCheck.NoWait, "Record took 1ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tb := &fakeTB{TB: t}
				m := &badMeter{record: c.record}
				c.check(faastest.MeterCheck(tb, m, m.Executions))
				assert.Contains(t, tb.failed(), c.want)
			})
		})
	}
}

func TestMeterCatchesAMeterThatChangesLabels(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	m := faas.MeterFunc(func(_ context.Context, e faas.Execution) {
		mu.Lock()
		defer mu.Unlock()
		e.Labels["seen"] = "yes"
	})
	tb := &fakeTB{TB: t}
	faastest.MeterCheck(tb, m, nil).LeavesLabels()
	assert.Contains(t, tb.failed(), "seen:yes")
}

func TestMeterCatchesAMeterThatIsBlockedForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := make(chan faas.Execution, 3)
		tb := &fakeTB{TB: t}
		faastest.MeterCheck(tb, faas.MeterFunc(func(_ context.Context, e faas.Execution) { full <- e }), nil).NoWait()
		assert.Contains(t, tb.failed(), "blocked for good")
		<-full // let it end
	})
}

func TestMeterCatchesFaultsWithOverruns(t *testing.T) {
	t.Parallel()
	for want, overrun := range map[string]func(o faas.Overrun){
		"panicked: oops":         func(faas.Overrun) { panic("oops") },
		"RecordOverrun took 1ms": func(faas.Overrun) { time.Sleep(time.Millisecond) },
		"an overrun's Labels":    func(o faas.Overrun) { delete(o.Labels, "team") },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tb := &fakeTB{TB: t}
				faastest.MeterCheck(tb, &badMeter{overrun: overrun}, nil).Overruns()
				assert.Contains(t, tb.failed(), want)
			})
		})
	}
}

// roomMeter is a Reserver that can count wrongly.
type roomMeter struct {
	mu         sync.Mutex
	room       int
	onReserve  int // places that Reserve takes
	onGiveBack int // places that Unreserve frees
	onRecord   int // places that Record frees
	racy       bool
}

func (m *roomMeter) Record(context.Context, faas.Execution) { m.add(m.onRecord) }
func (m *roomMeter) Unreserve()                             { m.add(m.onGiveBack) }

func (m *roomMeter) Reserve() bool {
	if m.racy { // checks, and takes the place later
		enough := m.add(0) >= m.onReserve
		time.Sleep(time.Millisecond)
		if enough {
			m.add(-m.onReserve)
		}
		return enough
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room < m.onReserve {
		return false
	}
	m.room -= m.onReserve
	return true
}

func (m *roomMeter) add(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room += n
	return m.room
}

func TestMeterCatchesReservationsThatAreLostOrMadeUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meter *roomMeter
		want  string
	}{
		"none":                         {&roomMeter{room: 5, onReserve: 1, onGiveBack: 1, onRecord: 1}, ""},
		"no room at all":               {&roomMeter{room: 0, onReserve: 1, onGiveBack: 1, onRecord: 1}, "no room for a single record"},
		"Unreserve gives back two":     {&roomMeter{room: 5, onReserve: 1, onGiveBack: 2, onRecord: 1}, "room for 2 records, want 1"},
		"Unreserve gives back none":    {&roomMeter{room: 5, onReserve: 1, onGiveBack: 0, onRecord: 1}, "room for 0 records, want 1"},
		"Record gives back two":        {&roomMeter{room: 5, onReserve: 1, onGiveBack: 1, onRecord: 2}, "5 records were delivered, and there is room for 10"},
		"Record gives back none":       {&roomMeter{room: 5, onReserve: 1, onGiveBack: 1, onRecord: 0}, "and there is room for 0 only"},
		"Reserve takes its time":       {&roomMeter{room: 5, onReserve: 1, onGiveBack: 1, onRecord: 1, racy: true}, "Reserve and Unreserve took"},
		"Reserve looks before it acts": {&roomMeter{room: 5, onReserve: 1, onGiveBack: 1, onRecord: 1, racy: true}, "were granted by a meter with room for 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tb := &fakeTB{TB: t}
				faastest.MeterCheck(tb, c.meter, func() []faas.Execution { return nil }).Reservations()
				if c.want == "" {
					assert.Empty(t, tb.failed())
				} else {
					assert.Contains(t, tb.failed(), c.want)
				}
			})
		})
	}
}

// batchMeter passes a batch to its function.
type batchMeter struct {
	faastest.Recorder
	take func(m *batchMeter, es []faas.Execution)
}

func (m *batchMeter) RecordBatch(_ context.Context, es []faas.Execution) { m.take(m, es) }

func TestMeterCatchesFaultsWithBatches(t *testing.T) {
	t.Parallel()
	each := func(m *batchMeter, es []faas.Execution) {
		for _, e := range es {
			m.Record(context.Background(), e)
		}
	}
	for name, c := range map[string]struct {
		take func(m *batchMeter, es []faas.Execution)
		want string
	}{
		"none":                      {each, ""},
		"it takes the first alone":  {func(m *batchMeter, es []faas.Execution) { each(m, es[:min(1, len(es))]) }, "is there 0 times"},
		"it takes some twice":       {func(m *batchMeter, es []faas.Execution) { each(m, es); each(m, es) }, "is there 2 times"},
		"it has no use for nothing": {func(m *batchMeter, es []faas.Execution) { _ = es[0]; each(m, es) }, "RecordBatch panicked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := &fakeTB{TB: t}
			m := &batchMeter{take: c.take}
			faastest.MeterCheck(tb, m, m.Executions).Batches()
			if c.want == "" {
				assert.Empty(t, tb.failed())
			} else {
				assert.Contains(t, tb.failed(), c.want)
			}
		})
	}
}

func TestMeterCatchesAMeterThatKeepsTheSliceOfABatch(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{TB: t}
	var mu sync.Mutex
	var kept [][]faas.Execution
	m := &batchMeter{take: func(_ *batchMeter, es []faas.Execution) {
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, es)
	}}
	faastest.MeterCheck(tb, m, func() []faas.Execution { return slices.Concat(kept...) }).Batches()
	assert.Contains(t, tb.failed(), "is there 0 times")
}

func TestMeterSkipsWhatAMeterIsNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := &fakeTB{TB: t}
		c := faastest.MeterCheck(tb, faas.MeterFunc(func(context.Context, faas.Execution) {}), nil)
		c.Overruns()
		c.Batches()
		c.Reservations()
		faastest.MeterCheck(tb, &roomMeter{room: 1 << 20, onReserve: 1}, nil).Reservations()
		assert.Empty(t, tb.failed())
		assert.Len(t, tb.skips, 4)
	})
}
