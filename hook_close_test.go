package faas_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// closing implements hooks of every kind; each of them does the same.
type closing struct {
	do func()
}

func (h closing) Record(context.Context, faas.Execution)                { h.do() }
func (h closing) RecordOverrun(context.Context, faas.Overrun)           { h.do() }
func (h closing) Reserve() bool                                         { h.do(); return true }
func (h closing) Unreserve()                                            { h.do() }
func (h closing) Admit(context.Context, faas.Invocation) error          { h.do(); return nil }
func (h closing) Done(faas.Invocation, *faas.Execution)                 { h.do() }
func (h closing) Marshal(any) ([]byte, error)                           { h.do(); return []byte("1"), nil }
func (h closing) Unmarshal([]byte, any) error                           { h.do(); return nil }
func (h closing) Keep(context.Context, faas.Captured)                   { h.do() }
func (h closing) tenant(context.Context, faas.Invocation) string        { h.do(); return "" }
func (h closing) carry(_, fresh context.Context) context.Context        { h.do(); return fresh }
func (h closing) refused(context.Context, faas.Refusal)                 { h.do() }
func (h closing) Value(any) any                                         { return nil }
func (h closing) End(*faas.Execution)                                   { h.do() }
func (h closing) trace(context.Context, faas.Invocation) faas.Trace     { h.do(); return nil }
func (h closing) traced(context.Context, faas.Invocation) faas.Trace    { return h }
func (h closing) Sample(context.Context, string, uint64) bool           { h.do(); return false }
func (h closing) Untraced(uuid.UUID, any) any                           { return nil }
func (h closing) decided(faas.Decision)                                 { h.do() }
func (h closing) stuck(context.Context, faas.Invocation, time.Duration) { h.do() }
func (h closing) Desired(l faas.Load, s faas.State) (faas.Target, faas.State) {
	h.do()
	return faas.FixedScaler{N: 2}.Desired(l, s)
}

func (h closing) around(next faas.Runner) faas.Runner {
	return func(ctx context.Context, inv faas.Invocation) error {
		h.do()
		return next(ctx, inv)
	}
}

// failing is a middleware that runs the handler and then makes the call fail.
func failing(next faas.Runner) faas.Runner {
	return func(ctx context.Context, inv faas.Invocation) error {
		_ = next(ctx, inv)
		return errNo
	}
}

// onlyRecord, onlyReserve and onlyOverrun are meters; one method of each closes the router.
type (
	onlyReserve struct {
		recorder
		closing closing
	}
	onlyOverrun struct {
		recorder
		closing closing
	}
	onlyAdmit struct{ closing closing }
	onlyDone  struct{ closing closing }
)

func (m *onlyReserve) Reserve() bool { return m.closing.Reserve() }
func (m *onlyReserve) Unreserve()    {}
func (m *onlyOverrun) RecordOverrun(ctx context.Context, o faas.Overrun) {
	m.closing.RecordOverrun(ctx, o)
}

func (g onlyAdmit) Admit(ctx context.Context, i faas.Invocation) error {
	return g.closing.Admit(ctx, i)
}
func (onlyAdmit) Done(faas.Invocation, *faas.Execution)       {}
func (onlyDone) Admit(context.Context, faas.Invocation) error { return nil }
func (g onlyDone) Done(i faas.Invocation, e *faas.Execution)  { g.closing.Done(i, e) }

// unreserving is a meter whose reservation is given back, because the call is refused.
type unreserving struct {
	recorder
	closing closing
}

func (*unreserving) Reserve() bool { return true }
func (m *unreserving) Unreserve()  { m.closing.Unreserve() }

