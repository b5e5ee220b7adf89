package faas_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

type spanKey struct{}

// span is a Trace that is its own value for spanKey.
type span struct {
	of     *spans
	inv    faas.Invocation
	parent *span

	ends []*faas.Execution // guarded by of.mu
}

func (s *span) Value(key any) any {
	if key == (spanKey{}) {
		return s
	}
	return nil
}

func (s *span) End(e *faas.Execution) {
	if e != nil {
		own := *e
		e = &own
	}
	s.of.mu.Lock()
	s.ends = append(s.ends, e)
	s.of.mu.Unlock()
	if s.of.end != nil {
		s.of.end()
	}
}

// spans makes a span for each call, and keeps them all.
type spans struct {
	end func() // called at each end

	mu  sync.Mutex // guards what follows
	all []*span
}

func (s *spans) ask(ctx context.Context, inv faas.Invocation) faas.Trace {
	parent, _ := ctx.Value(spanKey{}).(*span)
	own := &span{of: s, inv: inv, parent: parent}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, own)
	return own
}

// only returns the only span that was made.
func (s *spans) only(t *testing.T) *span {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.all, 1)
	return s.all[0]
}

// ended returns the record with which the only span was ended, once.
func (s *spans) ended(t *testing.T) *faas.Execution {
	t.Helper()
	own := s.only(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, own.ends, 1)
	return own.ends[0]
}

// within makes a call on a goroutine of its own, since a hook may end that goroutine.
func within(call func() error) (err error) {
	err = errEnded
	var over sync.WaitGroup
	over.Go(func() { err = call() })
	over.Wait()
	return err
}

var errEnded = errors.New("the caller's goroutine has ended")

// no is a gate whose Admit calls do.
type no struct{ do func() error }

func (g no) Admit(context.Context, faas.Invocation) error { return g.do() }
func (no) Done(faas.Invocation, *faas.Execution)          {}

func waitsForEnd(ctx context.Context, _ struct{}) (struct{}, error) {
	<-ctx.Done()
	return struct{}{}, context.Cause(ctx)
}

// traced are calls that end in different ways.
var traced = map[string]struct {
	want    string // the outcome; empty: refused
	handler faas.Handler[struct{}, struct{}]
	opts    []faas.FunctionOption
	call    func(r *faas.Router) context.Context // runs before the call, and returns its context
}{
	"OK": {want: "OK"},
	"failed": {want: "Failed", handler: func(context.Context, struct{}) (struct{}, error) {
		return struct{}{}, errors.New("no")
	}},
	"panicked":  {want: "Panicked", handler: func(context.Context, struct{}) (struct{}, error) { panic("no") }},
	"exited":    {want: "Exited", handler: func(context.Context, struct{}) (struct{}, error) { exit(); return struct{}{}, nil }},
	"timed out": {want: "TimedOut", handler: waitsForEnd},
	"the caller leaves": {want: "Canceled", handler: waitsForEnd, call: func(*faas.Router) context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		return ctx
	}},
	"the router closes": {want: "Canceled", handler: waitsForEnd, call: func(r *faas.Router) context.Context {
		time.AfterFunc(time.Second, func() { _ = r.Close() })
		return context.Background()
	}},
	"a meter panics": {want: "OK", opts: []faas.FunctionOption{faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { panic("no") }))}},
	"a meter exits":  {want: "OK", opts: []faas.FunctionOption{faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { exit() }))}},
	"a middleware fails": {want: "Failed", opts: []faas.FunctionOption{faas.WithMiddleware(func(faas.Runner) faas.Runner {
		return func(context.Context, faas.Invocation) error { return errors.New("no") }
	})}},
	"the caller's deadline has passed before the start": {want: "Canceled", opts: []faas.FunctionOption{faas.WithContext(func(_, fresh context.Context) context.Context {
		time.Sleep(time.Hour)
		return fresh
	})}, call: func(*faas.Router) context.Context { return untimely{context.Background(), time.Now().Add(time.Second)} }},

	"a gate says no": {opts: []faas.FunctionOption{faas.WithGate(no{func() error { return errors.New("no") }})}},
	"a gate panics":  {opts: []faas.FunctionOption{faas.WithGate(no{func() error { panic("no") }})}},
	"a gate exits":   {opts: []faas.FunctionOption{faas.WithGate(no{func() error { exit(); return nil }})}},
	"it is off":      {opts: []faas.FunctionOption{faas.WithConcurrency(0)}},
	"it is off, and a hook exits": {opts: []faas.FunctionOption{
		faas.WithConcurrency(0), faas.WithRefusals(func(context.Context, faas.Refusal) { exit() }),
	}},
	"a meter is full":   {opts: []faas.FunctionOption{faas.WithMeter(&full{})}},
	"the queue is full": {opts: []faas.FunctionOption{faas.WithConcurrency(1), faas.WithQueue(0)}, handler: waitsForEnd, call: occupy},
	"it waits too long": {opts: []faas.FunctionOption{faas.WithConcurrency(1), faas.WithQueueTimeout(time.Second / 2)}, handler: waitsForEnd, call: occupy},
	"the router is closed": {call: func(r *faas.Router) context.Context {
		_ = r.Close()
		return context.Background()
	}},
	"the caller has left before": {call: func(*faas.Router) context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}},
	"the tenant is none": {call: func(*faas.Router) context.Context { return faas.WithTenant(context.Background(), "a\nb") }},
	"the origin is none": {call: func(*faas.Router) context.Context {
		return faas.WithOrigin(context.Background(), faas.Origin{Timeout: -1})
	}},
	"WithContext forgets the fresh one": {opts: []faas.FunctionOption{faas.WithContext(func(_, _ context.Context) context.Context { return context.Background() })}},
}

