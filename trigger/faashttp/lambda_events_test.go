package faashttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

const asEvent = "X-Amz-Invocation-Type: Event"

func invocations(name string) string { return "/2015-03-31/functions/" + name + "/invocations" }

// anEvent sends an event and returns the id in the answer.
func anEvent(t *testing.T, l *faashttp.Lambda, name, body string, header ...string) string {
	t.Helper()
	w := do(t, l, "POST", invocations(name), body, append(header, asEvent)...)
	require.Equal(t, 202, w.Code, w.Body)
	require.Empty(t, w.Body.String())
	require.Empty(t, w.Header().Get("X-Amz-Executed-Version"))
	id := w.Header().Get("Faas-Job-Id")
	if _, err := uuid.Parse(w.Header().Get("X-Amzn-RequestId")); err == nil {
		require.Equal(t, id, w.Header().Get("X-Amzn-RequestId"))
	}
	return id
}

// isDone waits for the job with that id.
func isDone(t *testing.T, r *faas.Router, id string) error {
	t.Helper()
	_, err := r.Job(uuid.MustParse(id)).Wait(t.Context())
	return err
}

func TestAnEventThatFailsRunsThreeTimesAsOnLambda(t *testing.T) {
	for name, c := range map[string]struct {
		opts  []faas.FunctionOption
		after []time.Duration
	}{
		"by default":      {nil, []time.Duration{0, time.Minute, 3 * time.Minute}},
		"without retries": {[]faas.FunctionOption{faas.WithRetry(faas.Retry{Max: 0})}, []time.Duration{0}},
		"too old by then": {[]faas.FunctionOption{faas.WithMaxAge(time.Minute + time.Second)}, []time.Duration{0, time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, m := hosted(t)
				faas.Register(r, "fail", func(context.Context, int) (any, error) { return nil, errors.New("boom") }, c.opts...)
				l, start := lambdaOf(t, r), time.Now()
				id := anEvent(t, l, "fail", "1")
				require.Error(t, isDone(t, r, id))
				var after []time.Duration
				for i, e := range m.Executions() {
					after = append(after, e.Start.Sub(start))
					assert.Equal(t, []any{id, id, i + 1}, []any{e.Job.String(), e.Origin.RequestID, e.Attempt})
				}
				assert.Equal(t, c.after, after)
			})
		})
	}
}

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
				continue
			}
			assert.Equal(t, 429, w.Code)
			assert.Equal(t, "TooManyRequestsException", w.Header().Get("X-Amzn-ErrorType"))
			assert.NotEmpty(t, w.Header().Get("Retry-After"))
		}
		close(release)
		synctest.Wait()
		require.Equal(t, 4, m.Len())
		anEvent(t, l, "hold", "1") // there is room again
		require.NoError(t, l.Shutdown(t.Context()))
		w := do(t, l, "POST", invocations("hold"), "1", asEvent)
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, "ServiceException", w.Header().Get("X-Amzn-ErrorType"))
		assert.Equal(t, 413, do(t, l, "POST", invocations("hold"), `"`+strings.Repeat("x", 1<<20)+`"`, asEvent).Code)
		assert.Equal(t, 200, do(t, l, "POST", invocations("hold"), "1").Code)
	})
}

func TestAFullQueueThrottlesEventsAndAClosedRouterTakesNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faas.New(faas.WithJobs(faas.NewMemoryJobs(1, 0)))
		faas.Register(r, "hold", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
		l := lambdaOf(t, r)
		anEvent(t, l, "hold", "1")
		w := do(t, l, "POST", invocations("hold"), "1", asEvent)
		assert.Equal(t, []string{"TooManyRequestsException", "1"}, []string{w.Header().Get("X-Amzn-ErrorType"), w.Header().Get("Retry-After")})
		require.NoError(t, r.Close())
		w = do(t, l, "POST", invocations("hold"), "1", asEvent)
		assert.Equal(t, "500 ServiceException", told(w))
	})
}

// told returns the status of an answer, and the type of its error.
func told(w *httptest.ResponseRecorder) string {
	return strings.TrimSpace(jsonOf(w.Code) + " " + w.Header().Get("X-Amzn-ErrorType"))
}

func jsonOf(v any) string {
	doc, _ := json.Marshal(v)
	return string(doc)
}

