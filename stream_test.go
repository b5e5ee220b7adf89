package faas_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// sink is a caller's writer that records its pieces. It can be made to wait before it accepts each
// piece, or to do something else instead.
type sink struct {
	wait chan struct{}                     // nil: it accepts each piece at once
	do   func(p []byte) (n int, err error) // called in place of accepting; nil: it accepts each piece
	in   atomic.Int64                      // writes that have begun

	mu     sync.Mutex
	pieces []string
}

func (s *sink) Write(p []byte) (int, error) {
	s.in.Add(1)
	if s.wait != nil {
		<-s.wait
	}
	if s.do != nil {
		return s.do(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pieces = append(s.pieces, string(p))
	return len(p), nil
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.pieces...)
}

// count is a streaming handler that writes the numbers from 1 to n.
func count(_ context.Context, n int, w io.Writer) error {
	for i := range n {
		if _, err := fmt.Fprint(w, i+1); err != nil {
			return err
		}
	}
	return nil
}

func TestEachWriteOfAStreamIsOnePiece(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.RegisterStream(r, "count", count, opts...)
		s := &sink{}
		require.NoError(t, f.Invoke(t.Context(), 12, s))
		assert.Equal(t, strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12"), s.got())
		e := m.last(t)
		assert.Equal(t, faas.OK, e.Outcome)
		assert.Equal(t, 15, e.BytesOut)
		assert.Equal(t, "[]uint8", f.Info().Out.String())
		assert.True(t, f.Info().Stream)
	})
}

func TestAPieceArrivesWhileTheHandlerGoesOn(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		s := &sink{}
		seen := 0
		f := faas.RegisterStream(r, "f", func(_ context.Context, _ int, w io.Writer) error {
			time.Sleep(2 * time.Second)
			n, err := w.Write([]byte("one"))
			synctest.Wait()
			seen = len(s.got())
			time.Sleep(time.Second)
			assert.Equal(t, 3, n)
			return err
		}, opts...)
		require.NoError(t, f.Invoke(t.Context(), 0, s))
		assert.Equal(t, 1, seen)
		e := m.last(t)
		assert.Equal(t, 2*time.Second, e.FirstByte)
		assert.Equal(t, 3*time.Second, e.Duration)
	})
}

func TestAStreamByNameIsDecodedAndGathered(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		faas.RegisterStream(r, "count", count, opts...)
		out, err := r.Invoke(t.Context(), "count", []byte("5"))
		require.NoError(t, err)
		assert.Equal(t, "12345", string(out))
		assert.Equal(t, 1, m.last(t).BytesIn)

		s := &sink{}
		require.NoError(t, r.InvokeStream(t.Context(), "count", []byte("3"), s))
		assert.Equal(t, []string{"1", "2", "3"}, s.got())
		assert.Equal(t, 3, m.last(t).BytesOut)

		require.ErrorIs(t, r.InvokeStream(t.Context(), "count", []byte("x"), s), faas.ErrInput)
		require.ErrorIs(t, r.InvokeStream(t.Context(), "nobody", nil, s), faas.ErrNotFound)
		_, err = r.Invoke(t.Context(), "count", []byte("x"))
		require.ErrorIs(t, err, faas.ErrInput)
		_, err = faas.Lookup[int, []byte](r, "count")
		require.ErrorIs(t, err, faas.ErrType)
	})
}

func TestAnOrdinaryFunctionStreamsItsOneAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "double", double)
		faas.Register(r, "silent", func(context.Context, struct{}) ([]byte, error) { return nil, nil })
		s := &sink{}
		require.NoError(t, r.InvokeStream(t.Context(), "double", []byte("21"), s))
		require.NoError(t, r.InvokeStream(t.Context(), "silent", nil, s))
		assert.Equal(t, []string{"42"}, s.got())

		boom := errors.New("boom")
		err := r.InvokeStream(t.Context(), "double", []byte("21"), &sink{do: func([]byte) (int, error) { return 0, boom }})
		require.ErrorIs(t, err, boom)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestASlowReaderHoldsNoSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithConcurrency(1), faas.WithQueue(0))
		f := faas.RegisterStream(r, "count", count)
		slow := &sink{wait: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- f.Invoke(t.Context(), 100, slow) }()
		synctest.Wait()
		require.Equal(t, faas.OK, m.last(t).Outcome, "recorded before its caller has read it")
		require.Zero(t, f.Info().InFlight)

		require.NoError(t, f.Invoke(t.Context(), 1, io.Discard), "the only slot is free")
		require.Empty(t, done)
		close(slow.wait)
		require.NoError(t, <-done)
		assert.Len(t, slow.got(), 100, "and nothing is lost")
	})
}

