package faashttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

const async = "Prefer: respond-async"

// later sends a call as a job, and returns the job's path.
func later(t *testing.T, h http.Handler, target, body string, header ...string) (location string) {
	t.Helper()
	w := do(t, h, "POST", target, body, append(header, async)...)
	require.Equal(t, 202, w.Code, w.Body)
	require.Equal(t, "respond-async", w.Header().Get("Preference-Applied"))
	location = w.Header().Get("Location")
	name, id, ok := strings.Cut(strings.TrimPrefix(location, "/fn/"), "/jobs/")
	require.True(t, ok, location)
	require.JSONEq(t, `{"id":"`+id+`","function":"`+name+`"}`, w.Body.String())
	return location
}

// shown is the answer of a job's path.
type shown struct {
	ID, Function, State, Waiting, Condition string
	Attempts                                int
	Progress                                *struct {
		Done, Total int64
		Note        string
	}
	Result       json.RawMessage
	ResultBase64 []byte
	Problem      *struct {
		Status            int
		Reason, RequestID string
	}
}

func look(t *testing.T, h http.Handler, location string, header ...string) (job shown) {
	t.Helper()
	w := do(t, h, "GET", location, "", header...)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, []string{"application/json", "no-store"}, []string{w.Header().Get("Content-Type"), w.Header().Get("Cache-Control")})
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &job))
	return job
}

func TestACallThatIsMadeLaterIsToldAtItsPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "resize", func(ctx context.Context, n int) (string, error) {
			time.Sleep(time.Second)
			assert.NoError(t, faas.Progress(ctx, 1, 2, "half <b>"))
			time.Sleep(time.Second)
			request, _ := faashttp.FromContext(ctx)
			return "done for " + request.ID, nil
		})
		h := faashttp.Handler(r)
		start := time.Now()
		at := later(t, h, "/fn/resize", "7", "X-Request-Id: r-1")
		assert.Zero(t, time.Since(start))
		synctest.Wait()
		assert.Equal(t, "Running", look(t, h, at).State)
		time.Sleep(1500 * time.Millisecond)
		job := look(t, h, at)
		assert.Equal(t, "half <b>", job.Progress.Note)
		time.Sleep(time.Second)
		job = look(t, h, at)
		assert.Equal(t, []any{"Succeeded", "Success", 1, `"done for r-1"`}, []any{job.State, job.Condition, job.Attempts, string(job.Result)})
		assert.Nil(t, job.ResultBase64)
		e := m.Executions()[0]
		assert.Equal(t, []any{job.ID, "http", "r-1"}, []any{e.Job.String(), e.Origin.Door, e.Origin.RequestID})
		assert.Equal(t, 200, do(t, h, "HEAD", at, "").Code)
		assert.Equal(t, 404, do(t, h, "GET", at[:len(at)-1], "").Code)
		w := do(t, h, "PUT", at, "")
		assert.Equal(t, []string{"405", "GET, HEAD, DELETE"}, []string{jsonOf(w.Code), w.Header().Get("Allow")})
		time.Sleep(2 * time.Hour) // longer than its result is kept
		assert.Equal(t, "job", reasonOf(t, do(t, h, "GET", at, "")))
	})
}