// untimely is a context that does not end at its deadline.
type untimely struct {
	context.Context

	at time.Time
}

func (u untimely) Deadline() (time.Time, bool) { return u.at, true }

// untracedKey is the context key of calls that are not to be traced.
type untracedKey struct{}

// occupy makes a call that takes the only slot and is not traced.
func occupy(r *faas.Router) context.Context {
	go func() {
		_, _ = r.Invoke(context.WithValue(context.Background(), untracedKey{}, true), "f", []byte("{}"))
	}()
	synctest.Wait()
	return context.Background()
}

func TestATraceEndsOnceHoweverItsCallEnds(t *testing.T) {
	t.Parallel()
	for name, c := range traced {
		for how, inline := range map[string][]faas.FunctionOption{"": nil, ", inline": {faas.WithInline()}} {
			t.Run(name+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					made, meter := &spans{}, &recorder{}
					r := router(t, faas.WithMeter(meter), faas.WithTimeout(2*time.Second), faas.WithTracing(func(ctx context.Context, inv faas.Invocation) faas.Trace {
						if ctx.Value(untracedKey{}) != nil {
							return nil
						}
						return made.ask(ctx, inv)
					}))
					h := c.handler
					if h == nil {
						h = func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }
					}
					f := faas.Register(r, "f", h, append(inline, c.opts...)...)
					ctx := context.Background()
					if c.call != nil {
						ctx = c.call(r)
					}

					err := within(func() error { _, err := f.Invoke(ctx, struct{}{}); return err })

					e, end := made.ended(t), faas.EndOf(err, "f")
					if c.want == "" {
						assert.Nil(t, e)
						assert.True(t, end.Kind != faas.KindNone || errors.Is(err, errEnded), "%v", err)
						return
					}
					require.NotNil(t, e)
					assert.Equal(t, c.want, e.Outcome.String())
					assert.Equal(t, made.only(t).inv.ID, e.ID)
					if !errors.Is(err, errEnded) {
						assert.Equal(t, meter.last(t), *e)
					}
				})
			})
		}
	}
}

