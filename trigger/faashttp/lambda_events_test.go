package faashttp_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

const asEvent = "X-Amz-Invocation-Type: Event"

func invocations(name string) string { return "/2015-03-31/functions/" + name + "/invocations" }

func TestEventsBeyondTheQueueAreThrottled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithTimeout(time.Hour))
		release := make(chan struct{})
		faas.Register(r, "hold", func(context.Context, any) (any, error) { <-release; return nil, nil })
		l := lambdaOf(t, r, faashttp.WithEventQueue(4))
		for i := range 6 {
			w := do(t, l, "POST", invocations("hold"), "1", asEvent)
			if i < 4 {
				assert.Equal(t, 202, w.Code)
				assert.Empty(t, w.Body.String())
				continue
			}
			assert.Equal(t, 429, w.Code)
			assert.Equal(t, "TooManyRequestsException", w.Header().Get("X-Amzn-ErrorType"))
		}
		close(release)
		require.NoError(t, l.Shutdown(t.Context()))
		assert.Equal(t, 4, m.Len())
		w := do(t, l, "POST", invocations("hold"), "1", asEvent)
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, "ServiceException", w.Header().Get("X-Amzn-ErrorType"))
		assert.Equal(t, 413, do(t, l, "POST", invocations("hold"), `"`+strings.Repeat("x", 1<<20)+`"`, asEvent).Code)
	})
}

func TestAnEventWaitsForRoomAndOutlivesItsCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithConcurrency(1), faas.WithQueue(0), faas.WithTimeout(time.Hour))
		faas.Register(r, "minute", func(context.Context, int) (any, error) { time.Sleep(time.Minute); return nil, nil })
		faas.Register(r, "fail", func(context.Context, int) (any, error) { return nil, errors.New("boom") })
		l := lambdaOf(t, r)
		for range 3 {
			require.Equal(t, 202, do(t, l, "POST", invocations("minute"), "1", asEvent).Code)
		}
		require.Equal(t, 202, do(t, l, "POST", invocations("fail"), "1", asEvent).Code)
		start := time.Now()
		require.NoError(t, l.Shutdown(t.Context()))
		assert.Less(t, time.Since(start), 4*time.Minute)
		assert.Equal(t, 4, m.Len(), "each once: a function that fails has had its turn")
	})
}

func TestEventsThatAreGivenUpAreCountedAndLogged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log strings.Builder
		r, m := hosted(t, faas.WithConcurrency(1), faas.WithQueue(0), faas.WithTimeout(time.Hour))
		faas.Register(r, "stuck", func(ctx context.Context, _ string) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
		l := lambdaOf(t, r, faashttp.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for range 2 {
			require.Equal(t, 202, do(t, l, "POST", invocations("stuck"), `"private"`, asEvent).Code)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, l.Shutdown(ctx), "2 events were accepted and not delivered")
		assert.Equal(t, 1, m.Len())
		assert.Equal(t, 2, strings.Count(log.String(), "an event was lost"))
		assert.NotContains(t, log.String(), "private")
	})
}

func TestAnEventIsJudgedWhileItsCallerListens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithGate(gate(func(context.Context, faas.Invocation) error { return errNo })))
		faas.Register(r, "denied", echo)
		l := lambdaOf(t, r)
		unknown, denied := do(t, l, "POST", invocations("unknown"), "1", asEvent), do(t, l, "POST", invocations("denied"), "1", asEvent)
		assert.Equal(t, 404, denied.Code)
		assert.Equal(t, strings.ReplaceAll(unknown.Body.String(), "unknown", "denied"), denied.Body.String())
		require.NoError(t, l.Shutdown(t.Context()))
		assert.Zero(t, m.Len())
	})
}

func TestAnEventGoesOnToSayWhoItsCallerIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		type key struct{}
		sees := make(chan string, 1)
		faas.Register(r, "who", func(ctx context.Context, _ any) (any, error) {
			time.Sleep(time.Second) // the request ends meanwhile
			request, _ := faashttp.FromContext(ctx)
			inv, _ := faas.FromContext(ctx)
			sees <- inv.Tenant + " " + request.TraceParent
			return nil, ctx.Err()
		}, faas.WithGate(gate(func(ctx context.Context, _ faas.Invocation) error {
			assert.Equal(t, "proxy", ctx.Value(key{}), "what the request's context says")
			return nil
		})))
		const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		l := lambdaOf(t, r, faashttp.WithTenantHeader("X-Tenant"))
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "proxy"))
		around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.ServeHTTP(w, r.WithContext(ctx)) })
		require.Equal(t, 202, do(t, around, "POST", invocations("who"), "1", asEvent, "X-Tenant: acme", "Traceparent: "+trace).Code)
		cancel()
		require.NoError(t, l.Shutdown(t.Context()))
		assert.Equal(t, "acme "+trace, <-sees)
		require.Equal(t, 1, m.Len())
		require.NoError(t, m.Executions()[0].Err)
	})
}

// After a failed init, calls are refused during a backoff.
func TestAnEventWaitsUntilItsFunctionMayBeStartedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		down := true
		faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			if down {
				down = false
				return nil, nil, errors.New("the database is down")
			}
			return func(_ context.Context, n int) (int, error) { return n, nil }, nil, nil
		})
		_, err := r.Invoke(t.Context(), "f", []byte("1"))
		require.Equal(t, faas.InitFailed, faas.EndOf(err, "f").Outcome)
		_, err = r.Invoke(t.Context(), "f", []byte("1"))
		require.Equal(t, faas.KindUnavailable, faas.EndOf(err, "f").Kind)

		l := lambdaOf(t, r)
		require.Equal(t, 202, do(t, l, "POST", invocations("f"), "1", asEvent).Code)
		require.NoError(t, l.Shutdown(t.Context()), "none is lost")
		require.Equal(t, 2, m.Len())
		assert.Equal(t, faas.OK, m.Executions()[1].Outcome)
	})
}

func TestAnEventWhoseInitFailsIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		failures := 3
		faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			if failures--; failures >= 0 {
				return nil, nil, errors.New("the database is down")
			}
			return func(_ context.Context, n int) (int, error) { return n, nil }, nil, nil
		})
		l := lambdaOf(t, r)
		require.Equal(t, 202, do(t, l, "POST", invocations("f"), "1", asEvent).Code)
		require.NoError(t, l.Shutdown(t.Context()), "none is lost")
		var outcomes []faas.Outcome
		for _, e := range m.Executions() {
			outcomes = append(outcomes, e.Outcome)
		}
		assert.Equal(t, []faas.Outcome{faas.InitFailed, faas.InitFailed, faas.InitFailed, faas.OK}, outcomes)
	})
}

func TestAnEventWhoseInitNeverSucceedsIsCountedAsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			return nil, nil, errors.New("the database is down")
		})
		l := lambdaOf(t, r)
		require.Equal(t, 202, do(t, l, "POST", invocations("f"), "1", asEvent).Code)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // before it is tried again
		defer cancel()
		require.ErrorContains(t, l.Shutdown(ctx), "1 events were accepted and not delivered")
	})
}