func TestAPreferenceIsReadAsTheRFCWritesIt(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.Register(r, "f", echo)
	faas.RegisterStream(r, "stream", func(_ context.Context, _ json.RawMessage, w io.Writer) error {
		_, err := io.WriteString(w, "x")
		return err
	})
	h := faashttp.Handler(r)
	for value, applied := range map[string]bool{
		"respond-async": true, "Respond-ASYNC": true, "wait=10, respond-async": true, "respond-async;foo=bar": true, "\trespond-async , x": true,
		`respond-async=""`: true, `respond-async = `: true, `foo="a\", b"; c, respond-async`: true, ",,respond-async,": true,
		"": false, "respond-asynchronously": false, "wait=respond-async": false, "respond-async=yes": false, "handling=lenient; respond-async": false,
		`foo="a, respond-async"`: false, `foo="a, respond-async`: false, `"respond-async"`: false, "respond-async x": false, `foo="\", respond-async"`: false,
	} {
		w := do(t, h, "POST", "/fn/f", "1", "Prefer: "+value)
		assert.Equal(t, applied, w.Code == 202, value)
		assert.Equal(t, applied, w.Header().Get("Preference-Applied") != "", value)
		assert.Equal(t, applied, w.Header().Get("Location") != "", value)
	}
	assert.Equal(t, 202, do(t, h, "POST", "/fn/f", "1", "Prefer: wait=1", async).Code, "in the second line")
	assert.Equal(t, 202, do(t, h, "POST", "/fn/f", "1", async, "Accept: text/event-stream").Code)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"a stream":        do(t, h, "POST", "/fn/stream", "1", async),
		"one function":    do(t, faashttp.Function(r, "f"), "POST", "/v1/f", "1", async),
		"a function URL":  do(t, faashttp.FunctionURL(r, "f"), "POST", "/", "1", async),
		"the Lambda wire": do(t, lambdaOf(t, r), "POST", invocations("f"), "1", async),
	} {
		assert.Equal(t, 200, w.Code, name)
		assert.Empty(t, w.Header().Get("Preference-Applied"), name)
	}
}

func TestThePathOfAJobIsTheOneThatTheClientCanReach(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.Register(r, "f", echo, faas.WithVersion(2))
	h := http.StripPrefix("/api/v1", faashttp.Handler(r))
	for target, want := range map[string]string{
		"/api/v1/fn/f:2?x=y": "/api/v1/fn/f:2/jobs/", "/api/v1/fn/f%3A2": "/api/v1/fn/f%3A2/jobs/",
	} {
		w := do(t, h, "POST", target, "1", async)
		require.Equal(t, 202, w.Code)
		at := w.Header().Get("Location")
		assert.Equal(t, want, at[:len(at)-36])
		assert.Equal(t, 200, do(t, h, "GET", at, "").Code)
	}
}

func TestHowAJobHasEndedIsToldAsACallWouldBeAnswered(t *testing.T) {
	boom := errors.New("the secret")
	for name, c := range map[string]struct {
		f       faas.Handler[int, int]
		body    string
		opts    []faas.FunctionOption
		ends    string
		problem string
	}{
		"fails":       {func(context.Context, int) (int, error) { return 0, boom }, "1", nil, "Dead RetriesExhausted 3", "500 failed"},
		"permanently": {func(context.Context, int) (int, error) { return 0, faas.Permanent(boom) }, "1", nil, "Dead Permanent 1", "500 failed"},
		"panics":      {func(context.Context, int) (int, error) { panic(boom) }, "1", nil, "Dead RetriesExhausted 3", "500 panicked"},
		"is too slow": {func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, boom }, "1", nil, "Dead RetriesExhausted 3", "504 timed_out"},
		"is no input": {func(context.Context, int) (int, error) { return 0, nil }, `"a"`, nil, "Dead Invalid 0", "400 input"},
		"is no JSON":  {func(context.Context, int) (int, error) { return 0, nil }, "\xff{", nil, "Dead Invalid 0", "400 input"},
		"is off":      {func(context.Context, int) (int, error) { return 0, nil }, "1", []faas.FunctionOption{faas.WithConcurrency(0)}, "Dead ZeroReservedConcurrency 0", "429 off"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, _ := hosted(t)
				faas.Register(r, "f", c.f, c.opts...)
				h := faashttp.Handler(r)
				at := later(t, h, "/fn/f", c.body, "X-Request-Id: r-1")
				_ = isDone(t, r, at[len(at)-36:])
				job := look(t, h, at)
				assert.Equal(t, c.ends, strings.Join([]string{job.State, job.Condition, jsonOf(job.Attempts)}, " "))
				assert.Equal(t, c.problem, jsonOf(job.Problem.Status)+" "+job.Problem.Reason)
				assert.Equal(t, "r-1", job.Problem.RequestID)
				assert.NotContains(t, do(t, h, "GET", at, "").Body.String(), "secret")
			})
		})
	}
}

