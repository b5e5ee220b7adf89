package faas_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// answerOnce keeps the answers of a call of InvokeFunc, and when they came.
type answerOnce struct {
	mu       sync.Mutex
	outs     []int
	errs     []error
	answered time.Time
	returned atomic.Bool // InvokeFunc has returned
}

func (a *answerOnce) answer(out int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outs, a.errs, a.answered = append(a.outs, out), append(a.errs, err), time.Now()
}

// once returns the answer, and fails if there is not exactly one.
func (a *answerOnce) once(t *testing.T) (out int, err error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	require.Len(t, a.outs, 1)
	return a.outs[0], a.errs[0]
}

// callFunc calls f on a goroutine of its own.
func callFunc(ctx context.Context, f *faas.Function[time.Duration, int]) *answerOnce {
	a := &answerOnce{}
	go func() {
		f.InvokeFunc(ctx, time.Second, a.answer)
		a.returned.Store(true)
	}()
	return a
}

// deaf is a handler that sleeps for an hour and ignores its context.
func deaf(context.Context, time.Duration) (int, error) {
	time.Sleep(time.Hour)
	return 7, nil
}

func TestInvokeFuncAnswersAtTheDeadlineWhetherOrNotTheHandlerReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Minute), faas.WithQueue(0))
		f := faas.Register(r, "f", deaf, faas.WithConcurrency(1))
		began := time.Now()
		a := callFunc(t.Context(), f)
		time.Sleep(time.Minute)
		synctest.Wait()
		out, err := a.once(t)
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Zero(t, out)
		assert.Equal(t, time.Minute, a.answered.Sub(began))
		assert.False(t, a.returned.Load(), "its handler runs on this goroutine")
		assert.Equal(t, [2]any{faas.TimedOut, time.Minute}, [2]any{m.last(t).Outcome, m.last(t).Duration})
		assert.Equal(t, 1, f.Info().Runaways)

		second := callFunc(t.Context(), f)
		synctest.Wait()
		_, err = second.once(t)
		require.ErrorIs(t, err, faas.ErrOverloaded, "the runaway keeps its slot")

		time.Sleep(time.Hour)
		_, err = a.once(t)
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.True(t, a.returned.Load())
		assert.Equal(t, 0, f.Info().Runaways)
		require.Len(t, m.overran(), 1)
		assert.Equal(t, 59*time.Minute, m.overran()[0].Duration)
	})
}

// However a call ends, its caller gets one answer: the same that Invoke would have returned.
func TestInvokeFuncAnswersOnceHoweverTheCallEnds(t *testing.T) {
	type function = func(ctx context.Context, d time.Duration) (int, error)
	mine := errors.New("mine")
	sleeper := func(ctx context.Context, d time.Duration) (int, error) { time.Sleep(d); return 7, nil }
	for name, c := range map[string]struct {
		handler function
		opts    []faas.FunctionOption
		before  func(r *faas.Router)
		out     int
		err     error
		unlike  bool // with Invoke the caller's goroutine ends, so there is no answer to compare with
	}{
		"it returns":              {handler: sleeper, out: 7},
		"it returns, inline":      {handler: sleeper, opts: []faas.FunctionOption{faas.WithInline()}, out: 7},
		"it returns, copied":      {handler: sleeper, opts: []faas.FunctionOption{faas.WithCopy()}, out: 7},
		"it fails":                {handler: func(context.Context, time.Duration) (int, error) { return 1, mine }, err: mine},
		"it panics":               {handler: func(context.Context, time.Duration) (int, error) { panic(mine) }, err: mine},
		"it exits":                {handler: func(context.Context, time.Duration) (int, error) { exit(); return 1, nil }, err: faas.ErrExited},
		"it heeds the deadline":   {handler: func(ctx context.Context, _ time.Duration) (int, error) { <-ctx.Done(); return 1, ctx.Err() }, err: faas.ErrTimeout},
		"it is deaf":              {handler: deaf, err: faas.ErrTimeout},
		"it is deaf, inline":      {handler: deaf, opts: []faas.FunctionOption{faas.WithInline()}, err: faas.ErrTimeout, unlike: true},
		"a gate denies it":        {handler: sleeper, opts: []faas.FunctionOption{faas.WithGate(denying{})}, err: faas.ErrDenied},
		"a gate exits":            {handler: sleeper, opts: []faas.FunctionOption{faas.WithGate(exiting{})}, err: faas.ErrDenied, unlike: true},
		"tracing exits":           {handler: sleeper, opts: []faas.FunctionOption{faas.WithTracing(func(context.Context, faas.Invocation) faas.Trace { exit(); return nil })}, err: faas.ErrDenied, unlike: true},
		"a meter exits":           {handler: sleeper, opts: []faas.FunctionOption{faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { exit() }))}, out: 7, unlike: true},
		"a meter exits, and late": {handler: deaf, opts: []faas.FunctionOption{faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { exit() }))}, err: faas.ErrTimeout},
		"it is switched off":      {handler: sleeper, opts: []faas.FunctionOption{faas.WithConcurrency(0)}, err: faas.ErrOverloaded},
		"it was removed":          {handler: sleeper, before: func(r *faas.Router) { _ = r.Remove("f") }, err: faas.ErrNotFound},
		"the router is closed":    {handler: sleeper, before: func(r *faas.Router) { _ = r.Close() }, err: faas.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Minute))
				f := faas.Register(r, "f", faas.Handler[time.Duration, int](c.handler), c.opts...)
				if c.before != nil {
					c.before(r)
				}
				a := callFunc(t.Context(), f)
				time.Sleep(2 * time.Hour)
				out, err := a.once(t)
				assert.Equal(t, c.out, out)
				if c.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.err)
				}
				if c.unlike {
					return
				}
				records := m.all()
				_, same := f.Invoke(t.Context(), time.Second)
				assert.Equal(t, faas.EndOf(same, "f").Outcome, faas.EndOf(err, "f").Outcome)
				assert.Equal(t, faas.EndOf(same, "f").Kind, faas.EndOf(err, "f").Kind)
				again := m.all()[len(records):]
				require.Len(t, again, len(records))
				for i := range again {
					assert.Equal(t, again[i].Outcome, records[i].Outcome)
					assert.Equal(t, again[i].Duration, records[i].Duration)
				}
			})
		})
	}
}

