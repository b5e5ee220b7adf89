package observe_test

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// recordAt records a call of a function, with the time at which it ended.
func recordAt(rec *observe.Recorder, function string, at time.Time) {
	rec.Record(context.Background(), faas.Execution{Function: function, Version: "1", Start: at, Duration: time.Millisecond})
}

func points(rec *observe.Recorder, function string, step observe.Step, since time.Time) []observe.Point {
	for l := range rec.Live(step, since) {
		if l.Function == function {
			return l.Points
		}
	}
	return nil
}

// callsByStart returns the number of calls in each point, by the point's distance from from.
func callsByStart(all []observe.Point, from time.Time) map[time.Duration]uint64 {
	m := map[time.Duration]uint64{}
	for _, p := range all {
		m[p.Start.Sub(from)] += p.Outcomes.Calls()
	}
	return m
}

func TestEachCallIsInTheWindowsOfItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := observe.NewRecorder()
		start := time.Now() // midnight
		for _, after := range []time.Duration{0, 500 * time.Millisecond, time.Second, 11 * time.Second, 61 * time.Second} {
			time.Sleep(time.Until(start.Add(after)))
			recordAt(rec, "f", time.Now())
			rec.Refused(t.Context(), faas.Refusal{Invocation: faas.Invocation{Function: "f", Version: "1"}, Reason: faas.ReasonOff})
		}
		for step, want := range map[observe.Step]map[time.Duration]uint64{
			observe.Second:     {0: 2, time.Second: 1, 11 * time.Second: 1, 61 * time.Second: 1},
			observe.TenSeconds: {0: 3, 10 * time.Second: 1, time.Minute: 1},
			observe.Minute:     {0: 4, time.Minute: 1},
		} {
			all := points(rec, "f", step, time.Time{})
			assert.Equal(t, want, callsByStart(all, start), step)
			for _, p := range all {
				assert.Equal(t, p.Outcomes.Calls(), p.Refused)
				assert.Equal(t, p.Outcomes.Calls(), p.Run.Count())
				assert.InEpsilon(t, time.Millisecond, p.Run.Quantile(0.5), 0.05)
			}
		}
		assert.Len(t, points(rec, "f", observe.Second, start.Add(61*time.Second)), 1, "what has changed since")
		assert.Empty(t, points(rec, "f", observe.Second, start.Add(62*time.Second)))

		time.Sleep(6 * time.Minute)
		assert.Empty(t, points(rec, "f", observe.Second, time.Time{}), "kept for 5 minutes")
		assert.Len(t, points(rec, "f", observe.TenSeconds, time.Time{}), 3)
		time.Sleep(time.Hour)
		assert.Empty(t, points(rec, "f", observe.TenSeconds, time.Time{}))
		assert.Len(t, points(rec, "f", observe.Minute, time.Time{}), 2)
		time.Sleep(24 * time.Hour)
		assert.Empty(t, points(rec, "f", observe.Minute, time.Time{}))
	})
}

func TestALateRecordGoesToThePointOfItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := observe.NewRecorder()
		start := time.Now()
		for _, after := range []int{20, 30, 10, 20, 40, 0} {
			recordAt(rec, "f", start.Add(time.Duration(after)*time.Second))
		}
		all := points(rec, "f", observe.Second, time.Time{})
		assert.Equal(t, map[time.Duration]uint64{0: 1, 10 * time.Second: 1, 20 * time.Second: 2, 30 * time.Second: 1, 40 * time.Second: 1}, callsByStart(all, start))
		assert.True(t, slices.IsSortedFunc(all, func(a, b observe.Point) int { return a.Start.Compare(b.Start) }))
	})
}

func TestMergedPointsAreThoseOfACoarserStep(t *testing.T) {
	rec := observe.NewRecorder()
	start := time.Now().Truncate(time.Minute).Add(-2 * time.Minute)
	for i := range 30 {
		rec.Record(context.Background(), faas.Execution{
			Function: "f", Version: "1", Start: start.Add(time.Duration(i) * time.Second), Duration: time.Duration(i) * time.Millisecond,
			Outcome: faas.Outcome(i % 3), Cold: i%5 == 0, BytesIn: i, BytesOut: 1,
		})
	}
	coarse := points(rec, "f", observe.Minute, start.Add(-time.Minute))
	require.Len(t, coarse, 1)

	var sum observe.Point
	for i, p := range points(rec, "f", observe.TenSeconds, start.Add(-time.Minute)) {
		if i == 0 {
			sum.Start = p.Start
		}
		sum.Merge(&p)
	}

	require.Equal(t, coarse[0], sum)
}

