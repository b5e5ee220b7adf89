package faas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// guest is a caller's context made of functions. For each function that is nil, it acts as the
// background context.
type guest struct {
	deadline func() (time.Time, bool)
	done     func() <-chan struct{}
	err      func() error
	value    func(any) any
}

func (g guest) Deadline() (time.Time, bool) {
	if g.deadline == nil {
		return time.Time{}, false
	}
	return g.deadline()
}

func (g guest) Done() <-chan struct{} {
	if g.done == nil {
		return nil
	}
	return g.done()
}

func (g guest) Err() error {
	if g.err == nil {
		return nil
	}
	return g.err()
}

func (g guest) Value(key any) any {
	if g.value == nil {
		return nil
	}
	return g.value(key)
}

// due returns a context that has a deadline but does not end at it.
func due(t time.Time) guest {
	return guest{deadline: func() (time.Time, bool) { return t, true }}
}

// mute returns a context whose Done closes after d while its Err stays nil. An example of such a
// context is a pooled one that was given to another request.
func mute(d time.Duration) guest {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return guest{done: func() <-chan struct{} { return done }}
}

var errGone = errors.New("the client has gone")

// gone returns a context that is canceled after d, for errGone.
func gone(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(d, func() { cancel(errGone) })
	return ctx
}

// assertBalanced asserts that nothing is counted as in flight, that there is a
// record for each call that was admitted, and that each function and the router
// have all their slots: as many calls can run at once as at first.
func assertBalanced(t *testing.T, r *faas.Router, m *recorder, msg ...any) {
	t.Helper()
	var admitted uint64
	for info := range r.Functions() {
		assert.Zero(t, info.InFlight, msg...)
		assert.Zero(t, info.Queued, msg...)
		assert.Zero(t, info.Runaways, msg...)
		admitted += info.Admitted
	}
	assert.Len(t, m.all(), int(admitted), msg...)
}

func TestADeadlineOfAnyYearHarmsItsCallerAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, deadline := range map[string]time.Time{
			"zero":       {},
			"year 1":     time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
			"year -9999": time.Date(-9999, 1, 1, 0, 0, 0, 0, time.UTC),
			"1970":       time.Unix(0, 0),
			"least":      time.Unix(math.MinInt64, 0),
			"just past":  time.Now().Add(-1),
			"just now":   time.Now(),
			"longest":    time.Now().Add(math.MaxInt64),
			"farther":    time.Now().Add(math.MaxInt64).Add(math.MaxInt64),
			"year 9999":  time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
			"year 2^40":  time.Unix(1<<60, 0),
			"most":       time.Unix(math.MaxInt64-62135596801, 999999999), // the latest time that package time does not take for one in the past
		} {
			for _, timeout := range []time.Duration{time.Second, math.MaxInt64} {
				m := &recorder{}
				r := router(t, faas.WithMeter(m))
				f := faas.Register(r, "f", double, faas.WithTimeout(timeout))
				deaf := faas.Register(r, "deaf", func(context.Context, int) (int, error) { time.Sleep(2 * time.Minute); return 0, nil }, faas.WithTimeout(time.Minute))

				past := !deadline.After(time.Now())
				_, err := f.Invoke(due(deadline), 1)
				if past {
					require.ErrorIs(t, err, context.DeadlineExceeded, name)
					require.NotErrorIs(t, err, faas.ErrTimeout, name)
					require.Equal(t, faas.Canceled, m.last(t).Outcome, name)
				} else {
					require.NoError(t, err, name)
				}

				start := time.Now()
				_, err = deaf.Invoke(t.Context(), 1) // in the slot of the previous call
				require.ErrorIs(t, err, faas.ErrTimeout, name)
				require.Equal(t, time.Minute, time.Since(start), name)
				_, err = f.Invoke(t.Context(), 1)
				require.NoError(t, err, name)
				time.Sleep(2 * time.Minute)
				assertBalanced(t, r, m, name)
			}
		}
	})
}

func TestAnInlineCallHasADeadlineOfAnyYear(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Minute))
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (time.Duration, error) {
			start := time.Now()
			<-ctx.Done()
			return time.Since(start), nil
		}, faas.WithInline())
		for _, deadline := range []time.Time{{}, time.Unix(math.MinInt64, 0), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
			_, err := f.Invoke(due(deadline), 0)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, deadline.Year() == 9999, errors.Is(err, faas.ErrTimeout))
		}
	})
}

