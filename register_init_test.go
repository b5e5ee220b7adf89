package faas_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// estate counts the open instances. It reports an instance that is closed twice, or called after
// it was closed.
type estate struct {
	init func(ctx context.Context, nth int) error // called before the instance is opened; may be nil

	mu     sync.Mutex // guards the fields below
	begun  int
	opened int
	closed map[int]int
	wrong  []string
}

func (e *estate) build(ctx context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
	e.mu.Lock()
	e.begun++
	nth := e.begun
	e.mu.Unlock()
	if e.init != nil {
		if err := e.init(ctx, nth); err != nil {
			return nil, nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened++
	return func(_ context.Context, in int) (int, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.closed[nth] > 0 {
				e.wrong = append(e.wrong, "a call in an instance that is closed")
			}
			return in, nil
		}, func(context.Context) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.closed == nil {
				e.closed = map[int]int{}
			}
			if e.closed[nth]++; e.closed[nth] > 1 {
				e.wrong = append(e.wrong, "an instance that is closed twice")
			}
			return nil
		}, nil
}

// settled asserts that each instance that was opened is closed.
func (e *estate) settled(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	assert.Len(t, e.closed, e.opened, "instances closed, of those opened")
	assert.Empty(t, e.wrong)
}

// inits are the ways in which an init may end.
var inits = map[string]func(ctx context.Context, nth int) error{
	"at once": nil,
	"slow":    func(context.Context, int) error { time.Sleep(time.Second); return nil },
	"heeds its context": func(ctx context.Context, _ int) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
			return nil
		}
	},
	"later than its timeout": func(context.Context, int) error { time.Sleep(time.Minute); return nil },
	"fails":                  func(context.Context, int) error { time.Sleep(time.Second); return io.ErrUnexpectedEOF },
	"the second panics": func(_ context.Context, nth int) error {
		if time.Sleep(time.Second); nth == 2 {
			panic("init")
		}
		return nil
	},
	"the second exits": func(_ context.Context, nth int) error {
		if time.Sleep(time.Second); nth == 2 {
			runtime.Goexit()
		}
		return nil
	},
}

// ends are the events that may end a function while it is being registered. Each has the
// error that the registration then returns (compared by errors.Is).
var ends = map[string]struct {
	end func(r *faas.Router) error
	is  error
}{
	"Remove":   {func(r *faas.Router) error { return r.Remove("f") }, faas.ErrNotFound},
	"Shutdown": {func(r *faas.Router) error { return r.Shutdown(context.Background()) }, faas.ErrClosed},
	"Close":    {func(r *faas.Router) error { return r.Close() }, faas.ErrClosed},
}

func TestWhatEndsAFunctionWhileItsMinimumIsMadeLeavesNoInstance(t *testing.T) {
	t.Parallel()
	for how, end := range ends {
		for manner, init := range inits {
			t.Run(how+", init "+manner+", at the decision", func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					e := &estate{init: init}
					var r *faas.Router
					r = faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)),
						faas.WithDecisions(func(d faas.Decision) {
							if d.Rule == "minimum" {
								ended := make(chan error)
								go func() { ended <- end.end(r) }() // on another goroutine, because Shutdown returns an error if a hook calls it
								assert.NoError(t, <-ended)
							}
						}))
					_, err := faas.TryRegisterInit(r, "f", e.build, faas.WithMinInstances(3))
					require.ErrorIs(t, err, end.is)
					require.NoError(t, r.Shutdown(t.Context()))
					e.settled(t)
				})
			})
			t.Run(how+", init "+manner+", meanwhile", func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					e := &estate{init: init}
					r := faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)))
					done := make(chan error)
					go func() {
						_, err := faas.TryRegisterInit(r, "f", e.build, faas.WithMinInstances(3))
						done <- err
					}()
					time.Sleep(time.Second / 2)
					start := time.Now()
					if err := end.end(r); err == nil && init != nil { // otherwise it was opened before
						assert.ErrorIs(t, <-done, end.is)
					} else {
						assert.NoError(t, <-done)
					}
					if how != "Shutdown" {
						assert.Zero(t, time.Since(start), "it does not wait for the inits")
					}
					require.NoError(t, r.Shutdown(t.Context()))
					e.settled(t)
				})
			})
		}
	}
}

func TestNothingIsRegisteredWithARouterThatClosesMeanwhile(t *testing.T) {
	t.Parallel()
	e := &estate{}
	for what, register := range map[string]func(r *faas.Router, opts ...faas.FunctionOption) error{
		"TryRegister": func(r *faas.Router, opts ...faas.FunctionOption) error {
			_, err := faas.TryRegister(r, "f", double, opts...)
			return err
		},
		"TryRegister, more": func(r *faas.Router, opts ...faas.FunctionOption) error {
			_, err := faas.TryRegister(r, "f", double, append(opts, faas.WithMinInstances(2))...)
			return err
		},
		"TryRegisterStream": func(r *faas.Router, opts ...faas.FunctionOption) error {
			_, err := faas.TryRegisterStream(r, "f", func(context.Context, int, io.Writer) error { return nil }, opts...)
			return err
		},
		"TryRegisterInit": func(r *faas.Router, opts ...faas.FunctionOption) error {
			_, err := faas.TryRegisterInit(r, "f", e.build, opts...)
			return err
		},
		"TryRegisterInit, more": func(r *faas.Router, opts ...faas.FunctionOption) error {
			_, err := faas.TryRegisterInit(r, "f", e.build, append(opts, faas.WithMinInstances(2))...)
			return err
		},
	} {
		for _, how := range []string{"Shutdown", "Close"} {
			t.Run(what+", "+how, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := faas.New()
					err := register(r, faas.WithMiddleware(func(next faas.Runner) faas.Runner { // called while the function is being registered
						assert.NoError(t, ends[how].end(r))
						return next
					}))
					require.ErrorIs(t, err, faas.ErrClosed)
					_, err = r.Info("f")
					require.ErrorIs(t, err, faas.ErrNotFound)
				})
			})
		}
	}
}