func TestATraceAnswersTheHandlersContext(t *testing.T) {
	t.Parallel()
	carried := faas.WithContext(faas.CarryKeys(untracedKey{}))
	for name, opts := range map[string][]faas.FunctionOption{
		"": nil, "inline": {faas.WithInline()}, "below WithContext": {carried}, "in a middleware": {faas.WithMiddleware(func(next faas.Runner) faas.Runner { return next })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, inMeter := &spans{}, any(nil)
			r := router(t, faas.WithTracing(made.ask), faas.WithMeter(faas.MeterFunc(func(ctx context.Context, _ faas.Execution) { inMeter = ctx.Value(spanKey{}) })))
			var got, derived, other any
			var kept context.Context
			f := faas.Register(r, "f", func(ctx context.Context, _ struct{}) (struct{}, error) {
				kept = ctx //nolint:fatcontext // a handler that keeps its context is what is tested
				got, other = ctx.Value(spanKey{}), ctx.Value(heldKey{})
				own, cancel := context.WithCancel(context.WithValue(ctx, heldKey{}, 1))
				derived = own.Value(spanKey{})
				cancel()
				_, ours := faas.FromContext(own)
				assert.True(t, ours)
				return struct{}{}, nil
			}, opts...)

			_, err := f.Invoke(t.Context(), struct{}{})

			require.NoError(t, err)
			own := made.only(t)
			assert.Same(t, own, got)
			assert.Same(t, own, derived)
			assert.Same(t, own, inMeter)
			assert.Nil(t, other)
			assert.Same(t, own, kept.Value(spanKey{}), "after the end")
		})
	}
}

func TestAWithContextFuncComesBeforeTheTrace(t *testing.T) {
	t.Parallel()
	made := &spans{}
	r := router(t, faas.WithTracing(made.ask), faas.WithContext(func(_, fresh context.Context) context.Context {
		assert.NotNil(t, fresh.Value(spanKey{}))
		return context.WithValue(fresh, spanKey{}, "mine")
	}))
	f := faas.Register(r, "f", func(ctx context.Context, _ struct{}) (any, error) { return ctx.Value(spanKey{}), nil })
	got, err := f.Invoke(t.Context(), struct{}{})
	require.NoError(t, err)
	assert.Equal(t, "mine", got)
}

func TestANestedCallFindsItsParentsTrace(t *testing.T) {
	t.Parallel()
	made := &spans{}
	r := router(t, faas.WithTracing(made.ask))
	inner := faas.Register(r, "inner", double)
	outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) {
		return inner.Invoke(faas.WithTenant(context.WithValue(ctx, heldKey{}, 1), "acme"), n)
	})
	_, err := outer.Invoke(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, made.all, 2)
	root, nested := made.all[0], made.all[1]
	assert.Nil(t, root.parent)
	assert.Same(t, root, nested.parent)
	assert.Equal(t, []any{root.inv.ID, 1, "acme", "inner"}, []any{nested.inv.Parent, nested.inv.Depth, nested.inv.Tenant, nested.inv.Function})
}

// The hook gets the same Invocation and the same ID as the gates, although it is called before the
// call exists.
func TestTheInvocationThatIsTracedIsTheOneThatIsRecorded(t *testing.T) {
	t.Parallel()
	for name, sampled := range map[string]bool{"sampled": true, "not sampled": false} {
		for how, opts := range map[string][]faas.FunctionOption{"": nil, "inline": {faas.WithInline()}, "waiting": {faas.WithTenantConcurrency(1)}, "instances": {faas.WithInstanceConcurrency(2)}} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				o, asked := &origins{}, faas.Invocation{}
				made := &spans{}
				opts := append(opts, faas.WithMeter(&o.recorder), faas.WithTracing(func(ctx context.Context, inv faas.Invocation) faas.Trace {
					asked = inv
					if !sampled {
						return nil
					}
					return made.ask(ctx, inv)
				}))
				f := faas.Register(router(t), "f", faas.NoOutput(o.handle), opts...)
				for _, ctx := range []context.Context{
					t.Context(), faas.WithTenant(t.Context(), "acme"), faas.WithOrigin(t.Context(), sent), faas.WithPriority(t.Context(), 2),
					faas.WithOrigin(t.Context(), faas.Origin{RequestID: "a\nb"}),
				} {
					_, err := f.Invoke(ctx, struct{}{})
					require.NoError(t, err)
					want := o.handler
					want.Start, want.Deadline = time.Time{}, time.Time{}
					assert.Equal(t, want, asked)
					e := o.last(t)
					assert.Equal(t, []any{asked.ID, asked.Tenant, asked.Origin}, []any{e.ID, e.Tenant, e.Origin})
				}
			})
		}
	}
}

