package faas_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// A. How a function can end.

var errSentinel = errors.New("sentinel")

// asPanic asserts that err is a panic of the function, and returns it.
func asPanic(t *testing.T, err error) *faas.PanicError {
	t.Helper()
	var p *faas.PanicError
	require.ErrorAs(t, err, &p)
	var e *faas.Error
	require.ErrorAs(t, err, &e)
	assert.Empty(t, e.Reason, "a call that ran was not refused")
	return p
}

func TestA01_AReturnIsDeliveredAndMeteredToTheNanosecond(t *testing.T) {
	t.Parallel()
	const took = 1500*time.Millisecond + 7
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(_ context.Context, in string) (string, error) {
			time.Sleep(took)
			return in + "!", nil
		})
		began := time.Now()

		out, err := call(t.Context(), h, f, "hello")

		require.NoError(t, err)
		assert.Equal(t, "hello!", out)
		assert.Equal(t, took, time.Since(began))
		e := h.last(t)
		assert.Equal(t, faas.OK, e.Outcome)
		assert.Equal(t, took, e.Duration)
		assert.True(t, e.Start.Equal(began))
	})
}

func TestA02_AnErrorOfTheHandlerComesBackUntouchedAndItsOutputDoesNot(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		own := fmt.Errorf("no luck: %w", errSentinel)
		f := serve(h, "f", func(context.Context, int) (int, error) { return 7, own })

		out, err := call(t.Context(), h, f, 0)

		assert.Same(t, own, err)
		assert.ErrorIs(t, err, errSentinel)
		assert.Zero(t, out)
		assert.Equal(t, faas.Failed, h.last(t).Outcome)
	})
}

func TestA03_PanicBecomesAnError(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { panic("boom") })

		_, err := call(t.Context(), h, f, 0)

		p := asPanic(t, err)
		assert.Equal(t, "boom", p.Value)
		assert.Contains(t, firstFrame(t, p.Stack), "TestA03", "the handler is the first to be named")
		assert.Contains(t, err.Error(), "boom")
		assert.NotContains(t, err.Error(), ".go:", "the stack is not for the public")
		assert.Equal(t, faas.Panicked, h.last(t).Outcome)
	})
}

// firstFrame returns the function that called panic.
func firstFrame(t *testing.T, stack []byte) string {
	t.Helper()
	lines := strings.Split(string(stack), "\n")
	require.Greater(t, len(lines), 3)
	require.True(t, strings.HasPrefix(lines[1], "panic("), string(stack))
	return lines[3]
}

func TestA03_PanicOfAMiddlewareIsThePanicOfTheCall(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		bad := false
		f := serve(h, "f", func(context.Context, int) (int, error) { return 1, nil },
			faas.WithMiddleware(func(next faas.Runner) faas.Runner {
				return func(ctx context.Context, inv faas.Invocation) error {
					err := next(ctx, inv)
					if bad {
						panic("after the handler")
					}
					return err
				}
			}))
		bad = true

		_, err := call(t.Context(), h, f, 0)

		assert.Equal(t, "after the handler", asPanic(t, err).Value)
		bad = false
	})
}

func TestA04_PanicNilIsAPanic(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { panic(nil) })

		_, err := call(t.Context(), h, f, 0)

		_ = asPanic(t, err)
		var nilPanic *runtime.PanicNilError
		assert.ErrorAs(t, err, &nilPanic)
		assert.Equal(t, faas.Panicked, h.last(t).Outcome)
	})
}

// With the old meaning of panic(nil), recover returns nil, as if there were no panic.
func TestA04_PanicNilOfOldIsNeverOK(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		passInChild(t, "GODEBUG=panicnil=1")
		return
	}
	require.True(t, panicNilIsNil(), "GODEBUG has no effect")
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { panic(nil) })

		_, err := call(t.Context(), h, f, 0)

		assert.ErrorIs(t, err, faas.ErrExited)
		assert.Equal(t, faas.Exited, h.last(t).Outcome)
	})
}

func panicNilIsNil() (old bool) {
	defer func() { old = recover() == nil }()
	panic(nil)
}

// explosive is an error that can't be formatted.
type explosive struct{}