func TestNoMoreThanItsDurationIsKeptOfAStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := observe.NewRecorder()
		for range 2000 {
			recordAt(rec, "f", time.Now())
			time.Sleep(time.Second)
		}
		assert.Len(t, points(rec, "f", observe.Second, time.Time{}), 300)
		assert.Len(t, points(rec, "f", observe.TenSeconds, time.Time{}), 200)
		var calls uint64
		for _, p := range points(rec, "f", observe.Minute, time.Time{}) {
			calls += p.Outcomes.Calls()
		}
		assert.EqualValues(t, 2000, calls)
	})
}

func TestWindowsTakeNoMoreThanTheirBytesAndKeepTheCoarsest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bytes = 200 << 10
		rec := observe.NewRecorder(observe.WithWindows(bytes))
		for i := range 3600 {
			recordAt(rec, fmt.Sprint("f", i%4), time.Now())
			time.Sleep(time.Second)
		}
		kept := map[observe.Step]int{}
		for _, step := range []observe.Step{observe.Second, observe.TenSeconds, observe.Minute} {
			for l := range rec.Live(step, time.Time{}) {
				kept[step] += len(l.Points)
			}
		}
		assert.Equal(t, 4*60, kept[observe.Minute], "all of the hour, by minute")
		assert.Less(t, kept[observe.TenSeconds], 4*360)
		size := (kept[observe.Second] + kept[observe.TenSeconds] + kept[observe.Minute]) * int(reflect.TypeFor[observe.Point]().Size())
		assert.Less(t, size, bytes)
		assert.Greater(t, size, bytes/4)
		require.Len(t, snapshot(rec), 4, "the counts since the start are not windows")
		assert.EqualValues(t, 3600, total(rec))
	})
}

func TestNoWindowsCanBeKeptAtAll(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder(observe.WithWindows(0))
	recordAt(rec, "f", time.Now())
	assert.Empty(t, points(rec, "f", observe.Second, time.Time{}))
	assert.EqualValues(t, 1, total(rec))
}

func TestAStepOutOfRangeIsTheLast(t *testing.T) {
	t.Parallel()
	assert.Equal(t, observe.Minute.Length(), observe.Step(9).Length())
	assert.Equal(t, observe.Minute.Kept(), observe.Step(9).Kept())
}

func TestChangedLeavesOutWhatNothingWasRecordedOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := observe.NewRecorder()
		changed := func(mark uint64) (names []string, next uint64) {
			all, next := rec.Changed(observe.TenSeconds, time.Time{}, mark)
			for l := range all {
				names = append(names, l.Function)
			}
			return names, next
		}
		recordAt(rec, "a", time.Now())
		recordAt(rec, "b", time.Now())
		names, mark := changed(0)
		assert.Equal(t, []string{"a", "b"}, names)
		names, next := changed(mark)
		assert.Empty(t, names)

		rec.Refused(t.Context(), faas.Refusal{Invocation: faas.Invocation{Function: "b", Version: "1"}, Reason: faas.ReasonOff})
		recordAt(rec, "c", time.Now())
		names, _ = changed(next)
		assert.Equal(t, []string{"b", "c"}, names)
		names, _ = changed(mark) // as another reader, which reads less often
		assert.Equal(t, []string{"b", "c"}, names)
		names, _ = changed(0)
		assert.Equal(t, []string{"a", "b", "c"}, names)
	})
}

// Readers read while calls are recorded. In the end, nothing has been left out.
func TestChangedMissesNothingThatIsRecordedMeanwhile(t *testing.T) {
	t.Parallel()
	const functions, writers = 20, 4
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	rec := observe.NewRecorder()
	at := time.Now()
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range rounds {
				recordAt(rec, fmt.Sprint((i+w)%functions), at.Add(time.Duration(i%3)*time.Second)) // over several seconds, so that pending counts are added to the series
			}
		})
	}
	ended := make(chan struct{})
	go func() { writing.Wait(); close(ended) }()

	have, mark := map[string]uint64{}, uint64(0)
	read := func() {
		var all iter.Seq[observe.Live]
		all, mark = rec.Changed(observe.Minute, at.Add(-time.Minute), mark)
		for l := range all {
			have[l.Function] = 0
			for i := range l.Points {
				have[l.Function] += l.Points[i].Outcomes.Calls()
			}
		}
	}
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		default:
		}
		read()
	}
	for function := range functions {
		assert.Equal(t, uint64(rounds*writers/functions), have[fmt.Sprint(function)], function)
	}
}
