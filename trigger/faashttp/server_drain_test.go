package faashttp_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

// sleeper is a function that sleeps that many milliseconds.
func sleeper(ctx context.Context, ms int) (int, error) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return ms, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// request sends one request on a goroutine of its own. The status is 0 if there is no
// answer.
func request(l *wire, raw string) (status chan int) {
	status = make(chan int, 1)
	go func() {
		res, _, err := l.send(raw)
		if err != nil {
			status <- 0
			return
		}
		status <- res.StatusCode
	}()
	return status
}

// unchecked makes a router whose Shutdown may fail without failing the test: in these tests
// each Shutdown returns the errors of the servers' drainers.
func unchecked(t *testing.T, opts ...faas.RouterOption) (*faas.Router, *faastest.Recorder) {
	t.Helper()
	m := &faastest.Recorder{}
	r := faas.New(append(opts, faas.WithContext(faashttp.Carry), faas.WithMeter(m), faas.WithLogger(slog.New(slog.DiscardHandler)))...)
	t.Cleanup(func() { _ = r.Close() })
	return r, m
}

const readyRequest = "GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// TestTheOrderOfADrainIsTheSameWhateverBeginsIt begins the drain in four ways: the context
// of Run ends, the server's Shutdown is called, another part of the program calls the
// router's Shutdown, or another server of the router ends.
func TestTheOrderOfADrainIsTheSameWhateverBeginsIt(t *testing.T) {
	type host struct {
		r      *faas.Router
		s      *faashttp.Server
		stop   func() error
		second func() error // stops the other server of the router
	}
	for name, begin := range map[string]func(ctx context.Context, h host) error{
		"Run's context":    func(_ context.Context, h host) error { return h.stop() },
		"the server":       func(ctx context.Context, h host) error { return h.s.Shutdown(ctx) },
		"the router":       func(ctx context.Context, h host) error { return h.r.Shutdown(ctx) },
		"the other server": func(_ context.Context, h host) error { return h.second() },
		"all of them": func(ctx context.Context, h host) error {
			var all sync.WaitGroup
			defer all.Wait()
			for _, f := range []func() error{h.stop, h.second, func() error { return h.s.Shutdown(ctx) }, func() error { return h.r.Shutdown(ctx) }} {
				all.Go(func() { assert.NoError(t, f()) })
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, m := hosted(t)
				faas.Register(r, "sleep", sleeper)
				var drained atomic.Int32
				s := faashttp.NewServer(r, nil, faashttp.WithLameDuck(time.Second), faashttp.WithDrainer(func(context.Context) error {
					drained.Add(1)
					assert.Equal(t, 1, m.Len(), "after the requests")
					_, err := r.Invoke(t.Context(), "sleep", []byte("1000"))
					return err
				}))
				l, stop := serve(t, s)
				other, second := serve(t, faashttp.NewServer(r, nil))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				answered := request(l, post("/fn/sleep", "5000"))
				synctest.Wait()
				start, ended := time.Now(), make(chan error, 1)
				go func() { ended <- begin(ctx, host{r, s, stop, second}) }()

				synctest.Wait()
				assert.Equal(t, 503, <-request(l, readyRequest), "readiness is off, and the port is open")
				assert.False(t, r.Stats().Closing)
				time.Sleep(1500 * time.Millisecond)
				_, err := l.dial()
				require.ErrorIs(t, err, net.ErrClosed)
				_, err = other.dial()
				require.ErrorIs(t, err, net.ErrClosed)
				assert.Zero(t, drained.Load())
				assert.Equal(t, 200, <-answered)
				assert.Equal(t, 5*time.Second, time.Since(start))
				require.NoError(t, <-ended)
				assert.GreaterOrEqual(t, time.Since(start), 6*time.Second, "the drainer's call ran")
				require.NoError(t, stop())
				require.NoError(t, second())
				assert.Less(t, time.Since(start), 7*time.Second)
				assert.Equal(t, int32(1), drained.Load(), "once")
				assert.True(t, r.Stats().Closing)
			})
		})
	}
}

