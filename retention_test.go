package faas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// What a call held is garbage once the call is over. Each case passes marked objects to
// calls in some way. Afterwards the garbage collector has to find all of them, while the
// router, its functions and its slots are still in use.

// ward makes objects, and counts those that are still in memory.
type ward struct{ left atomic.Int64 }

type object [64 << 10]byte

func (w *ward) object() *object {
	o := new(object)
	w.left.Add(1)
	runtime.AddCleanup(o, func(n *atomic.Int64) { n.Add(-1) }, &w.left)
	return o
}

// text is a string whose bytes are in an object's memory.
func (w *ward) text(s string) string {
	o := w.object()
	copy(o[:], s)
	return unsafe.String(&o[0], len(s))
}

func (w *ward) bytes() []byte { return w.object()[:] }

// limit is enough time for the garbage collector, even on a busy machine.
const limit = 20 * time.Second

// released runs the garbage collector until it has found all objects, or fails the test.
func (w *ward) released(t *testing.T) {
	t.Helper()
	for began := time.Now(); w.left.Load() > 0 && time.Since(began) < limit; {
		runtime.GC()
		runtime.Gosched()
	}
	assert.Zero(t, w.left.Load(), "objects that are held by what is over")
}

// heldError is an error that holds an object.
type heldError struct{ o *object }

func (heldError) Error() string { return "held" }

type heldKey struct{}

// holder is a gate, a meter and a scaler. It holds an object, and does nothing else.
type holder struct {
	faas.FixedScaler

	o *object
}

func (holder) Admit(context.Context, faas.Invocation) error { return nil }
func (holder) Done(faas.Invocation, *faas.Execution)        {}
func (holder) Record(context.Context, faas.Execution)       {}

// leaver returns a context that the test ends, with a cause.
func leaver(o *object) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(context.WithValue(context.Background(), heldKey{}, o))
}

