package faas_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestLambdaStartsOneForEachCallThatNeedsIt(t *testing.T) {
	t.Parallel()
	steps := faastest.Drive{
		Scaler: faas.LambdaScaler{KeepAlive: time.Minute},
		Calls: func(at time.Duration) int {
			switch {
			case at < 10*time.Second:
				return 5
			case at < 20*time.Second:
				return 9
			case at < 5*time.Minute:
				return 2
			}
			return 0
		},
		For: 10 * time.Minute,
	}.Run()
	require.Len(t, steps, 4, "%v", steps)
	assert.Equal(t, faastest.ScaleStep{At: 0, From: 0, To: 5, Rule: "arrival"}, steps[0])
	assert.Equal(t, faastest.ScaleStep{At: 10 * time.Second, From: 5, To: 9, Rule: "arrival"}, steps[1])
	assert.Equal(t, 2, steps[2].To)
	assert.Equal(t, "calls in progress", steps[2].Rule, "two are what is left of the need")
	assert.InDelta(t, 80, steps[2].At.Seconds(), 4, "a minute after nine were needed last")
	assert.Equal(t, 0, steps[3].To)
	assert.InDelta(t, 360, steps[3].At.Seconds(), 4, "a minute after the last call")
}

// The calls begin and end between two ticks, so no tick sees a call that runs.
func TestLambdaKeepsWhatWasUsedBetweenTicks(t *testing.T) {
	t.Parallel()
	s := faas.LambdaScaler{KeepAlive: 10 * time.Second}
	l := faas.Load{Now: epoch, Queued: 4, Per: 1, Arrival: true}
	got, state := s.Desired(l, nil)
	l.Instances, l.Ready, l.Queued, l.Arrival = got.N, got.N, 0, false
	for range 60 {
		l.Now, l.Peak = l.Now.Add(2*time.Second), 4
		got, state = s.Desired(l, state)
		require.Equal(t, faas.Target{N: 4, Rule: "keep-alive"}, got)
	}
	l.Peak = 0
	for l.Instances > 0 {
		l.Now = l.Now.Add(2 * time.Second)
		got, state = s.Desired(l, state)
		l.Instances = got.N
	}
	assert.InDelta(t, 132, l.Now.Sub(epoch).Seconds(), 2)
}

func TestLambdasQuotaIsSpentAtOnceAndRefillsEvenly(t *testing.T) {
	t.Parallel()
	s := faas.LambdaScaler{}
	l := faas.Load{Now: epoch, Queued: 5000, Per: 1, Arrival: true}
	var state faas.State
	var got faas.Target
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{0, 1000},
		{0, 1000},
		{time.Second, 1100},
		{9500 * time.Millisecond, 1950},
		{time.Hour, 2950}, // unused quota does not add up
		{time.Hour + 10*time.Second, 3950},
		{time.Hour + 25*time.Second, 4950},
	} {
		l.Now = epoch.Add(c.at)
		got, state = s.Desired(l, state)
		require.Equal(t, faas.Target{N: c.want, Rule: "burst quota"}, got, "at %v", c.at)
		l.Instances, l.Ready = got.N, got.N
	}
	l.Now = l.Now.Add(time.Second)
	got, _ = s.Desired(l, state)
	require.Equal(t, faas.Target{N: 5000, Rule: "arrival"}, got)
}

func TestLambdasQuotaIsNotSpentOnWhatTheMaximumForbids(t *testing.T) {
	t.Parallel()
	s := faas.LambdaScaler{Burst: 10}
	got, state := s.Desired(faas.Load{Now: epoch, Queued: 50, Per: 1, Max: 4, Arrival: true}, nil)
	require.Equal(t, faas.Target{N: 4, Rule: "maximum"}, got)
	got, _ = s.Desired(faas.Load{Now: epoch, Instances: 4, InFlight: 4, Queued: 46, Per: 1, Max: 40, Arrival: true}, state)
	require.Equal(t, faas.Target{N: 10, Rule: "burst quota"}, got)
}
