package faastest_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// endingTB is a fakeTB whose cleanups a test runs.
type endingTB struct {
	*fakeTB
	cleanups []func()
}

func newEndingTB(t *testing.T) *endingTB {
	t.Helper()
	return &endingTB{fakeTB: &fakeTB{TB: t}}
}

func (e *endingTB) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

func (e *endingTB) end() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
}

// hurriedTB has a deadline, as a test has outside of a bubble.
type hurriedTB struct {
	*endingTB
	deadline time.Time
}

func (h hurriedTB) Deadline() (time.Time, bool) { return h.deadline, true }

func sleep(d time.Duration) faas.Handler[int, int] {
	return func(_ context.Context, in int) (int, error) { time.Sleep(d); return in, nil }
}

func TestNewClosesItsRouterWithTheTest(t *testing.T) {
	t.Parallel()
	tb := newEndingTB(t)
	f := faas.Register(faastest.New(tb), "f", sleep(0))
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	tb.end()
	_, err = f.Invoke(t.Context(), 1)
	assert.ErrorIs(t, err, faas.ErrClosed)
	assert.Empty(t, tb.failed())
}

func TestNewWaitsForHandlersThatOutlivedTheirCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := newEndingTB(t)
		var rec faastest.Recorder
		f := faas.Register(faastest.New(tb, faas.WithMeter(&rec)), "deaf", sleep(time.Hour), faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		start := time.Now()
		tb.end()
		assert.Equal(t, time.Hour-time.Second, time.Since(start))
		require.Len(t, rec.Overruns(), 1, "its overrun is known at the end")
		assert.Empty(t, tb.failed())
	})
}

func TestABubbleEndsCleanWithoutAnyHelp(t *testing.T) {
	t.Parallel()
	// synctest.Test panics if a goroutine is left.
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t)
		go func() { _, _ = faas.Register(r, "deaf", sleep(time.Hour)).Invoke(t.Context(), 1) }()
		_, err := faas.Register(r, "quick", sleep(0)).Invoke(t.Context(), 1)
		require.NoError(t, err)
		synctest.Wait()
	})
}

func TestNewNamesTheHandlerThatNeverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := newEndingTB(t)
		stop := make(chan struct{})
		f := faas.Register(faastest.New(tb), "stubborn", func(context.Context, int) (int, error) { <-stop; return 0, nil })
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		tb.end()
		assert.Contains(t, tb.failed(), `"stubborn" (1)`)
		close(stop)
	})
}

func TestNewReportsBeforeTheTestIsOutOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := hurriedTB{newEndingTB(t), time.Now().Add(time.Minute)}
		f := faas.Register(faastest.New(tb), "slow", sleep(time.Hour), faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		tb.end()
		assert.Contains(t, tb.failed(), `"slow" (1)`)
		assert.Equal(t, faastest.ReportTime, time.Until(tb.deadline))
		time.Sleep(2 * time.Hour) // let it end
	})
}

func TestARouterLogsToItsTest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := newEndingTB(t)
		f := faas.Register(faastest.New(tb), "deaf", sleep(time.Minute), faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		time.Sleep(10 * time.Second)
		require.Len(t, tb.logged(), 1)
		assert.Contains(t, tb.logged()[0], "function=deaf")
		tb.end()
	})
}

func TestARouterDoesNotLogAfterItsTest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := hurriedTB{newEndingTB(t), time.Now()} // so that the end does not wait
		f := faas.Register(faastest.New(tb), "deaf", sleep(time.Minute), faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		tb.end()
		time.Sleep(time.Hour)
		assert.Empty(t, tb.logged())
	})
}

func TestTheUsersLoggerWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var buf lockedBuffer
		tb := newEndingTB(t)
		own := slog.New(slog.NewTextHandler(&buf, nil))
		f := faas.Register(faastest.New(tb, faas.WithLogger(own)), "deaf", sleep(time.Minute), faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		tb.end()
		assert.Empty(t, tb.logged())
		assert.Contains(t, buf.String(), "function=deaf")
	})
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
