package faasevents_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faasevents"
)

// box is a list of the events that a function was called with.
type box struct {
	mu  sync.Mutex
	all []cloudevents.Event
}

func newBox() *box { return new(box) }

func (b *box) take() []cloudevents.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all
	b.all = nil
	return all
}

func registerBox(r *faas.Router, b *box) {
	faas.Register(r, "keep", func(_ context.Context, e cloudevents.Event) (struct{}, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all = append(b.all, e)
		return struct{}{}, nil
	})
}

type order struct {
	Total int `json:"total"`
}

type review struct {
	OK bool `json:"ok"`
}

func TestTheSDKsClientSendsInEveryModeAndGetsReplies(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "event", func(_ context.Context, e cloudevents.Event) (*cloudevents.Event, error) {
		if e.Type() == "quiet" {
			return nil, nil //nolint:nilnil // nothing to reply
		}
		reply := e.Clone()
		reply.SetID("reply to " + e.ID())
		return &reply, nil
	})
	faas.Register(r, "data", func(_ context.Context, o order) (review, error) { return review{o.Total > 100}, nil })
	srv := httptest.NewServer(faasevents.Handler(r,
		faasevents.On(`{"type": ["com.example.test"], "data": {"total": [{"numeric": [">", 100]}]}}`, "data"),
		faasevents.On(catchAll, "event"),
	))
	t.Cleanup(srv.Close)
	for name, encoded := range map[string]func(context.Context) context.Context{
		"binary": cloudevents.WithEncodingBinary, "structured": cloudevents.WithEncodingStructured,
	} {
		client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(srv.URL), cehttp.WithRoundTripper(srv.Client().Transport))
		require.NoError(t, err)
		ctx := encoded(t.Context())

		ordered := event(t)
		ordered.SetSubject("order-7")
		reply, result := client.Request(ctx, ordered)
		require.True(t, cloudevents.IsACK(result), "%s: %v", name, result)
		require.Equal(t, "com.example.test.reply", reply.Type())
		require.Equal(t, "/fn/data", reply.Source())
		require.NotEmpty(t, reply.ID())
		require.Equal(t, "order-7", reply.Subject())
		require.JSONEq(t, `{"ok": true}`, string(reply.Data()))

		e := event(t)
		e.SetType("other")
		e.SetSubject("Euro € \"quoted\" 100%")
		e.SetExtension("traceparent", "00-abc-def-01")
		reply, result = client.Request(cloudevents.WithEncodingStructured(ctx), e) // in binary mode the SDK encodes no header
		require.True(t, cloudevents.IsACK(result), "%s: %v", name, result)
		want := e.Clone()
		want.SetID("reply to 1")
		require.Equal(t, want.Context, reply.Context)
		require.JSONEq(t, string(e.Data()), string(reply.Data()))

		e.SetType("quiet")
		e.SetSubject("plain")
		reply, result = client.Request(ctx, e)
		require.True(t, cloudevents.IsACK(result))
		require.Nil(t, reply)
		require.True(t, cloudevents.IsACK(client.Send(ctx, e)))
	}
}

func TestABatchFromTheSDKIsAnsweredByABatch(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "data", func(_ context.Context, o order) (*review, error) {
		if o.Total == 0 {
			return nil, nil //nolint:nilnil // nothing to reply
		}
		return &review{OK: true}, nil
	})
	h := faasevents.Handler(r, faasevents.On(catchAll, "data"), faasevents.WithSource("https://example.com/reviews"))
	one, two, three := event(t), event(t), event(t)
	two.SetID("2")
	three.SetID("3")
	require.NoError(t, three.SetData("application/json", order{}))
	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), "http://example.com/", []cloudevents.Event{one, two, three})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	res := w.Result()
	require.Equal(t, http.StatusOK, res.StatusCode)
	replies, err := cehttp.NewEventsFromHTTPResponse(res)
	require.NoError(t, err)
	require.Len(t, replies, 2)
	for _, e := range replies {
		require.NoError(t, e.Validate())
		require.Equal(t, "https://example.com/reviews", e.Source())
	}
}