// If a context's Done does not close at its deadline, the caller still gets its answer.
func TestACallEndsAtItsCallersDeadlineThoughTheContextDoesNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		deaf := faas.Register(r, "deaf", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil },
			faas.WithConcurrency(1), faas.WithTimeout(time.Hour), faas.WithQueueTimeout(time.Hour))
		for name, done := range map[string]chan struct{}{"no Done": nil, "a Done that stays open": make(chan struct{})} {
			late := time.Duration(0)
			if done != nil {
				late = 10 * time.Millisecond // for this long the context may still end by itself
			}
			for _, queued := range []bool{false, true} {
				if queued {
					go func() { _, _ = deaf.Invoke(context.Background(), 0) }()
					synctest.Wait()
				}
				start := time.Now()
				ctx := due(start.Add(time.Second))
				ctx.done = func() <-chan struct{} { return done }
				_, err := deaf.Invoke(ctx, 0)
				require.ErrorIs(t, err, context.DeadlineExceeded, name)
				require.NotErrorIs(t, err, faas.ErrTimeout, name)
				assert.GreaterOrEqual(t, time.Since(start), time.Second, name)
				assert.LessOrEqual(t, time.Since(start), time.Second+late, name)
				assert.Equal(t, queued, faas.EndOf(err, "deaf").Kind == faas.KindCanceled, name)
				time.Sleep(2 * time.Minute)
			}
		}
		assertBalanced(t, r, m)
	})
}

// stations are the places where a call can be when its caller's context ends, one
// second after the call is made. Each func makes such a call and returns its error.
var stations = map[string]func(t *testing.T, r *faas.Router, ctx context.Context) error{
	"running": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, nil })
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"running deaf": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil })
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"inline": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, nil }, faas.WithInline())
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"inline that asks Err": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			for ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			return 0, nil
		}, faas.WithInline())
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"inline and deaf": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil }, faas.WithInline())
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"queued": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil }, faas.WithConcurrency(1), faas.WithTimeout(time.Hour), faas.WithQueueTimeout(time.Hour))
		go func() { _, _ = f.Invoke(context.Background(), 0) }()
		synctest.Wait()
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"waiting for an instance": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			time.Sleep(2 * time.Second)
			return double, nil, nil
		})
		_, err := f.Invoke(ctx, 0)
		return err
	},
	"nested": func(t *testing.T, r *faas.Router, ctx context.Context) error {
		below := context.Canceled
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, nil })
		outer := faas.Register(r, "outer", func(ctx context.Context, _ int) (int, error) {
			_, below = f.Invoke(ctx, 0)
			return 0, nil
		})
		_, err := outer.Invoke(ctx, 0)
		synctest.Wait()
		assert.ErrorIs(t, below, context.Canceled, "the call below is told as well")
		return err
	},
	"streaming": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		s := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, w io.Writer) error {
			for {
				if _, err := fmt.Fprint(w, "x"); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
		})
		return s.Invoke(ctx, 0, io.Discard)
	},
	"streaming inline": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		s := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, w io.Writer) error {
			_, _ = fmt.Fprint(w, "x")
			<-ctx.Done()
			return nil
		}, faas.WithInline())
		return s.Invoke(ctx, 0, io.Discard)
	},
	"reading the rest of a stream": func(_ *testing.T, r *faas.Router, ctx context.Context) error {
		s := faas.RegisterStream(r, "f", func(_ context.Context, _ int, w io.Writer) error {
			for range 100 {
				_, _ = fmt.Fprint(w, "x")
			}
			return nil
		})
		return s.Invoke(ctx, 0, slowly(300*time.Millisecond))
	},
}

// slowly is a writer that takes this time for each piece.
type slowly time.Duration

func (s slowly) Write(p []byte) (int, error) { time.Sleep(time.Duration(s)); return len(p), nil }

func TestACallerWhoseDoneClosesWithoutAnErrIsCanceledWhereverItWaits(t *testing.T) {
	t.Parallel()
	for name, wait := range stations {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m), faas.WithCapacity(2))
				err := wait(t, r, mute(time.Second))
				require.ErrorIs(t, err, context.Canceled)
				var answer *faas.Error
				require.ErrorAs(t, err, &answer)
				require.NotErrorIs(t, err, new(faas.PanicError))
				time.Sleep(2 * time.Minute)
				assertBalanced(t, r, m)
				assert.Equal(t, 2, r.Stats().Capacity)
				_, err = faas.Register(r, "later", double).Invoke(t.Context(), 1)
				require.NoError(t, err)
			})
		})
	}
}