func TestAWriterThatFailsCancelsItsCall(t *testing.T) {
	boom := errors.New("boom")
	for name, do := range map[string]func(p []byte) (int, error){
		"error":  func([]byte) (int, error) { return 0, boom },
		"short":  func(p []byte) (int, error) { return len(p) - 1, nil },
		"panic":  func([]byte) (int, error) { panic(boom) },
		"goexit": func([]byte) (int, error) { runtime.Goexit(); return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m))
				var late error
				f := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, w io.Writer) error {
					_, err := w.Write([]byte("piece"))
					assert.NoError(t, err)
					<-ctx.Done()
					_, late = w.Write([]byte("more"))
					return ctx.Err()
				}, opts...)
				s := &sink{do: do}
				err := f.Invoke(t.Context(), 0, s)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, late, context.Canceled)
				assert.EqualValues(t, 1, s.in.Load())
				assert.Equal(t, faas.Canceled, m.last(t).Outcome)
				assert.Equal(t, 5, m.last(t).BytesOut)
				var p *faas.PanicError
				switch name {
				case "short":
					require.ErrorIs(t, err, io.ErrShortWrite)
				case "panic":
					require.ErrorAs(t, err, &p)
				case "error":
					require.ErrorIs(t, err, boom)
				}
			})
		})
	}
}

func TestAWriterThatFailsAfterTheHandlerLeavesTheRecord(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.RegisterStream(r, "count", count, opts...)
		boom := errors.New("boom")
		s := &sink{wait: make(chan struct{}), do: func([]byte) (int, error) { return 0, boom }}
		time.AfterFunc(time.Second, func() { close(s.wait) })
		require.ErrorIs(t, f.Invoke(t.Context(), 3, s), boom)
		assert.Equal(t, faas.OK, m.last(t).Outcome)
		assert.EqualValues(t, 1, s.in.Load())
	})
}

func TestWhatAHandlerWroteBeforeItFailedArrives(t *testing.T) {
	boom := errors.New("boom")
	for name, end := range map[string]func() error{
		"error": func() error { return boom },
		"panic": func() error { panic(boom) },
	} {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
				r := router(t)
				f := faas.RegisterStream(r, "f", func(ctx context.Context, n int, w io.Writer) error {
					_ = count(ctx, n, w)
					return end()
				}, opts...)
				s := &sink{}
				require.ErrorIs(t, f.Invoke(t.Context(), 3, s), boom)
				assert.Equal(t, []string{"1", "2", "3"}, s.got())
				_, err := r.Invoke(t.Context(), "f", []byte("3"))
				require.ErrorIs(t, err, boom)
			})
		})
	}
}

func TestAStreamIsBoundedByTheOutputLimit(t *testing.T) {
	for name, swallow := range map[string]bool{"told": false, "swallowed": true} {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m), faas.WithLimits(100, 10))
				f := faas.RegisterStream(r, "f", func(_ context.Context, n int, w io.Writer) error {
					_, first := w.Write(make([]byte, 6))
					assert.NoError(t, first)
					got, err := w.Write(make([]byte, n))
					assert.Equal(t, n > 4, err != nil)
					if err != nil {
						assert.Zero(t, got)
						_, again := w.Write([]byte{0})
						assert.ErrorIs(t, again, faas.ErrTooLarge, "nothing comes after a hole")
					}
					if swallow {
						return nil
					}
					return err
				}, opts...)
				require.NoError(t, f.Invoke(t.Context(), 4, io.Discard))
				err := f.Invoke(t.Context(), 5, io.Discard)
				require.ErrorIs(t, err, faas.ErrTooLarge)
				require.ErrorIs(t, err, faas.ErrOutput)
				assert.Equal(t, faas.OutputInvalid, m.last(t).Outcome)
				assert.Equal(t, 6, m.last(t).BytesOut)
				_, err = r.Invoke(t.Context(), "f", []byte("5"))
				require.ErrorIs(t, err, faas.ErrTooLarge)
			})
		})
	}
}