// retained has the cases. The functions that they register stay registered.
var retained = map[string]func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption){
	"typed input and output": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(context.Context, *object) (*object, error) { return w.object(), nil }, opts...)
		for range 20 {
			_, err := f.Invoke(t.Context(), w.object())
			require.NoError(t, err)
		}
	},
	"bytes": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		faas.Register(r, "f", func(context.Context, []byte) ([]byte, error) { return w.bytes(), nil }, opts...)
		for range 20 {
			_, err := r.Invoke(t.Context(), "f", w.bytes())
			require.NoError(t, err)
		}
	},
	"copied": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(_ context.Context, in []byte) ([]byte, error) {
			runtime.AddCleanup(&in[0], func(n *atomic.Int64) { n.Add(-1) }, &w.left)
			w.left.Add(1)
			return w.bytes(), nil
		}, append(opts, faas.WithCopy())...)
		for range 20 {
			_, err := f.Invoke(t.Context(), w.bytes())
			require.NoError(t, err)
		}
	},
	"gathered pieces": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		faas.RegisterStream(r, "f", func(_ context.Context, _ []byte, to io.Writer) error {
			_, err := to.Write(w.bytes())
			return err
		}, opts...)
		for range 20 {
			out, err := r.Invoke(t.Context(), "f", w.bytes())
			require.NoError(t, err)
			runtime.AddCleanup(&out[0], func(n *atomic.Int64) { n.Add(-1) }, &w.left)
			w.left.Add(1)
		}
	},
	"a stream, and its caller's writer": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.RegisterStream(r, "f", func(_ context.Context, _ *object, to io.Writer) error {
			_, err := to.Write([]byte("x"))
			return err
		}, opts...)
		for range 20 {
			require.NoError(t, f.Invoke(t.Context(), w.object(), heldWriter{w.object()}))
		}
	},
	"a stream whose handler keeps its writer and its context": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		var kept []any
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ *object, to io.Writer) error {
			kept = append(kept, to, ctx)
			_, err := to.Write([]byte("x"))
			return err
		}, opts...)
		for range 20 {
			require.NoError(t, f.Invoke(t.Context(), w.object(), heldWriter{w.object()}))
		}
		t.Cleanup(func() { runtime.KeepAlive(kept) })
	},
	"a stream that its writer breaks": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ *object, to io.Writer) error {
			_, _ = to.Write([]byte("x"))
			<-ctx.Done()
			return ctx.Err()
		}, opts...)
		for range 20 {
			require.Error(t, f.Invoke(t.Context(), w.object(), brokenWriter{w.object()}))
		}
	},
	"a handler's error": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(context.Context, int) (int, error) { return 0, heldError{w.object()} }, opts...)
		for range 20 {
			_, err := f.Invoke(t.Context(), 1)
			require.Error(t, err)
		}
	},
	"a panic": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(context.Context, *object) (int, error) { panic(w.object()) }, opts...)
		for range 20 {
			_, err := f.Invoke(t.Context(), w.object())
			require.Error(t, err)
		}
	},
	"a Goexit": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(context.Context, *object) (int, error) { exit(); return 0, nil }, opts...)
		for range 20 {
			done := make(chan struct{})
			go func() { // the inline call ends this goroutine
				defer close(done)
				_, _ = f.Invoke(context.Background(), w.object())
			}()
			<-done
		}
	},
	"a timeout": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(ctx context.Context, _ *object) (*object, error) { <-ctx.Done(); return w.object(), nil },
			append(opts, faas.WithTimeout(time.Millisecond))...)
		for range 5 {
			_, err := f.Invoke(context.WithValue(t.Context(), heldKey{}, w.object()), w.object())
			require.ErrorIs(t, err, faas.ErrTimeout)
		}
	},
	"a timeout whose handler keeps its context": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		var mu sync.Mutex
		var kept []context.Context
		f := faas.Register(r, "f", func(ctx context.Context, _ *object) (*object, error) {
			mu.Lock()
			kept = append(kept, ctx)
			mu.Unlock()
			<-ctx.Done()
			return w.object(), nil
		}, append(opts, faas.WithTimeout(time.Millisecond))...)
		for range 5 {
			_, err := f.Invoke(t.Context(), w.object())
			require.ErrorIs(t, err, faas.ErrTimeout)
		}
		t.Cleanup(func() { runtime.KeepAlive(kept) })
	},
	"callers that leave, with a cause": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		started := make(chan struct{}, 1)
		f := faas.Register(r, "f", func(ctx context.Context, _ *object) (int, error) {
			started <- struct{}{}
			<-ctx.Done()
			return 0, ctx.Err()
		}, opts...)
		for range 5 {
			ctx, cancel := leaver(w.object())
			go func() { <-started; cancel(heldError{w.object()}) }()
			_, err := f.Invoke(ctx, w.object())
			require.ErrorIs(t, err, context.Canceled)
		}
	},
	"callers' contexts": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(ctx context.Context, in int) (int, error) { return in, ctx.Err() }, opts...)
		g := faas.Register(r, "g", func(ctx context.Context, in int) (int, error) { _ = ctx.Done(); return f.Invoke(ctx, in) }, opts...)
		for range 20 {
			ctx, cancel := leaver(w.object())
			for _, f := range []*faas.Function[int, int]{f, g} {
				_, err := f.Invoke(ctx, 1)
				require.NoError(t, err)
				_, err = f.Invoke(faas.WithPriority(ctx, 3), 1)
				require.NoError(t, err)
			}
			cancel(nil)
		}
	},
	"callers' contexts that never end": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(ctx context.Context, in int) (int, error) { _ = ctx.Done(); return in, ctx.Err() }, opts...)
		for range 20 {
			ctx, cancel := leaver(w.object()) // cancel is never called
			_, err := f.Invoke(ctx, 1)
			require.NoError(t, err)
			runtime.KeepAlive(cancel)
		}
	},
	"values that WithContext carries": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", double, append(opts, faas.WithContext(func(caller, fresh context.Context) context.Context {
			return context.WithValue(fresh, heldKey{}, caller.Value(heldKey{}))
		}))...)
		for range 20 {
			_, err := f.Invoke(context.WithValue(t.Context(), heldKey{}, w.object()), 1)
			require.NoError(t, err)
		}
	},
	"tenants": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", double, opts...)
		g := faas.Register(r, "g", double, append(opts, faas.WithTenantConcurrency(1))...)
		for i := range 20 {
			for _, name := range []string{"acme", fmt.Sprint("tenant", i)} {
				ctx := faas.WithTenant(t.Context(), w.text(name))
				for _, f := range []*faas.Function[int, int]{f, g} {
					_, err := f.Invoke(ctx, 1)
					require.NoError(t, err)
				}
			}
		}
	},
	"tenants who wait": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(_ context.Context, in int) (int, error) { runtime.Gosched(); return in, nil }, append(opts, faas.WithConcurrency(1))...)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := f.Invoke(faas.WithTenant(context.Background(), w.text(fmt.Sprint("tenant", i%7))), 1)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
	},
	"callers' contexts with an origin, whose handler keeps its context": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		var kept []context.Context
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { kept = append(kept, ctx); return 0, nil }, opts...)
		for range 20 {
			ctx := faas.WithOrigin(context.WithValue(context.Background(), heldKey{}, w.object()), faas.Origin{RequestID: "r-1"})
			_, err := f.Invoke(ctx, 1)
			require.NoError(t, err)
		}
		t.Cleanup(func() { runtime.KeepAlive(kept) })
	},
	"traces": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", double, append(opts, faas.WithTracing(func(context.Context, faas.Invocation) faas.Trace { return heldTrace{w.object()} }))...)
		for range 20 {
			_, err := f.Invoke(t.Context(), 1)
			require.NoError(t, err)
		}
	},
	"refusals": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", func(context.Context, *object) (int, error) { return 0, nil }, append(opts, faas.WithGate(refuser{w}))...)
		for range 20 {
			_, err := f.Invoke(t.Context(), w.object())
			require.ErrorIs(t, err, faas.ErrDenied)
		}
	},
	"input and output of instances": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[*object, *object], func(context.Context) error, error) {
			return func(context.Context, *object) (*object, error) { return w.object(), nil }, nil, nil
		}, opts...)
		for range 20 {
			_, err := f.Invoke(context.WithValue(t.Context(), heldKey{}, w.object()), w.object())
			require.NoError(t, err)
		}
	},
	"the func of InvokeFunc": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		f := faas.Register(r, "f", double, opts...)
		faas.Register(r, "bytes", func(_ context.Context, b []byte) ([]byte, error) { return b, nil }, opts...)
		for range 20 {
			o := w.object()
			f.InvokeFunc(t.Context(), 1, func(n int, _ error) { o[0] = byte(n) })
			r.InvokeFunc(t.Context(), "bytes", []byte("x"), func(b []byte, _ error) { o[0] = b[0] })
		}
	},
	"instances that are spent": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		var kept []context.Context
		f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			model := w.object()
			return func(ctx context.Context, in int) (int, error) { kept = append(kept, ctx); panic(model[in]) },
				func(context.Context) error { model[0] = 1; return nil }, nil
		}, opts...)
		for range 5 {
			_, err := f.Invoke(t.Context(), 1)
			require.Error(t, err)
		}
		t.Cleanup(func() { runtime.KeepAlive(kept) })
	},
	"instances of functions that are removed": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		for i := range 20 {
			name := fmt.Sprint("model", i)
			f := faas.RegisterInit(r, name, func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
				model := w.object()
				return func(_ context.Context, in int) (int, error) { return int(model[in]), nil }, nil, nil
			}, append(opts, faas.WithMinInstances(1+i%2))...)
			_, err := f.Invoke(t.Context(), 1)
			require.NoError(t, err)
			require.NoError(t, r.Remove(name))
		}
	},
	"functions that are removed": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		for i := range 20 {
			name := fmt.Sprint("f", i)
			o := w.object()
			wrap := func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error { _ = o[0]; return next(ctx, inv) }
			}
			own := [][]faas.FunctionOption{
				nil,
				{faas.WithMiddleware(wrap)},
				{faas.WithMeter(holder{o: o})},
				{faas.WithGate(holder{o: o})},
				{faas.WithScaler(holder{faas.FixedScaler{N: 1}, o})},
				{faas.WithTenantKey(func(context.Context, faas.Invocation) string { return string(o[:0]) })},
			}[i%6]
			f := faas.Register(r, name, func(_ context.Context, in int) (int, error) { return int(o[in]), nil }, append(own, opts...)...)
			_, err := f.Invoke(t.Context(), 1)
			require.NoError(t, err)
			require.NoError(t, r.Remove(name))
		}
	},
	"functions that are removed while a call runs": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		for i := range 6 {
			name := fmt.Sprint("f", i)
			o := w.object()
			started, release := make(chan struct{}), make(chan struct{})
			h := func(ctx context.Context, in int) (int, error) {
				close(started)
				<-release
				return int(o[in]), ctx.Err()
			}
			own := [][]faas.FunctionOption{nil, {faas.WithMinInstances(1)}, {faas.WithTimeout(time.Millisecond)}}[i%3]
			f := faas.Register(r, name, h, append(own, opts...)...)
			done := make(chan struct{})
			go func() { _, _ = f.Invoke(context.Background(), 1); close(done) }()
			<-started
			require.NoError(t, r.Remove(name))
			if i%2 == 0 {
				time.AfterFunc(3*time.Millisecond, func() { close(release) })
			} else {
				close(release)
			}
			<-done
		}
	},
	"inits that fail": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		for i := range 5 {
			name := fmt.Sprint("f", i)
			f := faas.RegisterInit(r, name, func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
				return nil, nil, heldError{w.object()}
			}, opts...)
			_, err := f.Invoke(t.Context(), 1)
			require.ErrorIs(t, err, faas.ErrInit)
			require.NoError(t, r.Remove(name))
		}
	},
	"middlewares that leave the handler running": func(t *testing.T, r *faas.Router, w *ward, opts ...faas.FunctionOption) {
		var wg sync.WaitGroup
		release := make(chan struct{})
		f := faas.Register(r, "f", func(context.Context, *object) (int, error) { <-release; return 0, nil },
			append(opts, faas.WithMiddleware(func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error {
					wg.Go(func() { _ = next(ctx, inv) })
					runtime.Gosched()
					return io.ErrUnexpectedEOF
				}
			}))...)
		for range 20 {
			_, err := f.Invoke(t.Context(), w.object())
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		close(release)
		wg.Wait()
	},
}

