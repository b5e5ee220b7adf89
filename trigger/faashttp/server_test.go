package faashttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// TestAThousandSlowHeadersHarmNobody is a slowloris attack: connections that send one byte
// of their header every four seconds.
func TestAThousandSlowHeadersHarmNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		l, stop := serve(t, faashttp.NewServer(r, nil))
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			c, err := l.dial()
			require.NoError(t, err)
			wg.Go(func() {
				defer c.Close()
				wg.Go(func() { _, _ = io.Copy(io.Discard, c) })
				for _, b := range []byte(post("/fn/echo", "1")) {
					if _, err := c.Write([]byte{b}); err != nil {
						assert.LessOrEqual(t, time.Since(start), 9*time.Second, "closed at ReadHeaderTimeout, seen at the next byte")
						return
					}
					time.Sleep(4 * time.Second)
				}
				t.Error("it was let in")
			})
		}
		res, body, err := l.send(post("/fn/echo", `"healthy"`))
		require.NoError(t, err)
		assert.Equal(t, 200, res.StatusCode)
		assert.Equal(t, `"healthy"`, body)
		assert.Equal(t, start, time.Now(), "and in no time")
		wg.Wait()
		require.NoError(t, stop())
		assert.Equal(t, 1, m.Len())
	})
}

func TestASlowBodyHoldsNoSlotAndIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithCapacity(1), faas.WithQueue(0))
		faas.Register(r, "echo", echo)
		h := faashttp.Handler(r, faashttp.WithBodyTimeouts(10*time.Second, time.Second))
		l, _ := serve(t, faashttp.NewServer(r, h))
		c, err := l.dial()
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "POST /fn/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n1")
		require.NoError(t, err)
		synctest.Wait()

		_, body, err := l.send(post("/fn/echo", "2"))
		require.NoError(t, err)
		assert.Equal(t, "2", body, "the only slot is free")

		start := time.Now()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusRequestTimeout, res.StatusCode)
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, 1, m.Len())
	})
}

// In TestASlowReaderHoldsNoSlotAndIsGivenUp one client does not read an answer of 6 MiB,
// and one does not read a stream.
func TestASlowReaderHoldsNoSlotAndIsGivenUp(t *testing.T) {
	for _, name := range []string{"answer", "stream"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, m := hosted(t, faas.WithCapacity(1), faas.WithQueue(0))
				faas.Register(r, "answer", func(context.Context, int) ([]byte, error) { return make([]byte, 6<<20), nil })
				faas.RegisterStream(r, "stream", func(_ context.Context, _ int, w io.Writer) error {
					for range 6 {
						_, _ = w.Write(make([]byte, 1<<20))
					}
					return nil
				})
				faas.Register(r, "echo", echo)
				h := faashttp.Handler(r, faashttp.WithBodyTimeouts(time.Second, 10*time.Second))
				l, _ := serve(t, faashttp.NewServer(r, h))
				c, err := l.dial()
				require.NoError(t, err)
				defer c.Close()
				_, err = io.WriteString(c, post("/fn/"+name, "1"))
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, 1, m.Len(), "the call is over")
				assert.Equal(t, faas.OK, m.Executions()[0].Outcome)
				assert.Equal(t, 6<<20, m.Executions()[0].BytesOut)
				_, body, err := l.send(post("/fn/echo", "2"))
				require.NoError(t, err)
				assert.Equal(t, "2", body, "the only slot is free")

				time.Sleep(11 * time.Second)
				n, err := io.Copy(io.Discard, c)
				assert.Less(t, n, int64(1<<20), "the server gave up")
				assert.NoError(t, err)
			})
		})
	}
}

// In TestAClientThatLeavesCancelsItsCall the client disconnects during a slow function, and
// in the middle of a stream.
func TestAClientThatLeavesCancelsItsCall(t *testing.T) {
	for _, path := range []string{"/fn/wait", "/fn/stream", "/2015-03-31/functions/wait/invocations"} {
		t.Run(path, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, m := hosted(t, faas.WithTimeout(time.Hour))
				ended := make(chan error, 1)
				faas.Register(r, "wait", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); ended <- ctx.Err(); return 0, ctx.Err() })
				faas.RegisterStream(r, "stream", func(ctx context.Context, _ int, w io.Writer) error {
					_, _ = io.WriteString(w, "first")
					<-ctx.Done()
					ended <- ctx.Err()
					return ctx.Err()
				})
				mux := http.NewServeMux()
				mux.Handle("/fn/", faashttp.Handler(r))
				mux.Handle("/", lambdaOf(t, r))
				l, _ := serve(t, faashttp.NewServer(r, mux))
				c, err := l.dial()
				require.NoError(t, err)
				go func() { _, _ = io.Copy(io.Discard, c) }()
				_, err = io.WriteString(c, post(path, "1"))
				require.NoError(t, err)
				time.Sleep(5 * time.Minute) // longer than any time limit of the server
				require.Empty(t, ended)
				require.NoError(t, c.Close())
				require.ErrorIs(t, <-ended, context.Canceled)
				synctest.Wait()
				require.Equal(t, 1, m.Len())
				assert.Equal(t, faas.Canceled, m.Executions()[0].Outcome)
				assert.Equal(t, 5*time.Minute, m.Executions()[0].Duration)
			})
		})
	}
}

func TestAServerDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "wait", func(_ context.Context, ms int) (int, error) {
			time.Sleep(time.Duration(ms) * time.Millisecond)
			return ms, nil
		})
		var order []string
		s := faashttp.NewServer(r, nil, faashttp.WithDrain(10*time.Second), faashttp.WithLameDuck(time.Second), faashttp.WithDrainer(func(context.Context) error {
			order = append(order, "drainer")
			assert.Equal(t, 1, m.Len(), "after the requests")
			_, err := r.Invoke(t.Context(), "wait", []byte("1"))
			return err
		}))
		l, stop := serve(t, s)
		answered := make(chan string, 1)
		go func() {
			_, body, err := l.send(post("/fn/wait", "5000"))
			assert.NoError(t, err)
			answered <- body
		}()
		ready := func() int {
			res, _, err := l.send("GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			require.NoError(t, err)
			return res.StatusCode
		}
		synctest.Wait()
		assert.Equal(t, 200, ready())
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		synctest.Wait()
		assert.Equal(t, 503, ready(), "a lame duck still serves")
		time.Sleep(1100 * time.Millisecond)
		_, err := l.dial()
		require.ErrorIs(t, err, net.ErrClosed)
		assert.Equal(t, "5000", <-answered)
		require.NoError(t, <-stopped)
		assert.Equal(t, []string{"drainer"}, order)
		assert.True(t, r.Stats().Closing)
	})
}

func TestACallThatIsCutOffAtTheEndOfADrainIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithTimeout(time.Hour))
		faas.Register(r, "stuck", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		l, stop := serve(t, faashttp.NewServer(r, nil, faashttp.WithDrain(3*time.Second)))
		answered := make(chan int, 1)
		go func() {
			res, _, err := l.send(post("/fn/stuck", "1"))
			assert.NoError(t, err)
			answered <- res.StatusCode
		}()
		synctest.Wait()
		start := time.Now()
		err := stop()
		assert.Less(t, time.Since(start), 3*time.Second+2*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `"stuck" (1)`)
		assert.Equal(t, 503, <-answered)
		assert.Equal(t, 1, m.Len())
	})
}

func TestAServerListensOnLoopbackUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{":0": "127.0.0.1:", "127.0.0.1:0": "127.0.0.1:", "[::1]:0": "[::1]:"} {
		r, _ := hosted(t)
		s := faashttp.NewServer(r, nil, faashttp.WithAddr(addr))
		at, err := s.Listen()
		if err != nil && addr == "[::1]:0" {
			continue // a machine without IPv6
		}
		require.NoError(t, err)
		again, err := s.Listen()
		require.NoError(t, err)
		assert.Equal(t, at, again)
		assert.True(t, strings.HasPrefix(at.String(), want), at)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, s.Run(ctx))
	}
	r, _ := hosted(t)
	_, err := faashttp.NewServer(r, nil, faashttp.WithAddr("nowhere")).Listen()
	require.Error(t, err)
	require.Error(t, faashttp.NewServer(r, nil, faashttp.WithAddr("nowhere")).Run(t.Context()))
}

func TestAPageOfAnotherSiteCallsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		l, _ := serve(t, faashttp.NewServer(r, nil))
		for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: http://evil.example"} {
			res, _, err := l.send(post("/fn/echo", "1", header, "Content-Type: text/plain"))
			require.NoError(t, err)
			assert.Equal(t, 403, res.StatusCode)
		}
		assert.Zero(t, m.Len())
	})
}

// TestTimeLimitsOfTheServerAreNotTheFunctions: the server's limits apply to clients only.
func TestTimeLimitsOfTheServerAreNotTheFunctions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithTimeout(time.Hour))
		faas.Register(r, "wait", func(ctx context.Context, _ int) (string, error) {
			time.Sleep(30 * time.Minute)
			return "done", ctx.Err()
		})
		l, _ := serve(t, faashttp.NewServer(r, nil, faashttp.WithTuning(func(s *http.Server) {
			s.ReadTimeout, s.WriteTimeout = time.Second, time.Second
		})))
		_, body, err := l.send(post("/fn/wait", "1"))
		require.NoError(t, err)
		assert.Equal(t, `"done"`, body)
	})
}

func TestAServersDoorThatBreaksEndsIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		l := newWire()
		require.NoError(t, l.Close())
		err := faashttp.ServeOn(faashttp.NewServer(r, nil), t.Context(), l)
		require.ErrorIs(t, err, net.ErrClosed)
		assert.True(t, r.Stats().Closing, "and its router")
		boom := errors.New("boom")
		failing := faashttp.NewServer(r, nil, faashttp.WithDrainer(func(context.Context) error { return boom }))
		require.ErrorIs(t, failing.Shutdown(t.Context()), boom)
	})
}