type denying struct{}

func (denying) Admit(context.Context, faas.Invocation) error { return errors.New("no") }
func (denying) Done(faas.Invocation, *faas.Execution)        {}

type exiting struct{}

func (exiting) Admit(context.Context, faas.Invocation) error { exit(); return nil }
func (exiting) Done(faas.Invocation, *faas.Execution)        {}

func TestAnInvokeFuncWhoseCallerLeavesEndsWithItsHandlerOrAtTheDeadline(t *testing.T) {
	heedful := func(ctx context.Context, _ time.Duration) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	asks := func(ctx context.Context, _ time.Duration) (int, error) {
		for ctx.Err() == nil {
			time.Sleep(time.Second)
		}
		return 0, nil
	}
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		handler faas.Handler[time.Duration, int]
		ends    time.Duration
	}{
		"it waits for Done": {heedful, 9500 * time.Millisecond},
		"it asks Err":       {asks, 10 * time.Second},
		"it is deaf":        {deaf, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Minute))
				f := faas.Register(r, "f", c.handler)
				ctx, leave := context.WithCancelCause(t.Context())
				began := time.Now()
				a := callFunc(ctx, f)
				time.Sleep(9500 * time.Millisecond) // a moment between two checks of the context by a handler
				leave(gone)
				time.Sleep(2 * time.Hour)
				_, err := a.once(t)
				assert.Equal(t, c.ends, a.answered.Sub(began))
				if c.ends == time.Minute {
					assert.Equal(t, faas.TimedOut, m.last(t).Outcome, "the router has not asked its context")
					return
				}
				require.ErrorIs(t, err, gone)
				assert.Equal(t, faas.Canceled, m.last(t).Outcome)
			})
		})
	}
}

func TestTheDeadlineOfTheCallerEndsAnInvokeFunc(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Minute))
		f := faas.Register(r, "f", deaf)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a := callFunc(ctx, f)
		time.Sleep(2 * time.Second)
		_, err := a.once(t)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, faas.Canceled, m.last(t).Outcome)
		time.Sleep(time.Hour)
	})
}

func TestCloseAnswersAnInvokeFuncThatRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Minute))
		a := callFunc(t.Context(), faas.Register(r, "f", deaf))
		synctest.Wait()
		require.NoError(t, r.Close())
		synctest.Wait()
		_, err := a.once(t)
		require.ErrorIs(t, err, faas.ErrClosed)
		assert.False(t, a.returned.Load())
		time.Sleep(time.Hour)
	})
}

