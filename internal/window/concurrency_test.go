package window_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/window"
)

// history is the model: it keeps every step, and computes each result from all of them.
type history struct {
	granularity, span int64
	steps             []step
}

type step struct {
	at    int64
	level int64
}

func (h *history) level() int64 {
	if len(h.steps) == 0 {
		return 0
	}
	return h.steps[len(h.steps)-1].level
}

// area returns the integral of the level from one time to another.
func (h *history) area(from, to int64) (total int64) {
	for i, s := range h.steps {
		end := to
		if i+1 < len(h.steps) {
			end = min(to, h.steps[i+1].at)
		}
		total += s.level * max(0, end-max(from, s.at))
	}
	return total
}

// edge returns when the bucket began that is this many buckets before now's.
func (h *history) edge(now, buckets int64) int64 {
	return floor(now, h.granularity) - buckets*h.granularity
}

func floor(t, by int64) int64 { return t - ((t%by)+by)%by }

func (h *history) buckets(d int64) int64 { return max(1, (d+h.granularity-1)/h.granularity) }

func (h *history) empty(now int64) bool { return h.emptyBefore(len(h.steps), now) }

// emptyBefore returns what Empty returned before the i-th step.
func (h *history) emptyBefore(i int, now int64) bool {
	past := history{granularity: h.granularity, span: h.span, steps: h.steps[:i]}
	if len(past.steps) == 0 {
		return true
	}
	edge := past.edge(now, past.buckets(past.span))
	last := past.steps[i-1].at
	return past.level() == 0 && last <= edge
}

// first returns the time of the first step after the window was empty.
func (h *history) first() (at int64) {
	for i, s := range h.steps {
		if h.emptyBefore(i, s.at) {
			at = s.at
		}
	}
	return at
}

func (h *history) average(now, over int64) float64 {
	if h.empty(now) {
		return 0
	}
	from := max(h.edge(now, min(h.buckets(over), h.buckets(h.span))), h.first())
	return float64(h.area(from, now)) / float64(max(h.granularity, now-from))
}

func TestTheAverageIsTheIntegralOverTheWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		granularity := rapid.Int64Range(1, 50).Draw(t, "granularity")
		span := rapid.Int64Range(1, 500).Draw(t, "span")
		now := rapid.Int64Range(-1000, 1000).Draw(t, "start")
		h := &history{granularity: granularity, span: span}
		c := window.New(time.Duration(span), time.Duration(granularity))
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				delta := rapid.Int64Range(-3, 3).Draw(t, "delta")
				delta = max(delta, -h.level())
				h.steps = append(h.steps, step{at: now, level: h.level() + delta})
				c.Add(now, int(delta))
			},
			"wait":       func(t *rapid.T) { now += rapid.Int64Range(0, 3*granularity).Draw(t, "wait") },
			"be silent":  func(t *rapid.T) { now += rapid.Int64Range(0, 3*span).Draw(t, "silence") },
			"sleep long": func(t *rapid.T) { now += rapid.Int64Range(0, 1e6).Draw(t, "sleep") },
			"ask": func(t *rapid.T) {
				over := rapid.Int64Range(1, 600).Draw(t, "over")
				require.InDelta(t, h.average(now, over), c.Average(now, time.Duration(over)), 1e-9)
			},
			"": func(t *rapid.T) {
				require.Equal(t, h.level(), int64(c.Level()))
				require.Equal(t, h.empty(now), c.Empty(now))
				require.InDelta(t, h.average(now, span), c.Average(now, time.Duration(span)), 1e-9)
			},
		})
	})
}

func TestAConstantLevelAveragesToItselfExactly(t *testing.T) {
	t.Parallel()
	c := window.New(time.Minute, time.Second)
	c.Add(12_345_678_901, 7)
	for now := int64(13_345_678_901); now < 200e9; now += 777_777_777 {
		require.InDelta(t, 7, c.Average(now, time.Minute), 0)
		require.InDelta(t, 7, c.Average(now, 6*time.Second), 0)
	}
}

func TestWhatHasJustBegunCountsOverOneBucket(t *testing.T) {
	t.Parallel()
	c := window.New(time.Minute, time.Second)
	c.Add(1e9, 100)
	assert.Zero(t, c.Average(1e9, time.Minute))
	assert.InDelta(t, 1, c.Average(1e9+1e7, time.Minute), 1e-12)
	assert.InDelta(t, 50, c.Average(1.5e9, time.Minute), 1e-12)
	assert.InDelta(t, 100, c.Average(2e9, time.Minute), 1e-12)
}

// A goroutine that has read the clock may have to wait for the lock, and then comes
// with an old time. An old time must neither remove area nor add any.
func TestATimeThatHasPassedCountsAsTheLatest(t *testing.T) {
	t.Parallel()
	c := window.New(10*time.Second, time.Second)
	c.Add(0, 1)
	c.Add(5e9, 1)
	c.Add(3e9, 1) // counts as if it were at 5 s
	assert.Equal(t, 3, c.Level())
	assert.InDelta(t, 1, c.Average(2e9, 10*time.Second), 1e-12)
	assert.InDelta(t, (5.0+3*5)/10, c.Average(10e9, 10*time.Second), 1e-12)
}

func TestThePeakIsOfTheTimeSinceItWasReset(t *testing.T) {
	t.Parallel()
	c := window.New(time.Minute, time.Second)
	for _, delta := range []int{3, 4, -5, 1} {
		c.Add(0, delta)
	}
	assert.Equal(t, 7, c.Peak())
	assert.Equal(t, 7, c.Peak(), "asking does not reset it")
	c.ResetPeak()
	assert.Equal(t, 3, c.Peak())
	c.Add(0, -3)
	assert.Equal(t, 3, c.Peak())
}

func TestItIsEmptyOnceTheWindowHasPassed(t *testing.T) {
	t.Parallel()
	c := window.New(time.Minute, time.Second)
	assert.True(t, c.Empty(0))
	c.Add(0, 1)
	assert.False(t, c.Empty(1e12), "the level is not zero")
	c.Add(500e6, -1)
	assert.False(t, c.Empty(60e9))
	assert.Positive(t, c.Average(60e9, time.Minute))
	assert.True(t, c.Empty(61e9))
	assert.Zero(t, c.Average(61e9, time.Minute))
}

func TestACallThatTookNoTimeIsNotNothing(t *testing.T) {
	t.Parallel()
	c := window.New(time.Minute, time.Second)
	c.Add(1e9, 1)
	c.Add(1e9, -1)
	assert.False(t, c.Empty(2e9))
	assert.Zero(t, c.Average(2e9, time.Minute))
}