func TestTheFirstRouteThatMatchesTakesTheEvent(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	for _, name := range []string{"urgent", "shop", "rest"} {
		faas.Register(r, name, func(context.Context, cloudevents.Event) (string, error) { return name, nil })
	}
	h := faasevents.Handler(r,
		faasevents.On(`{"urgent": [true]}`, "urgent"),
		faasevents.On(`{"source": [{"prefix": "/shops/"}]}`, "shop"),
		faasevents.On(catchAll, "rest"), nil)
	for want, header := range map[string]map[string]string{
		"urgent": binary("ce-urgent", "true"),
		"shop":   binary(),
		"rest":   binary("ce-source", "/other"),
	} {
		res, body := post(t, h, header, `{}`)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, `"`+want+`"`, body)
	}
}

func TestAFunctionOfTheDataCanKnowTheEvent(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	attributes := func(ctx context.Context, _ []byte) (string, error) {
		e, ok := faasevents.FromContext(ctx)
		if !ok {
			return "none", nil
		}
		return e.Type() + " of " + e.Source(), nil
	}
	faas.Register(r, "knows", attributes, faasevents.WithEvent())
	faas.Register(r, "ignorant", attributes)
	h := faasevents.Handler(r, faasevents.On(`{"subject": ["knows"]}`, "knows"), faasevents.On(catchAll, "ignorant"))
	_, body := post(t, h, binary("ce-subject", "knows"), `{}`)
	require.Equal(t, `"com.example.test of /shops/7"`, body)
	_, body = post(t, h, binary(), `{}`)
	require.Equal(t, `"none"`, body)
	out, err := r.Invoke(t.Context(), "knows", nil)
	require.NoError(t, err)
	require.Equal(t, `"none"`, string(out), "no event has led to the call")
}

// The example is that of section 3.1.3.2 of the HTTP binding.
func TestHeadersArePercentDecodedAndEncoded(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	var got cloudevents.Event
	faas.Register(r, "echo", func(_ context.Context, e cloudevents.Event) (cloudevents.Event, error) {
		got = e
		return e, nil
	})
	h := faasevents.Handler(r, faasevents.On(catchAll, "echo"))
	for header, want := range map[string]string{
		"Euro%20%E2%82%AC%20%F0%9F%98%80": "Euro € 😀",
		"%7euser":                         "~user",
		"100%":                            "100%",
		"%zz":                             "%zz",
		"%2525":                           "%25", // one round, no more
		`"quoted \"text\" %41"`:           `quoted "text" A`,
		"a%0d%0aSet-Cookie:%20x=1":        "a\r\nSet-Cookie: x=1",
	} {
		res, body := post(t, h, binary("ce-subject", header), `{}`)
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		require.Equal(t, want, got.Subject())
		back := res.Header.Get("Ce-Subject")
		require.NotContains(t, back, " ")
		require.NotContains(t, back, "\r")
		require.Empty(t, res.Header.Get("Set-Cookie"))
		res, _ = post(t, h, binary("ce-subject", back), `{}`)
		require.Equal(t, want, got.Subject(), "what was sent back reads the same")
		require.Equal(t, back, res.Header.Get("Ce-Subject"))
	}
}