func TestAnEventWaitsForRoomAndOutlivesItsCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithConcurrency(1), faas.WithQueue(0), faas.WithTimeout(time.Hour))
		faas.Register(r, "minute", func(context.Context, int) (any, error) { time.Sleep(time.Minute); return nil, nil })
		l := lambdaOf(t, r)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.ServeHTTP(w, r.WithContext(ctx)) })
		for range 3 {
			require.Equal(t, 202, do(t, around, "POST", invocations("minute"), "1", asEvent).Code)
		}
		cancel()
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 3*time.Minute, time.Since(start).Truncate(time.Minute))
		assert.Equal(t, 3, m.Len())
	})
}

func TestShutdownNamesTheEventsThatItLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &faastest.Recorder{}
		r := faas.New(faas.WithMeter(m))
		faas.Register(r, "fail", func(context.Context, int) (any, error) { return nil, errors.New("boom") })
		l := lambdaOf(t, r)
		anEvent(t, l, "fail", "1")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // in the middle of the first backoff
		defer cancel()
		require.NoError(t, l.Shutdown(ctx))
		var left *faas.JobsLeft
		require.ErrorAs(t, r.Shutdown(ctx), &left)
		assert.Equal(t, map[string]int{"fail": 1}, left.ByFunction)
		assert.Equal(t, 1, m.Len())
	})
}

// An error of the wire must not show more to a caller than a denied call does.
func TestAnEventIsJudgedWhileItsCallerListens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		no := faas.WithGate(gate(func(context.Context, faas.Invocation) error { return errNo }))
		faas.Register(r, "denied", echo, no)
		faas.RegisterStream(r, "streams", func(context.Context, json.RawMessage, io.Writer) error { return nil }, no)
		open, full := lambdaOf(t, r), lambdaOf(t, r, faashttp.WithEventQueue(0))
		shut := lambdaOf(t, r)
		require.NoError(t, shut.Shutdown(t.Context()))
		large := `"` + strings.Repeat("x", 1<<20) + `"`
		for _, l := range []*faashttp.Lambda{open, full, shut} {
			for _, body := range []string{"1", large} {
				for _, name := range []string{"denied", "streams"} {
					unknown, denied := do(t, l, "POST", invocations("unknown"), body, asEvent), do(t, l, "POST", invocations(name), body, asEvent)
					assert.Equal(t, 404, denied.Code)
					assert.Equal(t, strings.ReplaceAll(unknown.Body.String(), "unknown", name), denied.Body.String())
				}
			}
		}
		assert.Zero(t, m.Len())
		assert.Zero(t, r.Stats().Jobs)
	})
}

func TestAFunctionThatAnswersWithAStreamTakesNoEvents(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.RegisterStream(r, "streams", func(context.Context, json.RawMessage, io.Writer) error { return nil })
	w := do(t, lambdaOf(t, r), "POST", invocations("streams"), "1", asEvent)
	assert.Equal(t, "400 InvalidParameterValueException", told(w))
}

func TestAnEventGoesOnToSayWhoItsCallerIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type user struct{}
		asks := faas.Carrier{
			Name: "user",
			Save: func(ctx context.Context) ([]byte, error) {
				who, _ := ctx.Value(user{}).(string)
				return []byte(who), nil
			},
			Restore: func(ctx context.Context, who []byte) (context.Context, error) {
				return context.WithValue(ctx, user{}, string(who)), nil
			},
		}
		r, m := hosted(t, faas.WithCarrier(faashttp.Carrier()), faas.WithCarrier(asks))
		sees := make(chan string, 1)
		faas.Register(r, "who", func(ctx context.Context, _ any) (any, error) {
			request, _ := faashttp.FromContext(ctx)
			inv, _ := faas.FromContext(ctx)
			sees <- strings.Join([]string{inv.Tenant, request.ID, request.TraceParent, request.TraceState, request.ClientContext}, " ")
			return nil, ctx.Err()
		}, faas.WithGate(gate(func(ctx context.Context, _ faas.Invocation) error {
			assert.Equal(t, "ana", ctx.Value(user{}))
			return nil
		})))
		const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		l := lambdaOf(t, r, faashttp.WithTenantHeader("X-Tenant"))
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), user{}, "ana"))
		around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.ServeHTTP(w, r.WithContext(ctx)) })
		w := do(t, around, "POST", invocations("who"), "1", asEvent, "X-Tenant: acme", "Traceparent: "+trace, "Tracestate: a=1", "X-Amz-Client-Context: eyJhIjoxfQ==")
		require.Equal(t, 202, w.Code)
		cancel()
		assert.Equal(t, "acme "+w.Header().Get("X-Amzn-Requestid")+" "+trace+` a=1 {"a":1}`, <-sees)
		require.NoError(t, isDone(t, r, w.Header().Get("Faas-Job-Id")))
		assert.Equal(t, 1, m.Len())
	})
}