func TestWhatNeverAsksForAdmissionIsNotTraced(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithTracing(func(context.Context, faas.Invocation) faas.Trace {
		t.Error("asked")
		return nil
	}))
	f := faas.Register(r, "f", double)
	require.NoError(t, r.DryRun(t.Context(), "f"))
	_, err := r.Invoke(t.Context(), "none", nil)
	require.ErrorIs(t, err, faas.ErrNotFound)
	_, err = r.Invoke(t.Context(), "f", []byte("{"))
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = f.Invoke(nil, 1) //nolint:staticcheck // that it is refused is what is tested
	require.ErrorIs(t, err, faas.ErrInput)
}

func TestAFunctionsTracingTakesThePlaceOfTheRouters(t *testing.T) {
	t.Parallel()
	routers, own := &spans{}, &spans{}
	r := router(t, faas.WithTracing(routers.ask))
	for name, opts := range map[string][]faas.FunctionOption{"f": nil, "own": {faas.WithTracing(own.ask)}, "none": {faas.WithTracing(nil)}} {
		faas.Register(r, name, double, opts...)
		_, err := r.Invoke(t.Context(), name, []byte("1"))
		require.NoError(t, err)
	}
	assert.Equal(t, "f", routers.only(t).inv.Function)
	assert.Equal(t, "own", own.only(t).inv.Function)
}

func TestATracingFuncThatPanicsTracesNothing(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := router(t, faas.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), faas.WithTracing(func(context.Context, faas.Invocation) faas.Trace { panic("no") }))
	f := faas.Register(r, "f", double)
	got, err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{RequestID: "r-1"}), 2)
	require.NoError(t, err)
	assert.Equal(t, 4, got)
	assert.EqualValues(t, 1, r.Stats().HookPanics)
	assert.Contains(t, log.String(), "request=r-1")
	assert.Contains(t, log.String(), "hook=WithTracing")
}

func TestATracingFuncThatExitsLeavesNoCallBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTracing(func(context.Context, faas.Invocation) faas.Trace { exit(); return nil }))
		f := faas.Register(r, "f", double)
		g := faas.RegisterStream(r, "g", func(context.Context, int, io.Writer) error { return nil })
		require.ErrorIs(t, within(func() error { _, err := f.Invoke(t.Context(), 1); return err }), errEnded)
		require.ErrorIs(t, within(func() error { return g.Invoke(t.Context(), 1, io.Discard) }), errEnded)
		s := r.Stats()
		assert.Equal(t, []any{0, uint64(0), 0}, []any{s.InFlight, s.Admitted, len(s.Rejected)})
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestAnEndThatPanicsOrExitsChangesNoAnswer(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(){"panics": func() { panic("no") }, "exits": exit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				made, meter := &spans{end: do}, &recorder{}
				r := router(t, faas.WithTracing(made.ask), faas.WithMeter(meter))
				f := faas.Register(r, "f", double, faas.WithConcurrency(1))
				for n := range 3 { // the second call finds no idle worker
					got, err := f.Invoke(t.Context(), n)
					require.NoError(t, err)
					assert.Equal(t, 2*n, got)
				}
				require.NoError(t, r.SetConcurrency("f", 0))
				err := within(func() error { _, err := f.Invoke(t.Context(), 1); return err })
				if name == "panics" {
					require.ErrorIs(t, err, faas.ErrOverloaded)
					assert.EqualValues(t, 4, r.Stats().HookPanics)
				}
				assert.Len(t, meter.all(), 3)
				assert.EqualValues(t, 1, r.Stats().Rejected[faas.ReasonOff])
				require.NoError(t, r.Shutdown(t.Context()))
			})
		})
	}
}