// In TestCallsThatAreCutOffAreAnsweredWhateverEndsThem the client must get its answer
// although the router cancels its call only at the end of the drain's time.
func TestCallsThatAreCutOffAreAnsweredWhateverEndsThem(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, r *faas.Router, s *faashttp.Server) error{
		"the server": func(ctx context.Context, _ *faas.Router, s *faashttp.Server) error { return s.Shutdown(ctx) },
		"the router": func(ctx context.Context, r *faas.Router, _ *faashttp.Server) error { return r.Shutdown(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, m := unchecked(t, faas.WithTimeout(time.Hour))
				faas.Register(r, "sleep", sleeper)
				lost := errors.New("two events are lost")
				s := faashttp.NewServer(r, nil, faashttp.WithDrainer(func(ctx context.Context) error {
					assert.Equal(t, 1, m.Len(), "after the requests")
					require.Error(t, ctx.Err())
					return lost
				}))
				l, stop := serve(t, s)
				answered := request(l, post("/fn/sleep", "1000000"))
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				err := end(ctx, r, s)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, `"sleep" (1)`)
				assert.Equal(t, name == "the server", errors.Is(err, lost), "the router's does not wait for the drainers")
				assert.Less(t, time.Since(start), 4*time.Second)
				assert.Equal(t, 503, <-answered)
				require.ErrorIs(t, stop(), lost, "Run's error has what the drainers have to say")
				assert.LessOrEqual(t, time.Since(start), 4*time.Second)
			})
		})
	}
}

// The router's Shutdown has a minute. The context of Run's Shutdown ends 1 s after Run's
// context.
func TestTheContextOfTheShutdownThatBeganCountsForRunUntilItsOwnEnds(t *testing.T) {
	for own, want := range map[time.Duration]time.Duration{time.Hour: time.Minute, 10 * time.Second: 11 * time.Second} {
		t.Run(own.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, _ := hosted(t, faas.WithTimeout(time.Hour))
				faas.Register(r, "sleep", sleeper)
				l := newWire()
				ran := make(chan error, 1)
				runs, cancel := context.WithTimeout(t.Context(), own)
				defer cancel()
				start := time.Now()
				go func() { ran <- faashttp.ServeOn(faashttp.NewServer(r, nil, faashttp.WithDrain(time.Second)), runs, l) }()
				answered := request(l, post("/fn/sleep", "1000000"))
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				go func() { _ = r.Shutdown(ctx) }()
				assert.Equal(t, 503, <-answered)
				assert.Equal(t, want, time.Since(start))
				<-ran
				assert.LessOrEqual(t, time.Since(start), want+time.Second)
			})
		})
	}
}

// Most callers end the context of Shutdown when Shutdown has returned. This must not be a
// failure of Run, which returns at the same time.
func TestRunEndsWellWithTheShutdownOfAnotherPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		_, stop := serve(t, faashttp.NewServer(r, nil, faashttp.WithDrainer(func(context.Context) error { time.Sleep(time.Second); return nil })))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.NoError(t, r.Shutdown(ctx))
		cancel()
		synctest.Wait()
		require.NoError(t, stop())
	})
}

// The connection of a client that does not read its answer is closed at the end of
// cancelGrace. Its call has ended, so the router has nothing to report.
func TestAClientThatDoesNotReadIsCutOffAfterADrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := unchecked(t)
		faas.Register(r, "large", func(context.Context, int) ([]byte, error) { return make([]byte, 1<<20), nil })
		l, stop := serve(t, faashttp.NewServer(r, nil, faashttp.WithDrain(3*time.Second)))
		c, err := l.dial()
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte(post("/fn/large", "1")))
		require.NoError(t, err)
		synctest.Wait()
		start := time.Now()
		require.ErrorIs(t, stop(), context.DeadlineExceeded)
		assert.Equal(t, 4*time.Second, time.Since(start))
		require.ErrorIs(t, r.Shutdown(t.Context()), context.DeadlineExceeded, "each Shutdown hears of it")
	})
}

func TestADrainerThatHangsOrPanicsKeepsNothingFromEnding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := unchecked(t)
		release := make(chan struct{})
		l, stop := serve(t, faashttp.NewServer(r, nil, faashttp.WithDrain(time.Second), faashttp.WithDrainer(func(context.Context) error { <-release; return nil })))
		_, second := serve(t, faashttp.NewServer(r, nil, faashttp.WithDrainer(func(context.Context) error { panic("drainer") })))
		synctest.Wait()
		start := time.Now()
		err := stop()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "faashttp.Server 127.0.0.1:9000")
		assert.Equal(t, 3*time.Second, time.Since(start), "the drain, and a grace for requests and drainers")
		var p *faas.PanicError
		require.ErrorAs(t, second(), &p)
		_, err = l.dial()
		require.ErrorIs(t, err, net.ErrClosed)
		close(release)
		synctest.Wait()
	})
}