func TestWhatIsNoEventIsRefusedBeforeAFunctionRuns(t *testing.T) {
	t.Parallel()
	h, events := receiver(t)
	twice := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	for k, v := range binary() {
		twice.Header.Set(k, v)
	}
	twice.Header.Add("ce-id", "2")
	for name, c := range map[string]struct {
		header map[string]string
		status int
		reason string
	}{
		"no mode":               {map[string]string{"Content-Type": "application/json"}, 415, "media_type"},
		"nothing":               {map[string]string{}, 415, "media_type"},
		"another format":        {map[string]string{"Content-Type": "application/cloudevents+xml"}, 415, "media_type"},
		"another batch format":  {map[string]string{"Content-Type": "application/cloudevents-batch+avro"}, 415, "media_type"},
		"compressed":            {binary("Content-Encoding", "gzip"), 415, "media_type"},
		"no specversion":        {binary("ce-specversion", ""), 400, "malformed"},
		"an unknown version":    {binary("ce-specversion", "2.0"), 400, "malformed"},
		"no id":                 {binary("ce-id", ""), 400, "malformed"},
		"a bad time":            {binary("ce-time", "lunchtime"), 400, "malformed"},
		"a bad name":            {binary("ce-my-extension", "x"), 400, "malformed"},
		"no name":               {binary("ce-", "x"), 400, "malformed"},
		"data in a header":      {binary("ce-data", "x"), 400, "malformed"},
		"its type twice":        {binary("ce-datacontenttype", "text/plain"), 204, ""},
		"not UTF-8":             {binary("ce-subject", "%ff"), 400, "malformed"},
		"data that is no JSON":  {binary("ce-subject", "x"), 400, "malformed"},
		"an encoding of itself": {binary("Content-Encoding", "identity"), 204, ""},
	} {
		body := `{}`
		if name == "data that is no JSON" {
			body = `{`
		}
		res, answer := post(t, h, c.header, body)
		require.Equal(t, c.status, res.StatusCode, "%s: %s", name, answer)
		if c.reason != "" {
			require.Equal(t, c.reason, problemIn(t, res, answer).Reason, name)
			require.Empty(t, events(), name)
		} else {
			all := events()
			require.Len(t, all, 1)
			require.Equal(t, "application/json", all[0].DataContentType())
		}
	}
	res, body := do(t, h, twice)
	require.Equal(t, http.StatusBadRequest, res.StatusCode, body)
	require.Contains(t, body, "more than one header")
	res, body = do(t, h, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, body)
	require.Equal(t, "POST", res.Header.Get("Allow"))
	res, _ = do(t, h, httptest.NewRequest(http.MethodOptions, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, "no handshake unless asked for")
}

func TestBodiesAndBatchesAreBounded(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	b := newBox()
	registerBox(r, b)
	h := faasevents.Handler(r, faasevents.On(catchAll, "keep"), faasevents.WithLimits(1000, 2))
	one, two, three := event(t), event(t), event(t)
	for body, want := range map[string]int{
		batch(t, one, two):                        204,
		batch(t, one, two, three):                 413,
		`["` + strings.Repeat("x", 1000) + `"]`:   413,
		`["` + strings.Repeat("x", 10_000) + `"]`: 413,
	} {
		res, answer := post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsBatchJSON}, body)
		require.Equal(t, want, res.StatusCode, answer)
	}
	require.Len(t, b.take(), 2)

	// Content-Length may be wrong or missing: the limit applies to the bytes that are read.
	req := httptest.NewRequest(http.MethodPost, "/", io.LimitReader(zeros{}, 1<<40))
	for k, v := range binary() {
		req.Header.Set(k, v)
	}
	res, _ := do(t, h, req)
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	require.Equal(t, "close", res.Header.Get("Connection"), "what is left of the body is not read")

	for _, limit := range []int64{math.MaxInt64, math.MaxInt64 - 1} {
		h := faasevents.Handler(r, faasevents.On(catchAll, "keep"), faasevents.WithLimits(limit, 2))
		res, answer := post(t, h, binary(), `{"a": 1}`)
		require.Equal(t, http.StatusNoContent, res.StatusCode, answer)
		all := b.take()
		require.Len(t, all, 1)
		require.JSONEq(t, `{"a": 1}`, string(all[0].Data()))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var errSecret = errors.New("password is hunter2")

func TestEveryEndOfACallHasItsStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		denied := gate(func() error { return errSecret })
		broke := gate(func() error {
			return &faas.Error{Reason: "budget", RetryAfter: 90*time.Second + 1, Err: faas.ErrDenied}
		})
		release := make(chan struct{})
		defer close(release)
		r := faastest.New(t, faas.WithTimeout(time.Second))
		register := func(name string, f func() error, opts ...faas.FunctionOption) {
			faas.Register(r, name, func(context.Context, order) (order, error) { return order{}, f() }, opts...)
		}
		register("fails", func() error { return errSecret })
		register("panics", func() error { panic(errSecret) })
		register("slow", func() error { <-release; return nil })
		register("denied", nil, faas.WithGate(denied))
		register("broke", nil, faas.WithGate(broke))
		register("small", nil, faas.WithLimits(5, 100))
		register("tells", func() error { return cehttp.NewResult(422, "no customer %d", 7) })
		register("boasts", func() error { return cehttp.NewResult(200, "I returned an error all the same") })
		register("nests", func() error {
			_, err := r.Invoke(t.Context(), "panics", []byte(`{}`))
			return err
		})
		register("delegates", func() error {
			_, err := r.Invoke(t.Context(), "busy", []byte(`{}`))
			return err
		})
		register("busy", nil, faas.WithConcurrency(1), faas.WithQueue(0), faas.WithGate(gate(func() error {
			return &faas.Error{Reason: faas.ReasonOverloaded, Err: faas.ErrOverloaded}
		})))
		register("again", func() error { // it returns a refusal that looks like the router's own
			return &faas.Error{Op: "invoke", Function: "again", Kind: faas.KindBusy, Reason: faas.ReasonOverloaded, Err: faas.ErrOverloaded}
		})
		register("down", nil, faas.WithGate(gate(func() error {
			return &faas.Error{Kind: faas.KindUnavailable, Reason: "policy_down", Err: errSecret}
		})))
		register("unmetered", nil, faas.WithMeter(fullMeter{}))
		register("deep", func() error { return nil }, faas.WithGate(gate(func() error {
			return &faas.Error{Kind: faas.KindNesting, Reason: faas.ReasonDepth, Err: faas.ErrDepth}
		})))
		faas.Register(r, "mute", func(context.Context, order) (chan int, error) { return make(chan int), nil })
		faas.Register(r, "noevent", func(context.Context, order) (cloudevents.Event, error) { return cloudevents.Event{}, nil })
		faas.Register(r, "halfevent", func(context.Context, order) (cloudevents.Event, error) { return cloudevents.NewEvent(), nil })

		var opts []faasevents.Option
		for _, name := range []string{"fails", "panics", "slow", "denied", "broke", "small", "tells", "boasts", "nests", "delegates", "busy", "again", "down", "unmetered", "deep", "mute", "noevent", "halfevent", "gone"} {
			opts = append(opts, faasevents.On(`{"subject": ["`+name+`"]}`, name))
		}
		h := faasevents.Handler(r, opts...)
		for _, c := range []struct {
			function, body string
			status         int
			reason, after  string
		}{
			{"fails", `{}`, 500, "failed", ""},
			{"panics", `{}`, 500, "failed", ""},
			{"slow", `{}`, 504, "timeout", ""},
			{"denied", `{}`, 403, "denied", ""},
			{"broke", `{}`, 429, "budget", "91"},
			{"busy", `{}`, 429, "overloaded", "1"},
			{"small", `{"total": 1}`, 413, "too_large", ""},
			{"fails", `{"total": "many"}`, 400, "input", ""},
			{"fails", ``, 400, "input", ""},
			{"tells", `{}`, 422, "failed", ""},
			{"boasts", `{}`, 500, "failed", ""},
			{"nests", `{}`, 500, "failed", ""},
			{"delegates", `{}`, 500, "failed", ""}, // the refusal of "busy" is a failure of "delegates"
			{"again", `{}`, 500, "failed", ""},
			{"down", `{}`, 503, "policy_down", "1"},
			{"unmetered", `{}`, 503, "meter_full", "1"},
			{"deep", `{}`, 500, "depth", ""},
			{"mute", `{}`, 500, "output", ""},
			{"noevent", `{}`, 500, "output", ""},
			{"halfevent", `{}`, 500, "output", ""},
			{"gone", `{}`, 404, "no_route", ""},
			{"nowhere", `{}`, 404, "no_route", ""},
		} {
			res, body := post(t, h, binary("ce-subject", c.function), c.body)
			require.Equal(t, c.status, res.StatusCode, "%s: %s", c.function, body)
			p := problemIn(t, res, body)
			require.Equal(t, c.reason, p.Reason, c.function)
			require.Equal(t, c.after, res.Header.Get("Retry-After"), c.function)
			require.NotContains(t, body, "hunter2", "nothing of what is inside gets out")
			if c.function == "tells" {
				require.Equal(t, "no customer 7", p.Detail)
			}
			if c.function == "slow" {
				require.NotEmpty(t, p.Invocation)
			}
		}
		require.NoError(t, r.Close())
		res, body := post(t, h, binary("ce-subject", "fails"), `{}`)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, body)
		require.Equal(t, "1", res.Header.Get("Retry-After"))
	})
}