func TestWhatIsNoJSONIsToldInBase64(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "bytes", func(context.Context, any) ([]byte, error) { return []byte("123"), nil })
		faas.Register(r, "nothing", faas.NoOutput(func(context.Context, any) error { return nil }))
		h := faashttp.Handler(r)
		at, none := later(t, h, "/fn/bytes", "1"), later(t, h, "/fn/nothing", "1")
		synctest.Wait()
		job := look(t, h, at)
		assert.Equal(t, "123", string(job.ResultBase64))
		assert.Nil(t, job.Result)
		assert.Equal(t, "Succeeded", look(t, h, none).State)
	})
}

func TestAJobIsCanceledAtItsPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "wait", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, context.Cause(ctx) }, faas.WithTimeout(time.Hour))
		faas.Register(r, "fail", func(context.Context, any) (any, error) { return nil, errors.New("boom") })
		faas.Register(r, "f", echo)
		h := faashttp.Handler(r)
		for _, name := range []string{"wait", "fail"} { // one runs, and one is between two attempts
			at := later(t, h, "/fn/"+name, "1")
			synctest.Wait()
			w := do(t, h, "DELETE", at, "")
			assert.Equal(t, 204, w.Code, w.Body)
			job := look(t, h, at)
			assert.Equal(t, []string{"Canceled", "Canceled"}, []string{job.State, job.Condition})
			assert.Equal(t, 204, do(t, h, "DELETE", at, "").Code)
		}
		at := later(t, h, "/fn/f", "1")
		synctest.Wait()
		w := do(t, h, "DELETE", at, "")
		assert.Equal(t, []string{"409", "settled"}, []string{jsonOf(w.Code), reasonOf(t, w)})
		assert.Equal(t, "Succeeded", look(t, h, at).State)
	})
}