func TestACallThatTheCallerHasLeftAlreadyIsRefused(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { t.Error("it ran"); return 0, nil }, opts...)
		shut := make(chan struct{})
		close(shut)
		caused, cancel := context.WithCancelCause(t.Context())
		cancel(errGone)
		odd := errors.New("neither of the two")
		for _, test := range []struct {
			ctx  context.Context
			want []error
		}{
			{guest{done: func() <-chan struct{} { return shut }}, []error{context.Canceled}},
			{guest{err: func() error { return context.Canceled }}, []error{context.Canceled}}, // Done is nil although Err is not
			{guest{err: func() error { return context.DeadlineExceeded }}, []error{context.DeadlineExceeded}},
			{guest{err: func() error { return odd }}, []error{context.Canceled, odd}},
			{caused, []error{context.Canceled, errGone}},
			{context.WithValue(caused, key{"k"}, 1), []error{context.Canceled, errGone}},
			{faas.WithTenant(caused, "acme"), []error{context.Canceled, errGone}},
		} {
			_, err := f.Invoke(test.ctx, 0)
			for _, want := range test.want {
				require.ErrorIs(t, err, want)
				require.ErrorIs(t, r.DryRun(test.ctx, "f"), want)
			}
			assert.Equal(t, faas.KindCanceled, faas.EndOf(err, "f").Kind)
			assert.Equal(t, faas.KindCanceled, faas.EndOf(r.DryRun(test.ctx, "f"), "f").Kind)
		}
		assert.EqualValues(t, 7, f.Info().Rejected[faas.ReasonQueueCanceled])
		assert.Zero(t, f.Info().InFlight)
	})
}

func TestContextsThatAreHardToWatchServe(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
			defer context.AfterFunc(ctx, func() {})()
			return 2 * n, ctx.Err()
		}, opts...)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for name, ctx := range map[string]context.Context{
			"another channel each time": guest{done: func() <-chan struct{} { return make(chan struct{}) }},
			"without cancel":            context.WithoutCancel(ended),
			"an AfterFunc of its own":   hooked{t.Context()},
			"derived from odd ones":     context.WithValue(guest{done: func() <-chan struct{} { return make(chan struct{}) }}, key{"k"}, 1),
		} {
			out, err := f.Invoke(ctx, 1)
			require.NoError(t, err, name)
			assert.Equal(t, 2, out)
		}
		assertBalanced(t, r, m)
	})
}

// hooked has an AfterFunc that package context would call.
type hooked struct{ context.Context }

func (hooked) AfterFunc(func()) func() bool { panic("not to be called") }

// unruly returns a context with one method that calls bad from its n-th call on.
func unruly(method string, n int, bad func()) (ctx guest, leave func()) {
	done := make(chan struct{})
	var uses atomic.Int32
	use := func(name string) {
		if name == method && int(uses.Add(1)) >= n {
			bad()
		}
	}
	var over atomic.Bool
	return guest{
		deadline: func() (time.Time, bool) { use("Deadline"); return time.Time{}, false },
		done:     func() <-chan struct{} { use("Done"); return done },
		err: func() error {
			use("Err")
			if over.Load() {
				return context.Canceled
			}
			return nil
		},
		value: func(any) any { use("Value"); return nil },
	}, func() { over.Store(true); close(done) }
}

func TestAContextThatPanicsOrExitsHarmsItsCallerAlone(t *testing.T) {
	t.Parallel()
	for name, wait := range stations {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				for _, method := range []string{"Deadline", "Done", "Err", "Value"} {
					for n := range 6 {
						for kind, bad := range map[string]func(){"panics": func() { panic(kindOfPanic{}) }, "exits": runtime.Goexit} {
							msg := fmt.Sprintf("%s %s from its use %d on", method, kind, n+1)
							m := &recorder{}
							r := router(t, faas.WithMeter(m), faas.WithCapacity(2))
							ctx, leave := unruly(method, n+1, bad)
							time.AfterFunc(time.Second, leave)
							var err error
							answered := make(chan bool)
							go func() {
								returned := false
								defer func() { answered <- returned }()
								err = wait(t, r, ctx)
								returned = true
							}()
							if <-answered {
								require.ErrorIs(t, err, context.Canceled, msg)
							}
							time.Sleep(2 * time.Minute)
							assertBalanced(t, r, m, msg)
							_, err = faas.Register(r, "later", double).Invoke(t.Context(), 1)
							require.NoError(t, err, msg)
						}
					}
				}
			})
		})
	}
}