// fullMeter is a meter that has no room for a record.
type fullMeter struct{}

func (fullMeter) Record(context.Context, faas.Execution) {}
func (fullMeter) Reserve() bool                          { return false }
func (fullMeter) Unreserve()                             {}

// gate is a Gate that returns the error of a func.
type gate func() error

func (g gate) Admit(context.Context, faas.Invocation) error { return g() }
func (g gate) Done(faas.Invocation, *faas.Execution)        {}

func TestASenderThatHangsUpCancelsItsCall(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	started := make(chan struct{})
	faas.Register(r, "wait", func(ctx context.Context, _ []byte) (struct{}, error) {
		close(started)
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	h := faasevents.Handler(r, faasevents.On(catchAll, "wait"))
	ctx, cancel := context.WithCancel(t.Context())
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`{}`))
	for k, v := range binary() {
		req.Header.Set(k, v)
	}
	go func() { <-started; cancel() }()
	res, body := do(t, h, req)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, "canceled", problemIn(t, res, body).Reason)
}

func TestAFailedBatchSaysWhichEventsAndHopes(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "picky", func(_ context.Context, e cloudevents.Event) (cloudevents.Event, error) {
		switch e.Subject() {
		case "bad":
			return e, cehttp.NewResult(422, "never")
		case "later":
			return e, cehttp.NewResult(503, "come again")
		}
		return e, nil
	})
	h := faasevents.Handler(r, faasevents.On(`{"type": ["com.example.test"]}`, "picky"))
	send := func(subjects ...string) (*http.Response, string) {
		var all []cloudevents.Event
		for _, s := range subjects {
			e := event(t)
			e.SetSubject(s)
			e.SetID(s)
			all = append(all, e)
		}
		return post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsBatchJSON}, batch(t, all...))
	}
	res, body := send("good", "bad")
	require.Equal(t, 422, res.StatusCode, body)
	res, body = send("bad", "good", "later")
	require.Equal(t, 503, res.StatusCode, "one of them may yet succeed: %s", body)
	p := problemIn(t, res, body)
	require.Len(t, p.Events, 2)
	require.Equal(t, 0, p.Events[0].Index)
	require.Equal(t, "bad", p.Events[0].ID)
	require.Equal(t, 422, p.Events[0].Status)
	require.Equal(t, "/shops/7", p.Events[0].Source)
	require.Equal(t, 2, p.Events[1].Index)

	stray := event(t)
	stray.SetType("stray")
	res, body = post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsBatchJSON}, batch(t, event(t), stray))
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	require.Contains(t, body, "event 1 of the batch")
	info, err := r.Info("picky")
	require.NoError(t, err)
	require.EqualValues(t, 5, info.Admitted, "the batch with a stray delivered none")
}

