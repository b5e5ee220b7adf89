package faastest_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// scalerFunc is a policy in a function.
type scalerFunc func(l faas.Load, s faas.State) (faas.Target, faas.State)

func (f scalerFunc) Desired(l faas.Load, s faas.State) (faas.Target, faas.State) { return f(l, s) }

// needed is an honest policy, with a memory of the highest need.
func needed(l faas.Load, s faas.State) (faas.Target, faas.State) {
	high, _ := s.(int)
	high = max(high, l.InFlight+l.Queued)
	return faas.Target{N: high, Rule: "need"}, high
}

func TestScalerPassesHonestOnes(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]faas.Scaler{
		"remembers the highest need": scalerFunc(needed),
		"lets calls grow": scalerFunc(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			return faas.Target{N: min((max(1, l.InFlight+l.Queued)+max(1, l.Per)-1)/max(1, l.Per), 150), Rule: "need", UpTo: 150}, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faastest.TestScaler(t, func() faas.Scaler { return s })
		})
	}
}

// windowed is a scaler with windows of its own.
type windowed struct {
	scalerFunc
	windows func() (stable, burst time.Duration)
}

func (w windowed) Windows() (stable, burst time.Duration) { return w.windows() }

func TestScalerFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	of := func(f scalerFunc) func() faas.Scaler { return func() faas.Scaler { return f } }
	asks := func(w func() (time.Duration, time.Duration)) func() faas.Scaler {
		return func() faas.Scaler { return windowed{scalerFunc: needed, windows: w} }
	}
	for name, c := range map[string]struct {
		check  func(faastest.ScalerChecks)
		scaler func() faas.Scaler
		says   string
	}{
		"a count of its own": {faastest.ScalerChecks.Pure, func() faas.Scaler {
			var n atomic.Int64
			return scalerFunc(func(faas.Load, faas.State) (faas.Target, faas.State) {
				return faas.Target{N: int(n.Add(1)), Rule: "count"}, nil
			})
		}, "asked the same twice"},
		"no two alike": {faastest.ScalerChecks.Pure, func() func() faas.Scaler {
			made := 0
			return func() faas.Scaler {
				made++
				return faas.FixedScaler{N: made}
			}
		}(), "made alike"},
		"a state that is changed": {faastest.ScalerChecks.LeavesStates, of(func(_ faas.Load, s faas.State) (faas.Target, faas.State) {
			n, ok := s.(*int)
			if !ok {
				n = new(int)
			}
			*n++
			return faas.Target{N: *n, Rule: "count"}, n
		}), "must not be changed"},
		"a memory beside the state": {faastest.ScalerChecks.Concurrent, func() faas.Scaler {
			var n atomic.Int64
			return scalerFunc(func(faas.Load, faas.State) (faas.Target, faas.State) {
				return faas.Target{N: int(n.Add(1)), Rule: "count"}, nil
			})
		}, "asked by many at once"},
		"a negative number": {faastest.ScalerChecks.Extremes, of(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			return faas.Target{N: l.Instances - 50, Rule: "fewer"}, nil
		}), "must not be negative"},
		"no rule": {faastest.ScalerChecks.Extremes, of(func(faas.Load, faas.State) (faas.Target, faas.State) { return faas.Target{N: 1}, nil }), "no rule"},
		"a panic": {faastest.ScalerChecks.Extremes, of(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			return faas.Target{N: l.Queued / l.Per, Rule: "need"}, nil
		}), "panicked"},
		"a wait": {faastest.ScalerChecks.NoWait, of(func(l faas.Load, s faas.State) (faas.Target, faas.State) {
			time.Sleep(time.Millisecond)
			return needed(l, s)
		}), "must not wait"},
		"more without a question than with one": {faastest.ScalerChecks.UpTo, of(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			return faas.Target{N: min(5, l.InFlight+l.Queued), Rule: "five", UpTo: 6}, nil
		}), "must not promise"},
		"nothing for a call that waits": {faastest.ScalerChecks.Starts, of(func(l faas.Load, _ faas.State) (faas.Target, faas.State) {
			return faas.Target{N: l.Instances, Rule: "as it is"}, nil
		}), "gets none"},
		"a short window":              {faastest.ScalerChecks.Windows, asks(func() (time.Duration, time.Duration) { return time.Minute, time.Millisecond }), "between 1s and 1h"},
		"windows the wrong way round": {faastest.ScalerChecks.Windows, asks(func() (time.Duration, time.Duration) { return time.Second, time.Minute }), "not longer"},
		"windows that vary": {faastest.ScalerChecks.Windows, func() faas.Scaler {
			n := time.Minute
			return windowed{scalerFunc: needed, windows: func() (time.Duration, time.Duration) { n += time.Second; return n, time.Second }}
		}, "asked for the windows again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeTB{TB: t}
				c.check(faastest.ScalerCheck(fake, c.scaler))
				assert.Contains(t, fake.failed(), c.says)
			})
		})
	}
}