func (*explosive) Error() string                { panic("a trap in Error") }
func (*explosive) String() string               { panic("a trap in String") }
func (*explosive) Format(fmt.State, rune)       { panic("a trap in Format") }
func (*explosive) LogValue() slog.Value         { panic("a trap in LogValue") }
func (*explosive) MarshalText() ([]byte, error) { panic("a trap in MarshalText") }

// tarpit is an error whose Error method takes very long.
type tarpit struct{}

func (*tarpit) Error() string  { time.Sleep(time.Hour); return "at last" }
func (*tarpit) String() string { time.Sleep(time.Hour); return "at last" }

func TestA07_APoisonousErrorIsHandedOverUnread(t *testing.T) {
	t.Parallel()
	for _, poison := range []error{&explosive{}, &tarpit{}} {
		eachWay(t, func(t *testing.T, h *host) {
			f := serve(h, "f", func(context.Context, int) (int, error) { return 0, poison })
			began := time.Now()

			_, err := call(t.Context(), h, f, 0)

			assert.Same(t, poison, err, "it is the handler's own")
			assert.Zero(t, time.Since(began), "nobody has asked for its text")
			assert.Equal(t, faas.Failed, h.last(t).Outcome)
		})
	}
}

func TestA07_APoisonousPanicIsHandedOverUnread(t *testing.T) {
	t.Parallel()
	for _, poison := range []error{&explosive{}, &tarpit{}} {
		eachWay(t, func(t *testing.T, h *host) {
			f := serve(h, "f", func(context.Context, int) (int, error) { panic(poison) })
			began := time.Now()

			_, err := call(t.Context(), h, f, 0)

			p := asPanic(t, err)
			assert.Same(t, poison, p.Value)
			assert.NotEmpty(t, p.Stack)
			assert.Zero(t, time.Since(began), "nobody has asked for its text")
		})
	}
}

func TestA07_TheTextOfATrapIsAPlaceholder(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { panic(&explosive{}) })

		_, err := call(t.Context(), h, f, 0)

		assert.Contains(t, err.Error(), "*faas_test.explosive")
		assert.Contains(t, fmt.Sprintf("%v %+v %s", err, err, err), "*faas_test.explosive")
	})
}

// After the deadline no caller is left to get a panic, so it is logged.
func TestA07_ALatePoisonousPanicIsLoggedByItsType(t *testing.T) {
	t.Parallel()
	for _, poison := range []error{&explosive{}, &tarpit{}} {
		fault(t, func(t *testing.T, h *host) {
			f := serve(h, "f", func(context.Context, int) (int, error) {
				time.Sleep(time.Minute)
				panic(poison)
			}, faas.WithTimeout(time.Second))
			_, err := call(t.Context(), h, f, 0)
			require.ErrorIs(t, err, faas.ErrTimeout)

			time.Sleep(time.Hour / 2) // less than the tarpit takes

			assert.Contains(t, h.log.String(), "handler panicked after its call was over")
			assert.Contains(t, h.log.String(), fmt.Sprintf("%T", poison))
			assert.Zero(t, h.Stats().Runaways)
		})
	}
}

func TestA08_GoexitIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { runtime.Goexit(); return 1, nil })
		for range 3 * slots {
			began := time.Now()

			_, err := call(t.Context(), h, f, 0)

			require.ErrorIs(t, err, faas.ErrExited)
			assert.Zero(t, time.Since(began))
			assert.Equal(t, faas.Exited, h.last(t).Outcome)
		}
	})
}

// An inline handler that calls Goexit ends the caller's goroutine: no answer is possible.
func TestA08_AnInlineGoexitEndsItsCallerAndIsRecorded(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) { runtime.Goexit(); return 1, nil }, faas.WithInline())
		for range 3 * slots {
			answer := outcomeOf(t.Context(), h, f, 0)
			synctest.Wait()
			assert.Empty(t, answer)
			assert.Equal(t, faas.Exited, h.last(t).Outcome)
		}
	})
}

// A deferred function may panic while Goexit runs it. The panic can be recovered, but the goroutine
// ends nevertheless. Such a panic must not be taken for one after which the worker lives on.
func TestA08_GoexitThatPanicsOnItsWayOutCostsNoSlot(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) {
			defer func() { panic("on the way out") }()
			runtime.Goexit()
			return 1, nil
		})
		for range 3 * slots {
			began := time.Now()

			_, err := call(t.Context(), h, f, 0)

			require.Error(t, err)
			assert.NotErrorIs(t, err, faas.ErrTimeout)
			assert.Zero(t, time.Since(began))
		}
	})
}