func TestAServerWhosePortCanNotBeOpenedLeavesItsRouterAlone(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	first := faashttp.NewServer(r, nil, faashttp.WithAddr("127.0.0.1:0"))
	taken, err := first.Listen()
	require.NoError(t, err)
	s := faashttp.NewServer(r, nil, faashttp.WithAddr(taken.String()), faashttp.WithDrainer(func(context.Context) error { return errNo }))
	require.Error(t, s.Run(t.Context()))
	assert.False(t, r.Stats().Closing)
	require.NoError(t, r.Shutdown(t.Context()), "which does not call the server's drainer")
	require.ErrorIs(t, s.Shutdown(t.Context()), errNo)
	require.NoError(t, first.Shutdown(t.Context()))
}

func TestAServerOfARouterThatIsClosedServesNothing(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, r *faas.Router) error{
		"Close":    func(_ context.Context, r *faas.Router) error { return r.Close() },
		"Shutdown": func(ctx context.Context, r *faas.Router) error { return r.Shutdown(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, _ := hosted(t)
				require.NoError(t, end(t.Context(), r))
				drained := 0
				s := faashttp.NewServer(r, nil, faashttp.WithDrainer(func(context.Context) error { drained++; return nil }))
				l := newWire()
				require.ErrorIs(t, faashttp.ServeOn(s, t.Context(), l), faas.ErrClosed)
				_, err := l.dial()
				require.ErrorIs(t, err, net.ErrClosed)
				assert.Equal(t, 1, drained)

				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				l = newWire()
				require.NoError(t, faashttp.ServeOn(faashttp.NewServer(r, nil), ctx, l), "both have ended, for the same reason")
				_, err = l.dial()
				require.ErrorIs(t, err, net.ErrClosed)
			})
		})
	}
}

// Close does not call the functions of OnShutdown. The server keeps answering that the
// router is closed, until its own context ends.
func TestAServerDrainsThoughItsRouterWasClosedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "sleep", sleeper)
		drained := false
		l, stop := serve(t, faashttp.NewServer(r, nil, faashttp.WithDrainer(func(context.Context) error { drained = true; return nil })))
		answered := request(l, post("/fn/sleep", "100000"))
		synctest.Wait()
		require.NoError(t, r.Close())
		assert.Equal(t, 503, <-answered)
		assert.Equal(t, 503, <-request(l, post("/fn/sleep", "1")))
		require.NoError(t, stop())
		assert.True(t, drained)
	})
}

func TestShutdownClosesThePortOfAServerThatDoesNotRun(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	s := faashttp.NewServer(r, nil, faashttp.WithAddr("127.0.0.1:0"))
	at, err := s.Listen()
	require.NoError(t, err)
	require.NoError(t, s.Shutdown(t.Context()))
	again, err := net.Listen("tcp", at.String())
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.NoError(t, s.Run(t.Context()), "it has ended in good order")
}

// A hook's Shutdown would wait for itself. So the router refuses it, and the server keeps
// serving.
func TestShutdownFromAHookOfTheRouterIsRefusedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s *faashttp.Server
		refused := make(chan error, 1)
		r, _ := hosted(t, faas.WithTenantKey(func(context.Context, faas.Invocation) string {
			refused <- s.Shutdown(context.Background())
			return ""
		}))
		faas.Register(r, "echo", echo)
		s = faashttp.NewServer(r, nil)
		l, stop := serve(t, s)
		start := time.Now()
		status := <-request(l, post("/fn/echo", "1"))
		assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, status)
		require.ErrorIs(t, <-refused, faas.ErrInput)
		assert.Equal(t, start, time.Now())
		require.NoError(t, stop())
	})
}

func TestServersOfOneRouterComeAndGoWhileItEnds(t *testing.T) {
	t.Parallel()
	for range 20 {
		r, _ := hosted(t)
		var drained atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s := faashttp.NewServer(r, nil, faashttp.WithDrainer(func(context.Context) error { drained.Add(1); return nil }))
				ctx, cancel := context.WithCancel(context.Background())
				all.Go(cancel)
				all.Go(func() { assert.NoError(t, s.Shutdown(context.Background())) })
				if err := faashttp.ServeOn(s, ctx, newWire()); err != nil {
					assert.ErrorIs(t, err, faas.ErrClosed)
				}
			})
		}
		all.Go(func() { assert.NoError(t, r.Shutdown(context.Background())) })
		all.Wait()
		assert.Equal(t, int32(4), drained.Load(), "each once")
	}
}