type heldWriter struct{ o *object }

func (heldWriter) Write(b []byte) (int, error) { return len(b), nil }

type brokenWriter struct{ o *object }

func (w brokenWriter) Write([]byte) (int, error) { return 0, heldError(w) }

type heldTrace struct{ o *object }

func (heldTrace) Value(any) any       { return nil }
func (heldTrace) End(*faas.Execution) {}

type refuser struct{ w *ward }

func (g refuser) Admit(context.Context, faas.Invocation) error { return heldError{g.w.object()} }
func (refuser) Done(faas.Invocation, *faas.Execution)          {}

// TestWhatEndedCallsHeldIsCollected runs the collector while the slots are idle, and again
// while each slot runs another call, which does not end.
func TestWhatEndedCallsHeldIsCollected(t *testing.T) {
	t.Parallel()
	for what, run := range retained {
		for how, opts := range map[string][]faas.FunctionOption{"on a worker": nil, "inline": {faas.WithInline()}} {
			t.Run(what+", "+how, func(t *testing.T) {
				r := faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)))
				w := &ward{}
				run(t, r, w, opts...)
				assert.Positive(t, r.Stats().Admitted+r.Stats().Rejected[faas.ReasonDenied])
				w.released(t)
				require.NoError(t, r.Close())
			})
			t.Run(what+", "+how+", and another call in the slot", func(t *testing.T) {
				r := faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)))
				w := &ward{}
				run(t, r, w, opts...)
				long := faas.Register(r, "long", heeds, opts...)
				started := make(chan struct{}, 8)
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() { started <- struct{}{}; _, _ = long.Invoke(context.Background(), 0) })
				}
				spin(func() bool { return long.Info().InFlight == 4 })
				w.released(t)
				require.NoError(t, r.Close())
				wg.Wait()
			})
		}
	}
}