func TestA08_APanicThatTurnsIntoGoexitCostsNoSlot(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) {
			defer runtime.Goexit()
			panic("not to the end")
		})

		_, err := call(t.Context(), h, f, 0)

		assert.ErrorIs(t, err, faas.ErrExited)
	})
}

func TestA08_GoexitAfterTheDeadlineCostsNoSlot(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (int, error) {
			time.Sleep(time.Minute)
			runtime.Goexit()
			return 1, nil
		}, faas.WithTimeout(time.Second))

		_, err := call(t.Context(), h, f, 0)

		require.ErrorIs(t, err, faas.ErrTimeout)
		time.Sleep(time.Minute)
		assert.Len(t, h.overran(), 1)
	})
}

// A handler that is part of a test calls FailNow. The test has to fail at once, and not when its
// -timeout passes.
func TestA09_FailNowInAHandlerEndsTheCallAndFailsTheTest(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		code, out := runChild(t)
		assert.Equal(t, 1, code, out)
		assert.Contains(t, out, "--- FAIL: "+t.Name())
		assert.Contains(t, out, "two and two", "what require has to say")
		assert.Contains(t, out, "the caller was answered: exited")
		return
	}
	h := newHost()
	defer h.Close()
	f := serve(h, "f", func(context.Context, int) (int, error) {
		require.Equal(t, 5, 2+2, "two and two")
		return 1, nil
	})

	_, err := call(t.Context(), h, f, 0)

	if errors.Is(err, faas.ErrExited) && h.last(t).Outcome == faas.Exited {
		t.Log("the caller was answered: exited")
	}
}

// asRuntimeError runs a handler that breaks a rule of the language.
func asRuntimeError(t *testing.T, text string, handler faas.Handler[int, int]) {
	t.Helper()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", handler)

		_, err := call(t.Context(), h, f, 0)

		_ = asPanic(t, err)
		var broken runtime.Error
		require.ErrorAs(t, err, &broken)
		assert.Contains(t, broken.Error(), text)
		assert.Equal(t, faas.Panicked, h.last(t).Outcome)
	})
}

func TestA10_AWriteToANilMapIsAPanic(t *testing.T) {
	t.Parallel()
	asRuntimeError(t, "nil map", func(_ context.Context, in int) (int, error) {
		var m map[int]int
		write := func(k int) { m[k] = 1 }
		write(in)
		return 1, nil
	})
}

func TestA10_ANilDereferenceIsAPanic(t *testing.T) {
	t.Parallel()
	asRuntimeError(t, "nil pointer", func(context.Context, int) (int, error) {
		var p *int
		return *p, nil
	})
}

func TestA10_AnIndexOutOfRangeIsAPanic(t *testing.T) {
	t.Parallel()
	asRuntimeError(t, "index out of range", func(_ context.Context, in int) (int, error) {
		return []int{1, 2, 3}[in+3], nil
	})
}

func TestA10_AnImpossibleMakeIsAPanic(t *testing.T) {
	t.Parallel()
	asRuntimeError(t, "makeslice", func(_ context.Context, in int) (int, error) {
		return len(make([]byte, in-1)), nil
	})
}

// handlerWithALooseGoroutine panics on a goroutine of its own. The platform can't protect its host from that.
func handlerWithALooseGoroutine(context.Context, int) (int, error) {
	go func() { panic("loose") }()
	return 1, nil
}

func TestA13_APanicInAGoroutineOfTheHandlersOwnEndsTheHostAndNamesTheHandler(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		code, out := runChild(t)
		assert.Equal(t, 2, code, out)
		assert.Contains(t, out, "panic: loose")
		assert.Contains(t, out, "created by github.com/inproc/faas_test.handlerWithALooseGoroutine")
		return
	}
	r := faas.New()
	f := faas.Register(r, "f", handlerWithALooseGoroutine)
	for {
		_, _ = f.Invoke(t.Context(), 0) // until the other goroutine has run
	}
}