func TestUnmatchedEventsCanBeDropped(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	b := newBox()
	registerBox(r, b)
	h := faasevents.Handler(r, faasevents.On(`{"type": ["com.example.test"]}`, "keep"), faasevents.WithUnmatchedDropped())
	stray := event(t)
	stray.SetType("stray")
	res, _ := post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsBatchJSON}, batch(t, event(t), stray))
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Len(t, b.take(), 1)
	res, _ = post(t, h, binary("ce-type", "stray"), `{}`)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Empty(t, b.take())
}

// The handshake is the validation of
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md, section 4.
func TestTheHandshakeGrantsWhatWasConfigured(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	registerBox(r, newBox())
	some := faasevents.Handler(r, faasevents.On(catchAll, "keep"), faasevents.WithOrigins(120, "eventemitter.example.com"))
	all := faasevents.Handler(r, faasevents.On(catchAll, "keep"), faasevents.WithOrigins(0, "*"))
	ask := func(h http.Handler, origin string) http.Header {
		req := httptest.NewRequest(http.MethodOptions, "/", nil)
		req.Header.Set("WebHook-Request-Origin", origin)
		req.Header.Set("WebHook-Request-Rate", "1000")
		req.Header.Set("WebHook-Request-Callback", "http://127.0.0.1:1/never")
		res, _ := do(t, h, req)
		require.Contains(t, res.Header.Get("Allow"), "POST")
		return res.Header
	}
	require.Equal(t, "EventEmitter.example.com", ask(some, "EventEmitter.example.com").Get("WebHook-Allowed-Origin"))
	require.Equal(t, "120", ask(some, "eventemitter.example.com").Get("WebHook-Allowed-Rate"))
	for _, origin := range []string{"", "*", "evil.example.com", "eventemitter.example.com.evil.com"} {
		require.Empty(t, ask(some, origin).Get("WebHook-Allowed-Origin"), origin)
		require.Empty(t, ask(some, origin).Get("WebHook-Allowed-Rate"), origin)
	}
	require.Equal(t, "*", ask(all, "anybody.example.com").Get("WebHook-Allowed-Origin"))
	require.Equal(t, "*", ask(all, "anybody.example.com").Get("WebHook-Allowed-Rate"))
	require.Empty(t, ask(all, "").Get("WebHook-Allowed-Origin"), "who asks says who it is")

	res, body := post(t, some, binary(), `{}`)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.Equal(t, "origin", problemIn(t, res, body).Reason)
	res, _ = post(t, some, binary("WebHook-Request-Origin", "eventemitter.example.com"), `{}`)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	res, _ = post(t, all, binary(), `{}`)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
}