// hooks returns, by the name of the hook, the options that install it and a call that
// reaches it.
func hooks(h closing) map[string]struct {
	router   []faas.RouterOption
	function []faas.FunctionOption
	call     func(t *testing.T, r *faas.Router)
} {
	type hook = struct {
		router   []faas.RouterOption
		function []faas.FunctionOption
		call     func(t *testing.T, r *faas.Router)
	}
	of := func(o ...faas.FunctionOption) hook { return hook{function: o} }
	all := map[string]hook{
		"meter":                    of(faas.WithMeter(faas.MeterFunc(h.Record))),
		"reserving meter":          of(faas.WithMeter(&onlyReserve{closing: h})),
		"unreserving meter":        {function: []faas.FunctionOption{faas.WithMeter(&unreserving{closing: h}), faas.WithConcurrency(0)}},
		"buffered meter":           of(faas.WithMeter(faas.Buffered(faas.MeterFunc(h.Record), 10))),
		"gate's Admit":             of(faas.WithGate(onlyAdmit{h})),
		"gate's Done":              of(faas.WithGate(onlyDone{h})),
		"gate's Done of a refusal": of(faas.WithGate(onlyDone{h}), faas.WithConcurrency(0)),
		"tenant key":               of(faas.WithTenantKey(h.tenant)),
		"WithContext":              of(faas.WithContext(h.carry)),
		"WithRefusals":             of(faas.WithRefusals(h.refused), faas.WithConcurrency(0)),
		"tracing":                  of(faas.WithTracing(h.trace)),
		"trace sampler":            of(faas.WithTracing(h.traced), faas.WithTraceSampler(h)),
		"trace's End":              of(faas.WithTracing(h.traced)),
		"trace's End of a refusal": of(faas.WithTracing(h.traced), faas.WithConcurrency(0)),
		"middleware":               of(faas.WithMiddleware(h.around)),
		"capture":                  of(faas.WithCapture(h), faas.WithMiddleware(failing)),
		"codec of a capture": {function: []faas.FunctionOption{faas.WithCodec(h), faas.WithCapture(faas.NewRing(1, 1, nil)), faas.WithMiddleware(failing)}, call: func(t *testing.T, r *faas.Router) {
			f, err := faas.Lookup[int, int](r, "f")
			if err == nil {
				_, _ = f.Invoke(t.Context(), 1)
			}
		}},
		"codec": of(faas.WithCodec(h)),
		"codec that copies": {function: []faas.FunctionOption{faas.WithCodec(h), faas.WithCopy()}, call: func(t *testing.T, r *faas.Router) {
			f, err := faas.Lookup[int, int](r, "f")
			if err == nil {
				_, _ = f.Invoke(t.Context(), 1)
			}
		}},
		"scaler":        of(faas.WithScaler(h)),
		"WithDecisions": {router: []faas.RouterOption{faas.WithDecisions(h.decided)}, function: []faas.FunctionOption{faas.WithScaler(faas.ConcurrencyScaler{})}},
	}
	for name, h := range all {
		if h.call == nil {
			h.call = func(t *testing.T, r *faas.Router) { _, _ = r.Invoke(t.Context(), "f", []byte("1")) }
			all[name] = h
		}
	}
	return all
}

func TestCloseFromAHookReturns(t *testing.T) {
	t.Parallel()
	for name := range hooks(closing{}) {
		for _, inline := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "", true: ", inline"}[inline], func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var r *faas.Router
					var once sync.Once
					returned := make(chan struct{})
					hook := hooks(closing{do: func() {
						once.Do(func() {
							_ = r.Close()
							close(returned)
						})
					}})[name]
					r = router(t, hook.router...)
					if inline {
						hook.function = append(hook.function, faas.WithInline())
					}
					faas.Register(r, "f", double, hook.function...)
					hook.call(t, r)
					<-returned // if this blocks for ever, the bubble is deadlocked, and the test fails
					require.NoError(t, r.Shutdown(t.Context()))
					assert.Zero(t, r.Stats().InFlight)
				})
			})
		}
	}
}

func TestShutdownFromAHookSaysToCallItElsewhere(t *testing.T) {
	t.Parallel()
	for name := range hooks(closing{}) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var r *faas.Router
				var once sync.Once
				var err error
				reached := make(chan struct{})
				hook := hooks(closing{do: func() {
					once.Do(func() {
						err = r.Shutdown(context.Background())
						close(reached)
					})
				}})[name]
				r = router(t, hook.router...)
				faas.Register(r, "f", double, hook.function...)
				hook.call(t, r)
				<-reached
				require.ErrorIs(t, err, faas.ErrInput)
				assert.ErrorContains(t, err, "another goroutine")
				assert.True(t, r.Stats().Closing, "the drain has begun")
				_, refused := r.Invoke(t.Context(), "f", []byte("1"))
				require.Error(t, refused)
				require.NoError(t, r.Shutdown(t.Context()), "elsewhere it works")
			})
		})
	}
}

func TestCloseFromTheFuncsOfAnInstanceReturns(t *testing.T) {
	for _, where := range []string{"init", "close"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := router(t)
				returned := make(chan struct{})
				end := func(at string) {
					if at == where {
						require.ErrorIs(t, r.Shutdown(context.Background()), faas.ErrInput)
						_ = r.Close()
						close(returned)
					}
				}
				f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
					end("init")
					return double, func(context.Context) error { end("close"); return nil }, nil
				})
				_, _ = f.Invoke(t.Context(), 1)
				_ = r.Remove("f")
				<-returned
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

func TestCloseFromWithStuckAndFromAnOverrunReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		var told steps
		end := closing{do: func() { _ = r.Close(); told.add("closed") }}
		r = router(t, faas.WithStuck(time.Second, end.stuck), faas.WithMeter(&onlyOverrun{closing: end}), faas.WithTimeout(time.Second))
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(5 * time.Second); return 0, nil })
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, []string{"closed", "closed"}, told.list())
	})
}

