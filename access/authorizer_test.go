package access_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
)

func yes(context.Context, access.Principal, faas.Invocation) error { return nil }

func TestTheAuthorizerConformsToWhatTheRouterExpectsOfAGate(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]access.Option{"goroutine": nil, "inline": {access.WithInline()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faastest.TestGate(t, func(*testing.T) (faas.Gate, func() int) {
				return access.Authorizer(yes, opts...), nil
			})
		})
	}
	t.Run("blocks every twentieth time", func(t *testing.T) {
		t.Parallel()
		faastest.TestGate(t, func(t *testing.T) (faas.Gate, func() int) {
			t.Helper()
			var mu sync.Mutex
			asked, release := 0, make(chan struct{})
			t.Cleanup(func() { close(release) })
			return access.Authorizer(func(context.Context, access.Principal, faas.Invocation) error {
				mu.Lock()
				asked++
				blocks := asked%20 == 0
				mu.Unlock()
				if blocks {
					<-release
				}
				return nil
			}, access.WithLogger(slog.New(slog.DiscardHandler))), nil
		})
	})
}

func TestAnAuthorizerThatSaysYesLetsTheCallThrough(t *testing.T) {
	ways(t, func(t *testing.T, opts ...access.Option) {
		var seen access.Principal
		var of faas.Invocation
		s := newSite(t, func(_ context.Context, p access.Principal, inv faas.Invocation) error {
			seen, of = p, inv
			return nil
		}, opts...)
		out, err := s.f.Invoke(as(t, ana), 7)
		require.NoError(t, err)
		assert.Equal(t, 7, out)
		assert.Equal(t, ana, seen)
		assert.Equal(t, "f", of.Function)
		assert.Equal(t, "acme", of.Tenant)
		assert.Empty(t, s.log.String())
	})
}

// shut asserts that a call was denied before its handler ran.
func shut(t *testing.T, s *site, err error, why faas.Reason) {
	t.Helper()
	require.ErrorIs(t, err, faas.ErrDenied)
	var e *faas.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, why, e.Reason)
	assert.Equal(t, "f", denialOf(t, err).Function)
	assert.Zero(t, s.entered.Load(), "the handler is not entered")
	assert.Empty(t, s.records.Executions(), "and nothing is recorded")
	assert.EqualValues(t, 1, s.f.Info().Rejected[why])
	assert.Zero(t, s.Stats().HookPanics)
}

func denialOf(t *testing.T, err error) *access.DeniedError {
	t.Helper()
	var d *access.DeniedError
	require.ErrorAs(t, err, &d)
	return d
}

var errNo = errors.New("not on a Sunday")

func TestE05_AnAuthorizerThatAnswersAnErrorDenies(t *testing.T) {
	ways(t, func(t *testing.T, opts ...access.Option) {
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error { return errNo }, opts...)
		_, err := s.f.Invoke(as(t, ana), 0)
		shut(t, s, err, faas.ReasonDenied)
		require.ErrorIs(t, err, errNo)
		assert.Equal(t, ana, denialOf(t, err).Principal)
		assert.Contains(t, err.Error(), `denied to user "ana": not on a Sunday`)
		assert.Empty(t, s.log.String(), "a decided no is no news")
	})
}

func TestE05_AnAuthorizerThatPanicsDenies(t *testing.T) {
	ways(t, func(t *testing.T, opts ...access.Option) {
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error { panic(errNo) }, opts...)
		_, err := s.f.Invoke(as(t, ana), 0)
		shut(t, s, err, access.ReasonUnanswered)
		var p *faas.PanicError
		require.ErrorAs(t, err, &p)
		assert.Equal(t, errNo, p.Value)
		assert.Contains(t, s.log.String(), "panic (*errors.errorString)")
		assert.NotContains(t, s.log.String(), "Sunday", "the text is somebody else's")
	})
}

func TestE05_AnAuthorizerThatEndsItsGoroutineDenies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error { runtime.Goexit(); return nil })
		_, err := s.f.Invoke(as(t, ana), 0)
		shut(t, s, err, access.ReasonUnanswered)
		assert.ErrorIs(t, err, access.ErrUnanswered)
	})
}

func TestE05_AnAuthorizerThatBlocksDeniesWhenItsTimeIsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error { <-release; return nil })
		began := time.Now()
		_, err := s.f.Invoke(as(t, ana), 0)
		shut(t, s, err, access.ReasonUnanswered)
		require.ErrorIs(t, err, access.ErrUnanswered)
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "a front would answer it as a timeout of the function")
		assert.Equal(t, time.Second, time.Since(began))
		assert.Contains(t, s.log.String(), "within 1s")
	})
}

func TestE05_AnAuthorizerIsToldThatNobodyWaitsAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := make(chan error, 1)
		s := newSite(t, func(ctx context.Context, _ access.Principal, _ faas.Invocation) error {
			<-ctx.Done()
			told <- ctx.Err()
			return nil
		}, access.WithTimeout(time.Minute))
		began := time.Now()
		ctx, cancel := context.WithTimeout(as(t, ana), time.Second)
		defer cancel()
		_, err := s.f.Invoke(ctx, 0)
		shut(t, s, err, access.ReasonUnanswered)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the caller's own")
		assert.Equal(t, time.Second, time.Since(began))
		assert.ErrorIs(t, <-told, context.DeadlineExceeded)
		assert.Empty(t, s.log.String(), "that a caller leaves is no news")
	})
}