type kindOfPanic struct{}

func TestAnErrorOfAContextMayHaveAnyManners(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		for name, bad := range map[string]error{"Is panics": panicsInIsError{}, "can't be compared": manyErrors{}, "a nil pointer": (*manyErrors)(nil)} {
			var over atomic.Bool
			ctx := mute(time.Second)
			ctx.err = func() error {
				if over.Load() {
					return bad
				}
				return nil
			}
			time.AfterFunc(time.Second-1, func() { over.Store(true) })
			f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, nil })
			_, err := f.Invoke(ctx, 0)
			require.Error(t, err, name)
			assert.Equal(t, faas.Canceled, faas.EndOf(err, "f").Outcome)
			assert.ErrorIs(t, err, context.Canceled, name)
			require.NoError(t, r.Remove("f"))
		}
		assert.Len(t, m.all(), 3)
	})
}

type panicsInIsError struct{}

func (panicsInIsError) Error() string { return "panics" }
func (panicsInIsError) Is(error) bool { panic("Is") }

type manyErrors []string

func (m manyErrors) Error() string { return fmt.Sprint([]string(m)) }

// The hooks derive contexts from the context that they get. If that context were Done without an
// error, package context would end the process.
func TestHooksMayDeriveContextsFromAnyCallers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		derive := func(ctx context.Context) context.Context {
			child, cancel := context.WithTimeout(ctx, time.Hour)
			t.Cleanup(cancel)
			go func() {
				<-child.Done()
				assert.ErrorIs(t, child.Err(), context.Canceled)
			}()
			return child
		}
		r := router(t,
			faas.WithGate(gate{steps: &steps{}, admit: func(ctx context.Context, _ faas.Invocation) error { derive(ctx); return nil }}),
			faas.WithTenantKey(func(ctx context.Context, _ faas.Invocation) string { derive(ctx); return "" }),
			faas.WithContext(func(caller, fresh context.Context) context.Context { derive(caller); return fresh }),
			faas.WithRefusals(func(ctx context.Context, _ faas.Refusal) { derive(ctx) }),
		)
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, nil })
		_, err := f.Invoke(mute(time.Second), 0)
		require.ErrorIs(t, err, context.Canceled)
		_, err = r.Invoke(mute(time.Second), "f", []byte("no JSON"))
		require.ErrorIs(t, err, faas.ErrInput)
		_, err = r.Invoke(mute(time.Second), "nobody", nil)
		require.ErrorIs(t, err, faas.ErrNotFound)
		time.Sleep(time.Minute)
	})
}

func TestAShutdownWhoseContextIsMuteTellsWhatItHasCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, test := range []struct {
			ctx  context.Context
			want error
		}{
			{mute(time.Second), context.Canceled},
			{gone(t, time.Second), errGone},
			{guest{done: func() <-chan struct{} { panic("Done") }}, context.Canceled},
			{guest{value: func(any) any { panic("Value") }, done: mute(time.Second).done}, context.Canceled},
		} {
			r := router(t)
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil }, faas.WithTimeout(time.Hour))
			answered := make(chan error, 1)
			go func() { _, err := f.Invoke(t.Context(), 0); answered <- err }()
			synctest.Wait()
			err := r.Shutdown(test.ctx)
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, `"f" (1)`)
			require.ErrorIs(t, <-answered, faas.ErrClosed)
		}
	})
}

func TestAFlushWhoseContextIsMuteIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b := faas.Buffered(faas.MeterFunc(func(context.Context, faas.Execution) { <-release }), 4)
		_, err := faas.Register(router(t, faas.WithMeter(b)), "f", double).Invoke(t.Context(), 1)
		require.NoError(t, err)
		require.ErrorIs(t, b.Flush(mute(time.Second)), context.Canceled)
		close(release)
	})
}