// Each stranger gets the answer for a job that does not exist, byte for byte.
func TestAJobIsNoneOfAStrangersBusiness(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type user struct{}
		r, _ := hosted(t, faas.WithGate(gate(func(ctx context.Context, inv faas.Invocation) error {
			if who, _ := ctx.Value(user{}).(string); who == "eve" || inv.Function == "g" && who == "bob" {
				return errNo
			} else if who == "loud" {
				return &faas.Error{Reason: "rate", Kind: faas.KindBusy}
			}
			return nil
		})))
		hold := func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, context.Cause(ctx) }
		fn := faas.Register(r, "f", hold, faas.WithTimeout(time.Hour))
		faas.Register(r, "g", hold, faas.WithTimeout(time.Hour))
		owner := faashttp.WithJobOwner(func(ctx context.Context) string { who, _ := ctx.Value(user{}).(string); return who })
		front := faashttp.Handler(r, faashttp.WithTenantHeader("X-Tenant"), owner)
		as := func(who string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				front.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), user{}, who)))
			})
		}
		acme := "X-Tenant: acme"
		at := later(t, as("ana"), "/fn/f", "1", acme)
		synctest.Wait()
		id := at[len(at)-36:]
		assert.Equal(t, "Running", look(t, as("ana"), at, acme).State)
		direct, err := fn.Send(faas.WithTenant(t.Context(), "acme"), nil)
		require.NoError(t, err)
		event := anEvent(t, lambdaOf(t, r, faashttp.WithTenantHeader("X-Tenant")), "f", "1", acme)
		other := later(t, as("ana"), "/fn/g", "1", acme)

		const requestID = "X-Request-Id: r"
		unknown := do(t, as("ana"), "GET", "/fn/f/jobs/"+uuid.NewString(), "", acme, requestID).Body.String()
		nowhere := do(t, as("ana"), "GET", "/fn/nobody/jobs/"+id, "", acme, requestID).Body.String()
		for name, c := range map[string]struct {
			who, path, want string
			header          []string
		}{
			"another tenant":           {"ana", at, unknown, []string{"X-Tenant: other"}},
			"no tenant":                {"ana", at, unknown, nil},
			"another caller":           {"bob", at, unknown, []string{acme}},
			"no name":                  {"", at, unknown, []string{acme}},
			"at another function":      {"ana", "/fn/g/jobs/" + id, unknown, []string{acme}},
			"at a version":             {"ana", "/fn/f:$LATEST/jobs/" + id, unknown, []string{acme}},
			"of a function not theirs": {"bob", "/fn/f/jobs/" + other[len(other)-36:], unknown, []string{acme}},
			"sent by the program":      {"ana", "/fn/f/jobs/" + direct.ID().String(), unknown, []string{acme}},
			"an event's":               {"ana", "/fn/f/jobs/" + event, unknown, []string{acme}},
			"no UUID":                  {"ana", "/fn/f/jobs/1", unknown, []string{acme}},
			"another form":             {"ana", "/fn/f/jobs/" + strings.ReplaceAll(id, "-", ""), unknown, []string{acme}},
			"in braces":                {"ana", "/fn/f/jobs/{" + id + "}", unknown, []string{acme}},
			"the zero UUID":            {"ana", "/fn/f/jobs/" + uuid.Nil.String(), unknown, []string{acme}},
			"a path below":             {"ana", at + "/jobs/" + id, unknown, []string{acme}},
			"may not call":             {"eve", at, nowhere, []string{acme}},
		} {
			for _, method := range []string{"GET", "DELETE"} {
				w := do(t, as(c.who), method, c.path, "", append(c.header, requestID)...)
				assert.Equal(t, 404, w.Code, name)
				assert.Equal(t, c.want, w.Body.String(), name)
			}
		}
		require.Contains(t, nowhere, `"not_found"`)
		for _, path := range []string{at, "/fn/f/jobs/" + uuid.NewString()} { // what is wrong with the caller does not depend on the job
			assert.Equal(t, "tenant", reasonOf(t, do(t, as("ana"), "GET", path, "", "X-Tenant: a b")))
			assert.Equal(t, "rate", reasonOf(t, do(t, as("loud"), "GET", path, "", acme)))
		}
		assert.Equal(t, "Running", look(t, as("ana"), at, acme).State, "none has canceled it")
		require.Equal(t, 204, do(t, as("ana"), "DELETE", at, "", acme).Code)
		require.NoError(t, r.Close())
	})
}

func TestAJobIsToldToWhatHasTheSameOwnerAndCameBySuchARequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		fn := faas.Register(r, "f", echo)
		plain := faashttp.Handler(r)
		direct, err := fn.Send(t.Context(), json.RawMessage("1"))
		require.NoError(t, err)
		for _, id := range []string{direct.ID().String(), anEvent(t, lambdaOf(t, r), "f", "1")} {
			assert.Equal(t, 404, do(t, plain, "GET", "/fn/f/jobs/"+id, "").Code)
		}
		owned := faashttp.Handler(r, faashttp.WithJobOwner(func(context.Context) string { return "ana" }))
		ours, theirs := later(t, plain, "/fn/f", "1"), later(t, owned, "/fn/f", "1")
		synctest.Wait()
		assert.Equal(t, 200, do(t, plain, "GET", ours, "").Code)
		assert.Equal(t, 404, do(t, owned, "GET", ours, "").Code)
		assert.Equal(t, 404, do(t, plain, "GET", theirs, "").Code)
		assert.Equal(t, 200, do(t, owned, "GET", theirs, "").Code)
	})
}