func TestAClosedRouterIsCollected(t *testing.T) {
	t.Parallel()
	w := &ward{}
	for i := range 20 {
		o := w.object()
		r := faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)), faas.WithCapacityScaler(faas.SaturationScaler{}),
			faas.WithMeter(holder{o: o}))
		f := faas.Register(r, "f", func(_ context.Context, in int) (int, error) { return int(o[in]), nil })
		g := faas.RegisterInit(r, "g", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			return func(_ context.Context, in int) (int, error) { return int(o[in]), nil }, nil, nil
		}, faas.WithMinInstances(1))
		h := faas.Register(r, "h", func(_ context.Context, in int) (int, error) { return int(o[in]), nil }, faas.WithInline())
		for _, f := range []*faas.Function[int, int]{f, g, h} {
			_, err := f.Invoke(context.WithValue(t.Context(), heldKey{}, o), 1)
			require.NoError(t, err)
		}
		if i%2 == 0 {
			require.NoError(t, r.Close())
		} else {
			require.NoError(t, r.Shutdown(t.Context()))
		}
	}
	w.released(t)
}

func TestDeliveredRecordsAreCollectedWhileTheSinkIsBusyWithTheRest(t *testing.T) {
	t.Parallel()
	w := &ward{}
	gate := make(chan struct{})
	var n atomic.Int64
	b := faas.Buffered(faas.MeterFunc(func(context.Context, faas.Execution) {
		if n.Add(1) == 1 || n.Load() == 9 {
			<-gate
		}
	}), 10)
	for i := range 9 {
		err := error(heldError{})
		if i < 8 {
			err = heldError{w.object()}
		}
		b.Record(context.Background(), faas.Execution{Err: err})
	}
	gate <- struct{}{}
	spin(func() bool { return n.Load() == 9 })
	w.released(t)
	close(gate)
	require.NoError(t, b.Close())
}