func TestARegistrationWhoseHookEndsTheGoroutineLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := &estate{}
		r := router(t, faas.WithDecisions(func(faas.Decision) { runtime.Goexit() }))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = faas.TryRegisterInit(r, "f", e.build, faas.WithMinInstances(1))
		}()
		<-done
		_, err := r.Info("f")
		require.ErrorIs(t, err, faas.ErrNotFound)
		require.NoError(t, r.Shutdown(t.Context()))
		e.settled(t)
	})
}

func TestAMinimumThatIsReadyWhileTheRouterDrainsIsClosedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := &estate{init: inits["slow"]}
		r := router(t)
		long := faas.Register(r, "long", sleepFor)
		go func() { _, _ = long.Invoke(t.Context(), time.Minute) }()
		synctest.Wait()
		registered, down := make(chan error), make(chan error)
		go func() {
			_, err := faas.TryRegisterInit(r, "f", e.build, faas.WithMinInstances(2))
			registered <- err
		}()
		synctest.Wait()
		go func() { down <- r.Shutdown(t.Context()) }()
		require.ErrorIs(t, <-registered, faas.ErrClosed)
		require.NoError(t, <-down)
		assert.Equal(t, 2, e.opened)
		e.settled(t)
	})
}

func TestCallsThatWaitForAnInstanceOfARemovedFunctionGetIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := &estate{init: inits["slow"]}
		r := router(t)
		registered := make(chan error)
		go func() {
			_, err := faas.TryRegisterInit(r, "f", e.build, faas.WithMinInstances(3), faas.WithMaxInstances(3))
			registered <- err
		}()
		synctest.Wait()
		answers := make(chan error)
		for range 2 {
			go func() { _, err := r.Invoke(t.Context(), "f", []byte("1")); answers <- err }()
		}
		synctest.Wait()
		require.NoError(t, r.Remove("f"))
		require.ErrorIs(t, <-registered, faas.ErrNotFound)
		for range 2 {
			require.NoError(t, <-answers)
		}
		require.NoError(t, r.Shutdown(t.Context()))
		e.settled(t)
		assert.Equal(t, 3, e.begun, "and no more are made")
	})
}

func TestAMinimumCountsInstancesThatCallsHaveBroughtAbout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := &estate{init: inits["slow"]}
		var r *faas.Router
		r = router(t, faas.WithDecisions(func(d faas.Decision) {
			if d.Rule == "minimum" {
				_, err := r.Invoke(t.Context(), "f", []byte("1"))
				assert.NoError(t, err)
			}
		}))
		_, err := faas.TryRegisterInit(r, "f", e.build, faas.WithMinInstances(2), faas.WithMaxInstances(2))
		require.NoError(t, err)
		assert.Equal(t, 2, e.opened)
		i, err := r.Info("f")
		require.NoError(t, err)
		assert.Equal(t, 2, i.Ready)
	})
}

// A hammer: registrations with a minimum, calls, resizes and removals, while the router is
// closed. Each instance that was opened must be closed once. Each registration that
// returned nil before the close must have registered its function.
func TestEveryInstanceIsClosedOnceUnderAHammer(t *testing.T) {
	t.Parallel()
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		e := &estate{init: func(_ context.Context, nth int) error {
			switch nth % 11 {
			case 3:
				return io.ErrUnexpectedEOF
			case 5:
				panic("init")
			case 7:
				runtime.Goexit()
			case 9:
				runtime.Gosched()
			}
			return nil
		}}
		r := faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)))
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				name := []string{"f", "g"}[i%2]
				for n := 0; ; n++ {
					f, err := faas.TryRegisterInit(r, name, e.build, faas.WithMinInstances(1+n%3), faas.WithInstanceConcurrency(1+n%2))
					switch {
					case errors.Is(err, faas.ErrClosed):
						return
					case err == nil:
						_, _ = f.Invoke(t.Context(), 1)
						_ = r.SetConcurrency(name, n%3)
					}
					_ = r.Remove(name)
				}
			})
			wg.Go(func() {
				for {
					if _, err := r.Invoke(t.Context(), "f", []byte("1")); errors.Is(err, faas.ErrClosed) || r.Stats().Closing {
						return
					}
				}
			})
		}
		spin(func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.opened > 20 })
		if round%2 == 0 {
			require.NoError(t, r.Close())
		}
		require.NoError(t, r.Shutdown(t.Context()))
		e.settled(t)
		wg.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		e.settled(t)
	}
}