func TestATraceEndsAfterAllOtherHooks(t *testing.T) {
	t.Parallel()
	order := &steps{}
	made := &spans{end: func() { order.add("end") }}
	r := router(t, faas.WithTracing(made.ask), faas.WithGate(onlyDone{closing{func() { order.add("gate") }}}),
		faas.WithMeter(faas.MeterFunc(func(context.Context, faas.Execution) { order.add("meter") })),
		faas.WithRefusals(func(context.Context, faas.Refusal) { order.add("refused") }))
	f := faas.Register(r, "f", double)
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, r.SetConcurrency("f", 0))
	_, err = f.Invoke(t.Context(), 1)
	require.ErrorIs(t, err, faas.ErrOverloaded)
	assert.Equal(t, []string{"meter", "gate", "end", "gate", "refused", "end"}, order.list())
}

func TestACallThatIsLookedUpAgainIsTracedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		made := &spans{}
		r := router(t, faas.WithTracing(made.ask))
		goes(t, r, asks(func(faas.Invocation) error { return nil }), func() { faas.Register(r, "f", double) })
		_, err := r.Invoke(t.Context(), "f", []byte("1"))
		require.NoError(t, err)
		require.Len(t, made.all, 2)
		assert.Equal(t, []*faas.Execution{nil}, made.all[0].ends)
		require.Len(t, made.all[1].ends, 1)
		assert.Equal(t, made.all[1].inv.ID, made.all[1].ends[0].ID)
	})
}

func TestARunawaysTraceEndsAtSettlement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		made, release := &spans{}, make(chan struct{})
		var late any
		f := faas.Register(router(t, faas.WithTracing(made.ask)), "f", func(ctx context.Context, _ struct{}) (struct{}, error) {
			<-release
			late = ctx.Value(spanKey{})
			return struct{}{}, nil
		}, faas.WithTimeout(time.Second))
		_, err := f.Invoke(t.Context(), struct{}{})
		require.ErrorIs(t, err, faas.ErrTimeout)
		assert.Equal(t, faas.TimedOut, made.ended(t).Outcome)
		close(release)
		synctest.Wait()
		assert.Same(t, made.only(t), late)
		made.ended(t)
	})
}

func TestAStreamIsTraced(t *testing.T) {
	t.Parallel()
	made := &spans{}
	f := faas.RegisterStream(router(t, faas.WithTracing(made.ask)), "f", func(ctx context.Context, _ struct{}, w io.Writer) error {
		assert.NotNil(t, ctx.Value(spanKey{}))
		_, err := io.WriteString(w, "piece")
		return err
	})
	require.NoError(t, f.Invoke(t.Context(), struct{}{}, io.Discard))
	assert.Equal(t, 5, made.ended(t).BytesOut)
}

// Each trace ends once, and with the record of its own call, whichever goroutine settles the call.
func TestTracesOfManyCallsAtOnceEndOnceEach(t *testing.T) {
	t.Parallel()
	made, meter := &spans{}, &recorder{}
	r := router(t, faas.WithTracing(func(ctx context.Context, inv faas.Invocation) faas.Trace {
		if inv.ID[15]%4 == 0 {
			return nil
		}
		return made.ask(ctx, inv)
	}), faas.WithMeter(meter), faas.WithCapacity(3), faas.WithQueue(2))
	inner := faas.Register(r, "inner", func(ctx context.Context, n int) (int, error) {
		switch n % 5 {
		case 0:
			panic(n)
		case 1:
			<-ctx.Done()
		}
		return n, ctx.Err()
	}, faas.WithTimeout(time.Millisecond))
	outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) { return inner.Invoke(ctx, n) }, faas.WithInline())
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(3))*time.Millisecond)
				_, _ = outer.Invoke(ctx, rand.IntN(100))
				cancel()
			}
		})
	}
	callers.Wait()
	require.NoError(t, r.Shutdown(t.Context()))

	records := map[any]faas.Outcome{}
	for _, e := range meter.all() {
		records[e.ID] = e.Outcome
	}
	for _, s := range made.all {
		require.Len(t, s.ends, 1)
		outcome, recorded := records[s.inv.ID]
		if e := s.ends[0]; e != nil {
			assert.Equal(t, []any{s.inv.ID, outcome, true}, []any{e.ID, e.Outcome, recorded})
		} else {
			assert.False(t, recorded)
		}
	}
}