// On the timer's goroutine, answer may do anything: it holds up neither the caller nor the router.
func TestAnAnswerAtTheDeadlineMayDoWhatItLikes(t *testing.T) {
	for name, do := range map[string]func(r *faas.Router){
		"panic": func(*faas.Router) { panic("no") },
		"exit":  func(*faas.Router) { exit() },
		"close": func(r *faas.Router) { _ = r.Close() },
		"shutdown": func(r *faas.Router) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
			defer cancel()
			_ = r.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := router(t, faas.WithTimeout(time.Minute))
				f := faas.Register(r, "f", deaf)
				var answers atomic.Int32
				f.InvokeFunc(t.Context(), 0, func(int, error) {
					answers.Add(1)
					do(r)
				})
				synctest.Wait()
				assert.Equal(t, int32(1), answers.Load())
				assert.Equal(t, name == "panic", r.Stats().HookPanics == 1)
				assert.Zero(t, r.Stats().Runaways)
				assert.Zero(t, r.Stats().InFlight)
			})
		})
	}
}

// The timer of an InvokeFunc may fire while its worker runs another call of the function.
func TestTheTimerOfAnInvokeFuncEndsNoCallOfAnInlineHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Minute))
		f := faas.Register(r, "f", func(_ context.Context, d time.Duration) (int, error) { time.Sleep(d); return 7, nil }, faas.WithInline())
		f.InvokeFunc(t.Context(), 0, func(int, error) {})
		_, err := f.Invoke(t.Context(), 2*time.Minute)
		require.ErrorIs(t, err, faas.ErrTimeout)
		var late error
		f.InvokeFunc(t.Context(), 2*time.Minute, func(_ int, err error) { late = err })
		require.ErrorIs(t, late, faas.ErrTimeout)
		out, err := f.Invoke(t.Context(), time.Second)
		require.NoError(t, err)
		assert.Equal(t, 7, out)
	})
}

func TestInvokeFuncByNameAnswersAsInvokeDoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "double", double)
		require.NoError(t, r.SetAlias("double", "live", faas.Weights{0: 1}))
		faas.RegisterStream(r, "pieces", func(_ context.Context, n int, w io.Writer) error { _, err := w.Write([]byte("abc")[:n]); return err })
		for _, c := range []struct{ name, payload string }{
			{"double", "21"}, {"double:live", "21"}, {"double", "no"}, {"none", "1"}, {"double:7", "1"}, {"pieces", "2"}, {"pieces", "no"},
		} {
			want, wantErr := r.Invoke(t.Context(), c.name, []byte(c.payload))
			answers := 0
			r.InvokeFunc(t.Context(), c.name, []byte(c.payload), func(out []byte, err error) {
				answers++
				assert.Equal(t, want, out, c.name)
				assert.Equal(t, faas.EndOf(wantErr, c.name).Kind, faas.EndOf(err, c.name).Kind, c.name)
			})
			assert.Equal(t, 1, answers, c.name)
		}
		live, err := faas.Lookup[int, int](r, "double:live")
		require.NoError(t, err)
		live.InvokeFunc(t.Context(), 4, func(out int, err error) {
			assert.Equal(t, 8, out)
			assert.NoError(t, err)
		})
		require.NoError(t, r.RemoveAlias("double", "live"))
		live.InvokeFunc(t.Context(), 4, func(_ int, err error) { assert.ErrorIs(t, err, faas.ErrNotFound) })
	})
}

// Handlers that return exactly at the deadline race with their timers. Each caller has one answer, and
// the slots, the records and the answers agree.
func TestInvokeFuncHammeredAtItsDeadline(t *testing.T) {
	t.Parallel()
	var records, answers atomic.Int64
	r := router(t, faas.WithTimeout(time.Millisecond), faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { records.Add(1) })))
	f := faas.Register(r, "f", func(_ context.Context, d time.Duration) (int, error) { time.Sleep(d); return 7, nil }, faas.WithConcurrency(8))
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for range 100 {
				f.InvokeFunc(t.Context(), time.Millisecond+time.Duration(i-8)*50*time.Microsecond, func(out int, err error) {
					answers.Add(1)
					assert.Equal(t, err == nil, out == 7)
				})
			}
		})
	}
	callers.Wait()
	assert.Equal(t, int64(1600), answers.Load())
	info := f.Info()
	assert.Equal(t, records.Load(), int64(info.Admitted))
	assert.Zero(t, info.InFlight)
	assert.Zero(t, info.Runaways)
}