func TestBytesComeAndGoAsTheyAre(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	var got string
	faas.Register(r, "raw", func(_ context.Context, in []byte) ([]byte, error) {
		got = string(in)
		return in, nil
	})
	h := faasevents.Handler(r, faasevents.On(catchAll, "raw"))
	res, body := post(t, h, binary("Content-Type", "image/png"), "\x89PNG\xff")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "\x89PNG\xff", body)
	require.Equal(t, "application/octet-stream", res.Header.Get("Content-Type"))
	res, body = post(t, h, binary(), ` {"a": 1}`)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	require.Equal(t, ` {"a": 1}`, body)
	res, _ = post(t, h, binary(), ``)
	require.Equal(t, http.StatusNoContent, res.StatusCode, "nothing in, nothing out")

	res, _ = post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsJSON},
		`{"specversion": "1.0", "id": "1", "type": "t", "source": "s", "data": {"a":  "<1.0>"}}`)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, `{"a":  "<1.0>"}`, strings.TrimSpace(got), "structured JSON is not written anew") //nolint:testifylint // it is about the bytes

	e := event(t)
	require.NoError(t, e.SetData("image/png", []byte("\x89PNG\xff")))
	data, err := json.Marshal(e)
	require.NoError(t, err)
	res, body = post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsJSON}, string(data))
	require.Equal(t, cloudevents.ApplicationCloudEventsJSON, res.Header.Get("Content-Type"))
	var reply cloudevents.Event
	require.NoError(t, json.Unmarshal([]byte(body), &reply))
	require.Equal(t, "\x89PNG\xff", string(reply.Data()))
}