func TestTwoMetersThatCloseAtOnceBothReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		var both, inside sync.WaitGroup
		both.Add(2)
		inside.Add(2)
		r = router(t, faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) {
			inside.Done()
			inside.Wait() // each waits here before the other's record is complete
			_ = r.Close()
			both.Done()
		})))
		f := faas.Register(r, "f", double)
		for range 2 {
			go func() { _, _ = f.Invoke(context.Background(), 1) }()
		}
		both.Wait()
	})
}

func TestMetersThatCloseEachOthersRoutersReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var routers [2]*faas.Router
		var both, inside sync.WaitGroup
		both.Add(2)
		inside.Add(2)
		var calls []*faas.Function[int, int]
		for i := range routers {
			routers[i] = router(t, faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) {
				inside.Done()
				inside.Wait()
				_ = routers[1-i].Close()
				both.Done()
			})))
			calls = append(calls, faas.Register(routers[i], "f", double))
		}
		for _, f := range calls {
			go func() { _, _ = f.Invoke(context.Background(), 1) }()
		}
		both.Wait()
	})
}

func TestAMeterBelowNestedInlineCallsMayClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		closed := false
		r = router(t)
		inner := faas.Register(r, "inner", double, faas.WithInline(), faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) {
			_ = r.Close()
			closed = true
		})))
		outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) { return inner.Invoke(ctx, n) }, faas.WithInline())
		_, err := outer.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrClosed)
		assert.True(t, closed)
	})
}

func TestAMeterThatHoldsItsLockWhileItClosesIsNotLockedOutByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		var mu sync.Mutex
		var recorded int
		r = router(t, faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) {
			mu.Lock()
			defer mu.Unlock()
			recorded++
			if e.Outcome == faas.OK {
				_ = r.Close()
			}
		})))
		wait := faas.Register(r, "wait", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		f := faas.Register(r, "f", double)
		var others sync.WaitGroup
		for range 3 {
			others.Go(func() {
				_, err := wait.Invoke(t.Context(), 1)
				assert.ErrorIs(t, err, faas.ErrClosed)
			})
		}
		time.Sleep(time.Millisecond)
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		others.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 4, recorded)
	})
}

func TestAMeterThatEndsItsGoroutineDoesNotEndClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { exit() })))
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, _ io.Writer) error { <-ctx.Done(); return ctx.Err() })
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				err := f.Invoke(context.Background(), 1, io.Discard)
				assert.ErrorIs(t, err, faas.ErrClosed)
			})
		}
		time.Sleep(time.Millisecond)
		require.NoError(t, r.Close())
		all.Wait()
	})
}

func TestAHandlerBelowAMiddlewareStillWaitsForRecordsWhenItCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		m := &recorder{}
		slow := faas.MeterFunc(func(ctx context.Context, e faas.Execution) { time.Sleep(time.Second); m.Record(ctx, e) })
		through := func(next faas.Runner) faas.Runner { return next }
		r = router(t, faas.WithMeter(slow), faas.WithMiddleware(through))
		f := faas.Register(r, "f", func(context.Context, int) (int, error) {
			_ = r.Close()
			assert.Len(t, m.all(), 1, "it is settled by Close, and recorded when that returns")
			return 0, nil
		})
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestAMeterMayShutItsRouterDownWithItsOwnContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		err := errors.New("not called")
		r = router(t, faas.WithMeter(faas.MeterFunc(func(ctx context.Context, _ faas.Execution) { err = r.Shutdown(ctx) })))
		f := faas.Register(r, "f", double)
		_, _ = f.Invoke(t.Context(), 1)
		require.NoError(t, err)
	})
}

func TestTheMeterOfARunawayMayShutItsRouterDownWithItsOwnContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		shut := func(ctx context.Context) error { return r.Shutdown(ctx) }
		var errs []error
		m := overrunMeter{
			func(ctx context.Context, _ faas.Execution) { errs = append(errs, shut(ctx)) },
			func(ctx context.Context, _ faas.Overrun) { errs = append(errs, shut(ctx)) },
		}
		r = router(t, faas.WithMeter(m), faas.WithTimeout(time.Second))
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { time.Sleep(time.Minute); return 0, nil })
		start := time.Now()
		_, err := f.Invoke(t.Context(), 1)
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, time.Second, time.Since(start), "the hook's own call is left out, its handler too")
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, []error{nil, nil}, errs)
	})
}

// overrunMeter is a meter made of two funcs.
type overrunMeter struct {
	record  func(context.Context, faas.Execution)
	overrun func(context.Context, faas.Overrun)
}

func (m overrunMeter) Record(ctx context.Context, e faas.Execution)      { m.record(ctx, e) }
func (m overrunMeter) RecordOverrun(ctx context.Context, o faas.Overrun) { m.overrun(ctx, o) }