func TestADeafStreamNeverTouchesItsCallersWriterAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Second))
		release, late := make(chan struct{}), make(chan error, 1)
		f := faas.RegisterStream(r, "deaf", func(_ context.Context, _ int, w io.Writer) error {
			_, _ = w.Write([]byte("early"))
			<-release
			_, err := w.Write([]byte("late"))
			late <- err
			return nil
		})
		s := &sink{}
		start := time.Now()
		err := f.Invoke(t.Context(), 0, s)
		require.ErrorIs(t, err, faas.ErrTimeout)
		require.Equal(t, time.Second, time.Since(start))
		close(release)
		require.ErrorIs(t, <-late, context.DeadlineExceeded)
		synctest.Wait()
		assert.Equal(t, []string{"early"}, s.got())
		e := m.last(t)
		assert.Equal(t, faas.TimedOut, e.Outcome)
		assert.Equal(t, 5, e.BytesOut)
		assert.Len(t, m.all(), 1)
	})
}

func TestACallThatIsEndedDropsWhatIsNotHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Second))
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, w io.Writer) error {
			_ = count(ctx, 3, w)
			<-ctx.Done()
			return ctx.Err()
		})
		s := &sink{wait: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- f.Invoke(t.Context(), 0, s) }()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Empty(t, done, "its own writer holds the caller")
		close(s.wait)
		require.ErrorIs(t, <-done, faas.ErrTimeout)
		assert.Equal(t, []string{"1"}, s.got())
	})
}

func TestACallerThatLeavesBeforeTheRestIsSentGetsAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.RegisterStream(r, "count", count)
		ctx, cancel := context.WithCancel(t.Context())
		s := &sink{wait: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- f.Invoke(ctx, 3, s) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(s.wait)
		require.ErrorIs(t, <-done, context.Canceled)
		assert.Equal(t, []string{"1"}, s.got())
		assert.Equal(t, faas.OK, m.last(t).Outcome)
	})
}

func TestCloseEndsAStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, w io.Writer) error {
			for {
				if _, err := w.Write([]byte("tick")); err != nil {
					return err
				}
				time.Sleep(time.Second)
			}
		})
		s := &sink{}
		done := make(chan error, 1)
		go func() { done <- f.Invoke(t.Context(), 0, s) }()
		time.Sleep(2500 * time.Millisecond)
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-done, faas.ErrClosed)
		assert.Len(t, s.got(), 3)
		assert.Equal(t, 12, m.last(t).BytesOut)
		assert.Equal(t, faas.Canceled, m.last(t).Outcome)
		require.ErrorIs(t, f.Invoke(t.Context(), 0, s), faas.ErrClosed)
	})
}

func TestAnInlineStreamThatEndsItsGoroutineLeavesTheWriterAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		s := &sink{wait: make(chan struct{})}
		f := faas.RegisterStream(r, "f", func(_ context.Context, _ int, w io.Writer) error {
			_, _ = w.Write([]byte("1"))
			for s.in.Load() == 0 { // until the sink's Write has begun
				time.Sleep(time.Millisecond)
			}
			_, _ = w.Write([]byte("2"))
			exit()
			return nil
		}, faas.WithInline())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = f.Invoke(t.Context(), 0, s)
		}()
		time.Sleep(time.Second)
		close(s.wait)
		<-gone
		synctest.Wait()
		assert.Len(t, s.got(), 1)
		assert.Equal(t, faas.Exited, m.last(t).Outcome)
	})
}

func TestAStreamNeedsAWriterAndAContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.RegisterStream(r, "count", count)
		faas.Register(r, "double", double)
		require.ErrorIs(t, f.Invoke(t.Context(), 1, nil), faas.ErrInput)
		require.ErrorIs(t, f.Invoke(nil, 1, io.Discard), faas.ErrInput) //nolint:staticcheck // a nil context is what is tested
		require.ErrorIs(t, r.InvokeStream(t.Context(), "count", []byte("1"), nil), faas.ErrInput)
		require.ErrorIs(t, r.InvokeStream(t.Context(), "double", []byte("1"), nil), faas.ErrInput)
		assert.EqualValues(t, 3, f.Info().Rejected[faas.ReasonInput])
		assert.Zero(t, f.Info().Admitted)

		_, err := faas.TryRegisterStream[int](r, "nil", nil)
		require.ErrorIs(t, err, faas.ErrInput)
		_, err = faas.TryRegisterStream(r, "count", count)
		require.ErrorIs(t, err, faas.ErrDuplicate)
		_, err = faas.TryRegisterStream(r, "", count)
		require.ErrorIs(t, err, faas.ErrName)
		assert.Panics(t, func() { faas.RegisterStream(r, "count", count) })
	})
}