// A client chooses the id of its request. The id must not give it access to another
// client's job, prevent that another job is accepted, or lose its own job.
func TestAnEventsIdIsTheRequestsUnlessAnotherJobHasIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t, faas.WithCarrier(faashttp.Carrier()))
		var ids sync.Map
		faas.Register(r, "f", func(ctx context.Context, n int) (any, error) {
			request, _ := faashttp.FromContext(ctx)
			ids.Store(n, request.ID)
			return nil, nil
		})
		faas.Register(r, "g", echo)
		l := lambdaOf(t, r, faashttp.WithTenantHeader("X-Tenant"))
		const id = "6c7bf9b2-9a4c-4cde-a2a3-5f0d8a3c7a10"
		seen := map[string]bool{}
		for i, header := range [][]string{
			{"Amz-Sdk-Invocation-Id: " + id},
			{"Amz-Sdk-Invocation-Id: " + id},
			{"X-Amzn-Requestid: " + id, "X-Tenant: other"},
			{"X-Amzn-Requestid: " + strings.ToUpper(id)},
			{"X-Amzn-Requestid: 00000000-0000-0000-0000-000000000000"},
			{"X-Amzn-Requestid: req-7"},
			{"X-Amzn-Requestid: " + strings.ReplaceAll(id, "-", "")},
		} {
			w := do(t, l, "POST", invocations("f"), jsonOf(i), append(header, asEvent)...)
			require.Equal(t, 202, w.Code)
			got := w.Header().Get("Faas-Job-Id")
			assert.False(t, seen[got], "each event is accepted")
			seen[got] = true
			require.NoError(t, isDone(t, r, got))
			answered, _ := ids.Load(i)
			assert.Equal(t, w.Header().Get("X-Amzn-Requestid"), answered)
			e := m.Executions()[i]
			assert.Equal(t, []string{got, w.Header().Get("X-Amzn-Requestid")}, []string{e.Job.String(), e.Origin.RequestID})
			switch i {
			case 0:
				assert.Equal(t, id, got)
			case 1, 2, 3:
				assert.Equal(t, got, w.Header().Get("X-Amzn-Requestid"))
			default:
				assert.NotEqual(t, got, w.Header().Get("X-Amzn-Requestid"))
			}
		}
		require.NoError(t, isDone(t, r, anEvent(t, l, "g", "1", "Amz-Sdk-Invocation-Id: "+id)))
	})
}

// brokenJobs is a queue whose store is unavailable.
type brokenJobs struct{ faas.JobQueue }

var errStore = errors.New("the store is down")

func (brokenJobs) Put(context.Context, faas.JobRecord) (faas.JobRecord, error) {
	return faas.JobRecord{}, errStore
}

func (brokenJobs) Get(context.Context, uuid.UUID) (faas.JobRecord, error) {
	return faas.JobRecord{}, errStore
}

func (brokenJobs) List(context.Context, faas.JobFilter) iter.Seq2[faas.JobRecord, error] {
	return func(func(faas.JobRecord, error) bool) {}
}

func TestAnEventThatTheQueueCannotStoreIsForAnotherTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log strings.Builder
		r, _ := hosted(t, faas.WithJobs(brokenJobs{faas.NewMemoryJobs(0, 0)}))
		faas.Register(r, "f", echo)
		l := lambdaOf(t, r, faashttp.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		w := do(t, l, "POST", invocations("f"), `"private"`, asEvent)
		assert.Equal(t, "500 ServiceException", told(w))
		assert.NotContains(t, w.Body.String(), "store is down")
		assert.Contains(t, log.String(), "store is down")
		assert.NotContains(t, log.String(), "private")
	})
}

func TestAnEventIsTriedAgainUntilItsFunctionStarts(t *testing.T) {
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
		require.NoError(t, isDone(t, r, anEvent(t, l, "f", "1")))
		all := m.Executions()
		for i, e := range all {
			assert.Equal(t, 1, e.Attempt)
			assert.Equal(t, i == len(all)-1, e.Outcome == faas.OK, e.Outcome)
		}
	})
}