// A context that is kept after its call returns the same values and errors as before, although
// what it does not need for that was collected.
func TestAContextThatIsKeptStillKnowsItsCall(t *testing.T) {
	t.Parallel()
	r := router(t)
	var kept []context.Context
	f := faas.Register(r, "f", func(ctx context.Context, in int) (int, error) { kept = append(kept, ctx); return in, nil })
	for i := range 40 {
		_, err := f.Invoke(faas.WithTenant(t.Context(), fmt.Sprint("tenant", i)), 1)
		require.NoError(t, err)
	}
	require.NoError(t, r.Remove("f"))
	runtime.GC()
	for i, ctx := range kept {
		inv, ok := faas.FromContext(ctx)
		require.True(t, ok)
		assert.Equal(t, "f", inv.Function)
		assert.Equal(t, fmt.Sprint("tenant", i), inv.Tenant)
		deadline, ok := ctx.Deadline()
		assert.True(t, ok)
		assert.Equal(t, inv.Deadline, deadline)
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		<-ctx.Done()
		done := make(chan struct{})
		context.AfterFunc(ctx, func() { close(done) })
		<-done
	}
}

// A hammer for the race detector: all methods of kept contexts are called while
// their calls end, and afterwards.
func TestContextsThatAreKeptMayBeAskedWhileTheirCallsEnd(t *testing.T) {
	t.Parallel()
	r := router(t)
	var askers sync.WaitGroup
	ask := func(ctx context.Context) {
		for range 20 {
			_, _ = faas.FromContext(ctx)
			_, _ = ctx.Deadline()
			_ = ctx.Err()
			_ = context.Cause(ctx)
			_ = ctx.Value(heldKey{})
			runtime.Gosched()
		}
		<-ctx.Done()
		_ = ctx.Err()
	}
	leaf := faas.Register(r, "leaf", double)
	for _, opts := range [][]faas.FunctionOption{nil, {faas.WithInline()}, {faas.WithTimeout(time.Microsecond)}, {faas.WithMinInstances(1)}} {
		f, err := faas.TryRegister(r, fmt.Sprint("f", askersName.Add(1)), func(ctx context.Context, in int) (int, error) {
			askers.Go(func() { ask(ctx) })
			askers.Go(func() { _, _ = leaf.Invoke(ctx, in) })
			return in, nil
		}, opts...)
		require.NoError(t, err)
		for i := range 200 {
			if _, err := f.Invoke(faas.WithTenant(t.Context(), fmt.Sprint(i%3)), 1); err != nil {
				require.True(t, errors.Is(err, faas.ErrTimeout) || errors.Is(err, faas.ErrOverloaded), "%v", err)
			}
		}
	}
	askers.Wait()
}

var askersName atomic.Int64