func TestAStreamsPiecesAreCopies(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		r := router(t)
		f := faas.RegisterStream(r, "f", func(_ context.Context, in []int, w io.Writer) error {
			in[0] = 7
			b := []byte("a")
			for range 3 {
				_, _ = w.Write(b)
				b[0]++
			}
			return nil
		}, append(opts, faas.WithCopy())...)
		s := &sink{wait: make(chan struct{})}
		time.AfterFunc(time.Second, func() { close(s.wait) })
		in := []int{1}
		require.NoError(t, f.Invoke(t.Context(), in, s))
		assert.Equal(t, []string{"a", "b", "c"}, s.got())
		assert.Equal(t, []int{1}, in)
	})
}

func TestAStreamPassesItsMiddlewaresAndMeters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := &recorder{}, &recorder{}
		var around []string
		r := router(t, faas.WithMeter(one), faas.WithMeter(two), faas.WithMiddleware(func(next faas.Runner) faas.Runner {
			return func(ctx context.Context, inv faas.Invocation) error {
				around = append(around, inv.Function)
				return next(context.WithValue(ctx, sinkKey{}, 1), inv)
			}
		}))
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ int, w io.Writer) error {
			return json.NewEncoder(w).Encode(ctx.Value(sinkKey{}))
		})
		var out bytes.Buffer
		require.NoError(t, f.Invoke(t.Context(), 0, &out))
		assert.Equal(t, "1\n", out.String())
		assert.Equal(t, []string{"f"}, around)
		assert.Equal(t, one.last(t).BytesOut, two.last(t).BytesOut)
	})
}

type sinkKey struct{}

// TestStreamsUnderLoad is for the race detector. It has handlers that write from
// several goroutines and continue after the end of their calls, callers that leave, writers
// that fail, and a router that closes.
func TestStreamsUnderLoad(t *testing.T) {
	t.Parallel()
	m := &recorder{}
	r := router(t, faas.WithMeter(m), faas.WithConcurrency(8), faas.WithTimeout(20*time.Millisecond))
	f := faas.RegisterStream(r, "f", func(ctx context.Context, n int, w io.Writer) error {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _ = count(ctx, n, w) })
		}
		if n%7 == 0 {
			<-ctx.Done()
			go func() { _ = count(ctx, n, w) }()
		}
		wg.Wait()
		return nil
	})
	var returned atomic.Int64
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			for n := range 100 {
				over := atomic.Bool{}
				s := &sink{do: func(p []byte) (int, error) {
					assert.False(t, over.Load(), "touched after the end")
					if i%5 == 0 && n%3 == 0 {
						return 0, io.ErrClosedPipe
					}
					return len(p), nil
				}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+n%30)*time.Millisecond)
				if err := f.Invoke(ctx, n, s); !errors.Is(err, faas.ErrOverloaded) {
					returned.Add(1)
				}
				over.Store(true)
				cancel()
			}
		})
	}
	callers.Wait()
	i := f.Info()
	assert.EqualValues(t, len(m.all()), i.Admitted)
	assert.Zero(t, i.InFlight)
	assert.Positive(t, returned.Load())
}

func TestADryRunAsksTheGatesAndMakesNoCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m, g := &recorder{}, &doorman{}
		r := router(t, faas.WithMeter(m), faas.WithGate(g))
		faas.Register(r, "double", double)
		require.NoError(t, r.DryRun(faas.WithTenant(t.Context(), "friend"), "double"))
		err := r.DryRun(t.Context(), "double")
		require.ErrorIs(t, err, faas.ErrDenied)
		assert.Equal(t, 1, g.admitted)
		assert.Equal(t, 1, g.undone)
		require.ErrorIs(t, r.DryRun(t.Context(), "nobody"), faas.ErrNotFound)
		require.ErrorIs(t, r.DryRun(t.Context(), "no/body"), faas.ErrName)
		require.ErrorIs(t, r.DryRun(nil, "double"), faas.ErrInput) //nolint:staticcheck // a nil context is what is tested
		s := r.Stats()
		assert.Zero(t, s.Admitted)
		assert.Empty(t, s.Rejected)
		assert.Empty(t, m.all())
		assert.False(t, s.Closing)
		require.NoError(t, r.Close())
		assert.True(t, r.Stats().Closing)
		require.ErrorIs(t, r.DryRun(faas.WithTenant(t.Context(), "friend"), "double"), faas.ErrClosed)
	})
}

// doorman is a gate that admits only the calls of the tenant "friend".
type doorman struct{ admitted, undone int }

func (d *doorman) Admit(_ context.Context, inv faas.Invocation) error {
	if inv.Tenant != "friend" {
		return errors.New("not a friend")
	}
	d.admitted++
	return nil
}

func (d *doorman) Done(_ faas.Invocation, e *faas.Execution) {
	if e == nil {
		d.undone++
	}
}