func TestACallerWhoHasLeftIsNotLetInByAnAuthorizerThatDoesNotLook(t *testing.T) {
	ways(t, func(t *testing.T, opts ...access.Option) {
		s := newSite(t, yes, opts...)
		ctx, cancel := context.WithCancel(as(t, ana))
		cancel()
		gate := access.Authorizer(yes, opts...)
		err := gate.Admit(ctx, faas.Invocation{Function: "f"})
		require.ErrorIs(t, err, faas.ErrDenied)
		require.ErrorIs(t, err, context.Canceled)
		_, err = s.f.Invoke(ctx, 0)
		assert.Error(t, err)
		assert.Zero(t, s.entered.Load())
	})
}

func TestThereAreNoMoreGoroutinesOfAnAuthorizerThatBlocksThanAllowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit, callers = 4, 40
		release := make(chan struct{})
		running, most := 0, 0
		var mu sync.Mutex
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}, access.WithGoroutines(limit))
		began := time.Now()
		answers := make(chan error, callers)
		ctx := as(t, ana)
		for range callers {
			go func() { _, err := s.f.Invoke(ctx, 0); answers <- err }()
		}
		for range callers {
			assert.ErrorIs(t, <-answers, access.ErrUnanswered)
		}
		assert.Equal(t, time.Second, time.Since(began), "all at once")
		mu.Lock()
		assert.Equal(t, limit, most)
		mu.Unlock()

		_, err := s.f.Invoke(ctx, 0)
		require.ErrorIs(t, err, access.ErrUnanswered)
		assert.Contains(t, err.Error(), "all 4 of its goroutines are stuck")
		assert.Equal(t, time.Second, time.Since(began), "and now nobody waits")

		close(release)
		synctest.Wait()
		mu.Lock()
		assert.Zero(t, running)
		mu.Unlock()
		_, err = s.f.Invoke(ctx, 0)
		require.NoError(t, err, "when they return, calls are judged again")
		assert.EqualValues(t, 1, s.entered.Load())
	})
}

func TestACallWaitsForAGoroutineWithinItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error {
			time.Sleep(400 * time.Millisecond)
			return nil
		}, access.WithGoroutines(1))
		began := time.Now()
		answers := make(chan error, 3)
		ctx := as(t, ana)
		for range 3 {
			go func() { _, err := s.f.Invoke(ctx, 0); answers <- err }()
		}
		require.NoError(t, <-answers)
		require.NoError(t, <-answers)
		require.ErrorIs(t, <-answers, access.ErrUnanswered)
		assert.Equal(t, time.Second, time.Since(began))
		synctest.Wait()
		time.Sleep(time.Second)
		_, err := s.f.Invoke(ctx, 0)
		assert.NoError(t, err, "what was given up has come back")
	})
}

func TestWhatWasStuckAndCameBackKeepsNobodyFromWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var takes atomic.Int64
		takes.Store(int64(2 * time.Second))
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error {
			time.Sleep(time.Duration(takes.Load()))
			return nil
		}, access.WithGoroutines(1))
		ctx := as(t, ana)
		_, err := s.f.Invoke(ctx, 0)
		require.ErrorIs(t, err, access.ErrUnanswered)
		time.Sleep(time.Minute)
		takes.Store(int64(400 * time.Millisecond))
		answers := make(chan error, 2)
		for range 2 {
			go func() { _, err := s.f.Invoke(ctx, 0); answers <- err }()
		}
		assert.NoError(t, <-answers)
		assert.NoError(t, <-answers)
	})
}

func TestAnAuthorizerChoosesTheReasonAndTheCallIsDeniedAllTheSame(t *testing.T) {
	ways(t, func(t *testing.T, opts ...access.Option) {
		for _, sentinel := range []error{faas.ErrOverloaded, faas.ErrNotFound, faas.ErrTimeout, nil} {
			s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error {
				return &faas.Error{Op: "invoke", Function: "policy", Reason: "quota", RetryAfter: time.Minute, Err: sentinel}
			}, opts...)
			_, err := s.f.Invoke(as(t, ana), 0)
			shut(t, s, err, "quota")
			if sentinel != nil {
				require.NotErrorIs(t, err, sentinel, "it is about some other call")
				require.ErrorIs(t, denialOf(t, err).Cause, sentinel, "and can be found by who looks for it")
			}
			var e *faas.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, time.Minute, e.RetryAfter)
			assert.Equal(t, "f", e.Function)
		}
	})
}

type explosive struct{}

func (explosive) Error() string { panic("don't ask") }

func TestADenialCanBePrintedWhateverItsCauseIs(t *testing.T) {
	ways(t, func(t *testing.T, opts ...access.Option) {
		s := newSite(t, func(context.Context, access.Principal, faas.Invocation) error { return explosive{} }, opts...)
		_, err := s.f.Invoke(as(t, ana), 0)
		shut(t, s, err, faas.ReasonDenied)
		assert.NotPanics(t, func() { _ = err.Error() })
	})
}

func TestAnAuthorizerThatCannotWorkIsFoundWhenItIsMade(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"Authorizer(nil)":   func() { access.Authorizer(nil) },
		"WithTimeout(0s)":   func() { access.Authorizer(yes, access.WithTimeout(0)) },
		"WithGoroutines(0)": func() { access.Authorizer(yes, access.WithGoroutines(0)) },
		"WithLogger(nil)":   func() { access.Authorizer(yes, access.WithLogger(nil)) },
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				require.ErrorIs(t, err, access.ErrSetup, name)
				assert.Contains(t, err.Error(), name)
			}()
			f()
		}()
	}
	assert.NotPanics(t, func() { access.Authorizer(yes, nil) }, "a nil option is ignored")
}