func TestAJobThatIsNotAcceptedIsAnsweredAsACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log strings.Builder
		r := faas.New(faas.WithJobs(faas.NewMemoryJobs(1, 0)))
		faas.Register(r, "hold", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, context.Cause(ctx) })
		faas.Register(r, "small", echo, faas.WithLimits(4, 100))
		faas.Register(r, "denied", echo, faas.WithLimits(4, 100), faas.WithGate(gate(func(context.Context, faas.Invocation) error { return errNo })))
		h := faashttp.Handler(r)
		later(t, h, "/fn/hold", "1")
		w := do(t, h, "POST", "/fn/hold", "1", async)
		assert.Equal(t, []string{"429", "overloaded", "1"}, []string{jsonOf(w.Code), reasonOf(t, w), w.Header().Get("Retry-After")})
		assert.Empty(t, w.Header().Get("Location")+w.Header().Get("Preference-Applied"))
		assert.Equal(t, 413, do(t, h, "POST", "/fn/small", "12345", async).Code)
		unknown := do(t, h, "POST", "/fn/nobody", "1", async, "X-Request-Id: r").Body.String()
		for _, body := range []string{"1", "12345"} {
			assert.Equal(t, unknown, do(t, h, "POST", "/fn/denied", body, async, "X-Request-Id: r").Body.String())
		}
		require.NoError(t, r.Close())
		w = do(t, h, "POST", "/fn/hold", "1", async)
		assert.Equal(t, []string{"503", "closed", "1"}, []string{jsonOf(w.Code), reasonOf(t, w), w.Header().Get("Retry-After")})

		r, _ = hosted(t, faas.WithJobs(brokenJobs{faas.NewMemoryJobs(0, 0)}))
		faas.Register(r, "f", echo)
		h = faashttp.Handler(r, faashttp.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for _, w := range []*httptest.ResponseRecorder{do(t, h, "POST", "/fn/f", `"private"`, async), do(t, h, "GET", "/fn/f/jobs/"+uuid.NewString(), "")} {
			assert.Equal(t, []string{"503", "jobs", "1"}, []string{jsonOf(w.Code), reasonOf(t, w), w.Header().Get("Retry-After")})
			assert.NotContains(t, w.Body.String(), "store is down")
		}
		assert.Equal(t, 2, strings.Count(log.String(), "the store is down"))
		assert.NotContains(t, log.String(), "private")
	})
}

// Many clients send, read and cancel jobs at once. Each job ends in one state, and only
// jobs that were answered 202 exist.
func TestManyClientsOfJobsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithConcurrency(8), faas.WithJobs(faas.NewMemoryJobs(1000, 0)))
		faas.Register(r, "f", func(ctx context.Context, n int) (int, error) {
			select {
			case <-time.After(time.Duration(n) * time.Millisecond):
			case <-ctx.Done():
			}
			return n, ctx.Err()
		}, faas.WithRetry(faas.Retry{}))
		h, l := faashttp.Handler(r), lambdaOf(t, r)
		const clients, rounds = 8, 25
		var all sync.WaitGroup
		var accepted, canceled atomic.Int32
		for c := range clients {
			all.Go(func() {
				for n := range rounds {
					assert.Equal(t, 202, do(t, l, "POST", invocations("f"), jsonOf(n), asEvent).Code)
					w := do(t, h, "POST", "/fn/f", jsonOf(n), async)
					if !assert.Equal(t, 202, w.Code) {
						return
					}
					accepted.Add(2)
					at := w.Header().Get("Location")
					assert.Equal(t, 200, do(t, h, "GET", at, "").Code)
					if (c+n)%3 == 0 {
						switch code := do(t, h, "DELETE", at, "").Code; code {
						case 204:
							canceled.Add(1)
						default:
							assert.Equal(t, 409, code)
						}
					}
				}
			})
		}
		all.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		jobs := r.Stats().Jobs
		assert.EqualValues(t, 2*clients*rounds, accepted.Load())
		assert.Equal(t, []int{int(accepted.Load()), int(canceled.Load()), 0}, []int{jobs.Succeeded + jobs.Canceled, jobs.Canceled, jobs.Dead})
	})
}
