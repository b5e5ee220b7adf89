package faastest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// between returns a load of n calls from one time to another.
func between(from, to time.Duration, n int) func(time.Duration) int {
	return func(at time.Duration) int {
		if at >= from && at < to {
			return n
		}
		return 0
	}
}

// The steps: on arrivals the function grows; on the tick it gets room for the peak and its
// square root; then it shrinks slowly; it is at zero a stable window and the grace after the
// last call.
func ExampleDrive() {
	d := faastest.Drive{
		Scaler: faas.ConcurrencyScaler{},
		Calls: func(at time.Duration) int { // 30 calls for a minute
			if at < time.Minute {
				return 30
			}
			return 0
		},
		Per: 10,
		For: 5 * time.Minute,
	}
	for _, s := range d.Run() {
		fmt.Println(s)
	}
	// Output:
	// 0s: 0 to 3 (arrival)
	// 2s: 3 to 4 (peak)
	// 1m18s: 4 to 3 (stable window)
	// 1m32s: 3 to 2 (stable window)
	// 1m46s: 2 to 1 (stable window)
	// 2m28s: 1 to 0 (stable window)
}

func TestDriveAsksAsARouterDoes(t *testing.T) {
	t.Parallel()
	var asked []faas.Load
	d := faastest.Drive{
		Scaler: scalerFunc(func(l faas.Load, s faas.State) (faas.Target, faas.State) {
			asked = append(asked, l)
			return needed(l, s)
		}),
		Calls: between(3*time.Second, 5*time.Second, 4),
		Per:   2, Max: 5, Init: time.Second,
		For: 90 * time.Second,
	}
	steps := d.Run()
	require.Equal(t, []faastest.ScaleStep{{At: 3 * time.Second, From: 0, To: 4, Rule: "need"}}, steps)

	epoch := asked[0].Now.Add(-3 * time.Second)
	require.True(t, asked[0].Arrival)
	assert.Equal(t, 4, asked[0].Queued, "all that came in one step")
	tick := asked[1]
	assert.False(t, tick.Arrival)
	assert.Equal(t, 4*time.Second, tick.Now.Sub(epoch))
	assert.Equal(t, []int{4, 4, 4, 0, 4}, []int{tick.Instances, tick.Ready, tick.InFlight, tick.Queued, tick.Peak})
	assert.InDelta(t, 4, tick.Stable, 1e-9)
	next := asked[2]
	assert.Equal(t, []int{0, 0, 4}, []int{next.InFlight, next.Queued, next.Peak}, "the peak is of the two seconds before")
	for _, l := range asked[1:] {
		assert.False(t, l.Arrival)
	}
	assert.Zero(t, asked[len(asked)-1].Now.Sub(epoch)%(2*time.Second))
}

func TestDriveDoesNotAskAboutAFunctionAtRest(t *testing.T) {
	t.Parallel()
	asked := 0
	d := faastest.Drive{
		Scaler: scalerFunc(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			asked++
			return faas.Target{N: l.InFlight + l.Queued, Rule: "need"}, nil
		}),
		Calls: between(0, time.Second, 1),
		For:   time.Hour,
	}
	require.Len(t, d.Run(), 2)
	assert.InDelta(t, 32, asked, 1, "the arrival, and the ticks until the window was empty")
}

func TestDriveKeepsInstancesThatServe(t *testing.T) {
	t.Parallel()
	d := faastest.Drive{
		Scaler: scalerFunc(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			if l.Arrival {
				return faas.Target{N: 9, Rule: "up"}, nil
			}
			return faas.Target{N: 0, Rule: "down"}, nil
		}),
		Calls: between(time.Second, 7*time.Second, 6),
		Per:   2, Min: 1,
		For: time.Minute,
	}
	assert.Equal(t, []faastest.ScaleStep{
		{At: 1 * time.Second, From: 1, To: 9, Rule: "up"},
		{At: 2 * time.Second, From: 9, To: 3, Rule: "down"},
		{At: 8 * time.Second, From: 3, To: 1, Rule: "down"},
	}, d.Run())
}

func TestDriveStopsInstancesThatAreNotReadyFirst(t *testing.T) {
	t.Parallel()
	var last faas.Load
	answers := []int{2, 2, 6, 6, 3}
	d := faastest.Drive{
		Scaler: scalerFunc(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			last = l
			n := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			return faas.Target{N: n, Rule: "script"}, nil
		}),
		Calls: func(time.Duration) int { return 1 },
		Init:  5 * time.Second,
		For:   14 * time.Second,
	}
	steps := d.Run()
	require.Len(t, steps, 3, "%v", steps)
	assert.Equal(t, 3, last.Instances)
	assert.Equal(t, 3, last.Ready, "one of the four that came last was spared, and is ready now")
}