func TestMistakesOfSetUpAreNamed(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	for want, opts := range map[string][]faasevents.Option{
		"no route":            nil,
		"/a/0/perfix":         {faasevents.On(`{"a": [{"perfix": "x"}]}`, "f")},
		`On(…, "f")`:          {faasevents.On(`{`, "f")},
		"WithLimits(0, 1)":    {faasevents.On(catchAll, "f"), faasevents.WithLimits(0, 1)},
		"WithOrigins(-1":      {faasevents.On(catchAll, "f"), faasevents.WithOrigins(-1, "*")},
		"one origin at least": {faasevents.On(catchAll, "f"), faasevents.WithOrigins(0)},
		"WithSource":          {faasevents.On(catchAll, "f"), faasevents.WithSource("")},
	} {
		_, err := faasevents.TryHandler(r, opts...)
		require.ErrorIs(t, err, faas.ErrInput)
		require.ErrorContains(t, err, want)
		require.Panics(t, func() { faasevents.Handler(r, opts...) })
	}
	_, err := faasevents.TryHandler(r, faasevents.On(`{"a": 5}`, "f"))
	var wrong *faasevents.PatternError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "/a", wrong.Path)
	_, err = faasevents.TryHandler(nil)
	require.ErrorIs(t, err, faas.ErrInput)
}

// A server of net/http guesses the type of a body from its first bytes if the header
// has none.
func TestAReplyHasTheContentTypeOfItsEventAndNoOther(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "same", func(_ context.Context, e cloudevents.Event) (*cloudevents.Event, error) { return &e, nil })
	events := faasevents.Handler(r, faasevents.On(catchAll, "same"))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/html") // a default that a middleware in front of the handler sets
		events.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	for _, data := range []string{`{"a":1}`, `"<html>"`, ` 5`, `<html><body>`, "\x89PNG\r\n\x1a\n", ""} {
		for _, want := range []string{"", "application/json", "application/xml"} {
			if want != "application/xml" && !json.Valid([]byte(data)) {
				continue // without a type it has to be JSON
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(data))
			require.NoError(t, err)
			for name, value := range binary() {
				req.Header.Set(name, value)
			}
			req.Header.Del("Content-Type")
			if want != "" {
				req.Header.Set("Content-Type", want)
			}
			res, err := s.Client().Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			if want == "" {
				require.Empty(t, res.Header.Values("Content-Type"), "of %q", data)
			} else {
				require.Equal(t, []string{want}, res.Header.Values("Content-Type"), "of %q", data)
			}
			require.Equal(t, http.StatusOK, res.StatusCode, "%q %q: %s", data, want, body)
		}
	}
}

// FuzzHandler sends arbitrary requests. Each is answered with a documented status, and each event that
// reaches a function is valid.
func FuzzHandler(f *testing.F) {
	h, events := receiver(f)
	structured, err := json.Marshal(event(f))
	require.NoError(f, err)
	f.Add(cloudevents.ApplicationCloudEventsJSON, "", "", string(structured))
	f.Add(cloudevents.ApplicationCloudEventsBatchJSON, "", "", batch(f, event(f), event(f)))
	f.Add("application/json; charset=utf-8", "com.example.test", "Euro%20%E2%82%AC", `{"total": 120}`)
	f.Add("text/plain", "t", `"x\"%41"`, "hello")
	f.Add(cloudevents.ApplicationCloudEventsJSON, "", "", `{"data_base64": 5, "specversion": "1.0", "id": "1", "type": "t", "source": "s"}`)
	f.Add(cloudevents.ApplicationCloudEventsJSON, "", "", `{"specversion": "0.3", "id": "1", "type": "t", "source": "s", "datacontentencoding": "base64", "data": "eA=="}`)
	f.Fuzz(func(t *testing.T, contentType, eventType, subject, body string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		if eventType != "" {
			req.Header.Set("ce-specversion", "1.0")
			req.Header.Set("ce-id", "1")
			req.Header.Set("ce-source", "/fuzz")
			req.Header.Set("ce-type", eventType)
			req.Header.Set("ce-subject", subject)
		}
		res, answer := do(t, h, req)
		switch res.StatusCode {
		case http.StatusNoContent:
		case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge:
			problemIn(t, res, answer)
			require.Empty(t, events())
		default:
			t.Fatalf("%s: %s", res.Status, answer)
		}
		for _, e := range events() {
			require.NoError(t, e.Validate())
		}
	})
}
