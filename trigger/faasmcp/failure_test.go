package faasmcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faasmcp"
)

var errSecret = errors.New("password is hunter2")

// gate is a Gate that returns the error of a func.
type gate func() error

func (g gate) Admit(context.Context, faas.Invocation) error { return g() }
func (g gate) Done(faas.Invocation, *faas.Execution)        {}

func TestEveryEndOfACallIsTypedAndTellsNothingFromInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		r := faastest.New(t, faas.WithTimeout(time.Second))
		register := func(name string, f func() error, opts ...faas.FunctionOption) {
			faas.Register(r, name, func(context.Context, query) (found, error) { return found{}, f() }, opts...)
		}
		register("fails", func() error { return errors.New("no such customer") })
		register("panics", func() error { panic(errSecret) })
		register("exits", func() error { runtime.Goexit(); return nil })
		register("deaf", func() error { <-release; return nil })
		register("denied", nil, faas.WithGate(gate(func() error { return errSecret })))
		register("broke", nil, faas.WithGate(gate(func() error {
			return &faas.Error{Reason: "budget", RetryAfter: 90*time.Second + 1, Err: faas.ErrDenied}
		})))
		register("full", nil, faas.WithGate(gate(func() error {
			return &faas.Error{Reason: faas.ReasonOverloaded, RetryAfter: 10 * time.Millisecond, Err: faas.ErrOverloaded}
		})))
		register("small", nil, faas.WithLimits(5, 100))
		register("again", func() error { // it returns a refusal that looks like the router's own
			return &faas.Error{Op: "invoke", Function: "again", Kind: faas.KindBusy, Reason: faas.ReasonOverloaded, Err: faas.ErrOverloaded}
		})
		register("down", nil, faas.WithGate(gate(func() error {
			return &faas.Error{Kind: faas.KindUnavailable, Reason: "policy_down", RetryAfter: time.Minute, Err: errSecret}
		})))
		register("deep", nil, faas.WithGate(gate(func() error {
			return &faas.Error{Kind: faas.KindNesting, Reason: faas.ReasonDepth, Err: faas.ErrDepth}
		})))
		register("nests", func() error {
			_, err := r.Invoke(context.Background(), "panics", []byte(`{"text": ""}`))
			return err
		})
		register("poison", func() error { return poison{} })
		register("leaves", func() error { return rude(runtime.Goexit) })
		forever := make(chan struct{})
		defer close(forever)
		register("mute", func() error { return rude(func() { <-forever }) })
		faas.Register(r, "large", func(context.Context, query) (string, error) { return "0123456789", nil }, faas.WithLimits(100, 5))
		faas.Register(r, "liar", func(context.Context, query) (map[string]int, error) { return map[string]int{"n": 1}, nil })
		server, _ := newServer(t, r, faasmcp.WithTool("liar", func(t *mcp.Tool) {
			t.OutputSchema = json.RawMessage(`{"type": "object", "required": ["text"]}`)
		}))
		cs := connect(t, server, "agent", nil)

		for _, c := range []struct {
			tool, text string
			want       faasmcp.Failure
		}{
			{"fails", "no such customer", faasmcp.Failure{Outcome: "Failed"}},
			{"panics", "panics failed by an internal error", faasmcp.Failure{Outcome: "Panicked"}},
			{"exits", "exits failed by an internal error", faasmcp.Failure{Outcome: "Exited"}},
			{"deaf", "deaf did not answer in time", faasmcp.Failure{Outcome: "TimedOut"}},
			{"denied", "this call of denied is not permitted", faasmcp.Failure{Outcome: "Refused", Reason: "denied"}},
			{"broke", "this call of broke was refused (budget); try again in 1m30s", faasmcp.Failure{Outcome: "Refused", Reason: "budget", RetryAfterMs: 90_001}},
			{"full", "full is busy; try again in 1s", faasmcp.Failure{Outcome: "Refused", Reason: "overloaded", RetryAfterMs: 10}},
			{"small", "the arguments are larger than small takes", faasmcp.Failure{Outcome: "Refused", Reason: "too_large"}},
			{"again", `faas: invoke "again" refused (overloaded): overloaded`, faasmcp.Failure{Outcome: "Failed"}},
			{"down", "down is not available for now; try again in 1m0s", faasmcp.Failure{Outcome: "Refused", Reason: "policy_down", RetryAfterMs: 60_000}},
			{"deep", "this call of deep is part of a loop, or of too long a chain", faasmcp.Failure{Outcome: "Refused", Reason: "depth"}},
			{"nests", "nests failed by an internal error", faasmcp.Failure{Outcome: "Failed"}},
			{"poison", "an error whose text can't be read", faasmcp.Failure{Outcome: "Failed"}},
			{"leaves", "an error whose text can't be read", faasmcp.Failure{Outcome: "Failed"}},
			{"mute", "an error whose text can't be read", faasmcp.Failure{Outcome: "Failed"}},
			{"large", "large has run, but its answer can't be passed on", faasmcp.Failure{Outcome: "OutputInvalid"}},
			{"liar", `liar has run, but its output schema does not allow what it answered: validating root: required: missing properties: ["text"]`, faasmcp.Failure{Outcome: "OutputInvalid"}},
		} {
			start := time.Now()
			res := ask(t, cs, c.tool, query{Text: "some text"})
			require.True(t, res.IsError, c.tool)
			require.Equal(t, c.text, text(t, res))
			require.Nil(t, res.StructuredContent, "it would have to fit the output schema")
			f, ok := faasmcp.FailureOf(res)
			require.True(t, ok)
			f.Invocation = ""
			require.Equal(t, c.want, f, c.tool)
			require.NotContains(t, asJSON(t, res), "hunter2")
			if c.tool == "deaf" || c.tool == "mute" {
				require.Equal(t, time.Second, time.Since(start))
			}
		}
		require.NoError(t, r.Close())
		f, _ := faasmcp.FailureOf(ask(t, cs, "fails", query{}))
		require.Equal(t, faas.ReasonClosed, f.Reason)
	})
}

type poison struct{}

func (poison) Error() string { panic("poison") }

// rude is an error whose Error method runs a func that may panic, block or exit.
type rude func()

func (r rude) Error() string { r(); return "too late" }

func TestAResultWithoutAFailureHasNone(t *testing.T) {
	t.Parallel()
	for _, res := range []*mcp.CallToolResult{
		nil,
		{},
		{Meta: mcp.Meta{faasmcp.MetaFailure: "text"}},
		{Meta: mcp.Meta{faasmcp.MetaFailure: map[string]any{}}},
		{Meta: mcp.Meta{faasmcp.MetaFailure: func() {}}},
	} {
		_, ok := faasmcp.FailureOf(res)
		require.False(t, ok)
	}
	want := faasmcp.Failure{Outcome: faasmcp.Refused, Reason: "r", RetryAfterMs: 5, Invocation: "i"}
	var overTheWire mcp.CallToolResult
	require.NoError(t, json.Unmarshal([]byte(asJSON(t, &mcp.CallToolResult{Meta: mcp.Meta{faasmcp.MetaFailure: want}})), &overTheWire))
	for _, res := range []*mcp.CallToolResult{{Meta: mcp.Meta{faasmcp.MetaFailure: want}}, &overTheWire} {
		got, ok := faasmcp.FailureOf(res)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func TestAClientThatCancelsEndsItsCall(t *testing.T) {
	t.Parallel()
	var rec faastest.Recorder
	r := faastest.New(t, faas.WithMeter(&rec))
	started, ended := make(chan struct{}, 2), make(chan error, 2)
	faas.Register(r, "wait", func(ctx context.Context, _ struct{}) (struct{}, error) {
		started <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return struct{}{}, ctx.Err()
	})
	server, _ := newServer(t, r)
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	stateless := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true})
	for name, cs := range map[string]*mcp.ClientSession{
		"in memory":            connect(t, server, "agent", nil),
		"HTTP":                 connectHTTP(t, h, nil, "agent", ""),
		"HTTP without session": connectHTTP(t, stateless, nil, "agent", ""),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		_, err := cs.CallTool(ctx, &mcp.CallToolParams{Name: "wait"})
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorIs(t, <-ended, context.Canceled, name)
	}
	require.NoError(t, rec.Wait(t.Context(), 3))
	for _, e := range rec.Executions() {
		require.Equal(t, faas.Canceled, e.Outcome)
	}
}

func TestAClientThatHangsUpEndsItsCalls(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	started, ended := make(chan struct{}), make(chan error, 1)
	faas.Register(r, "wait", func(ctx context.Context, _ struct{}) (struct{}, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return struct{}{}, ctx.Err()
	})
	server, _ := newServer(t, r)
	here, there := mcp.NewInMemoryTransports()
	ss, err := server.Connect(t.Context(), there, nil)
	require.NoError(t, err)
	conn, err := here.Connect(t.Context()) // it will close the connection without ending the session first
	require.NoError(t, err)
	for _, line := range []string{
		`{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "clientInfo": {"name": "x", "version": "1"}, "capabilities": {}}}`,
		`{"jsonrpc": "2.0", "method": "notifications/initialized"}`,
		`{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "wait"}}`,
	} {
		msg, err := jsonrpc.DecodeMessage([]byte(line))
		require.NoError(t, err)
		require.NoError(t, conn.Write(t.Context(), msg))
		if req, ok := msg.(*jsonrpc.Request); ok && req.Method == "initialize" {
			_, err = conn.Read(t.Context())
			require.NoError(t, err)
		}
	}
	<-started
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, context.Canceled)
	_ = ss.Wait()
}

func TestAnAgentIsATenant(t *testing.T) {
	t.Parallel()
	var rec faastest.Recorder
	r := faastest.New(t, faas.WithMeter(&rec))
	faas.Register(r, "tick", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	server, _ := newServer(t, r)
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	tenant := func(cs *mcp.ClientSession) string {
		rec.Reset()
		require.False(t, ask(t, cs, "tick", nil).IsError)
		all := rec.Executions()
		require.Len(t, all, 1)
		return all[0].Tenant
	}
	require.Equal(t, "client:ada", tenant(connect(t, server, "ada", nil)), "stdio and in memory: what it calls itself")
	require.Equal(t, "client:adabob"+strings.Repeat("x", 56), tenant(connect(t, server, "ada\n\x1bbob"+strings.Repeat("x", 200), nil)), "within reason")

	one, two := connectHTTP(t, h, nil, "ada", ""), connectHTTP(t, h, nil, "ada", "2025-06-18")
	require.Equal(t, "session:"+one.ID(), tenant(one))
	require.Equal(t, "session:"+one.ID(), tenant(one), "for as long as it lasts")
	require.NotEqual(t, tenant(one), tenant(two), "two sessions of clients of one name")
	stateless := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	require.Equal(t, "client:ada", tenant(connectHTTP(t, stateless, nil, "ada", "")), "without sessions")
	require.Empty(t, tenant(connectHTTP(t, stateless, nil, "ada", "2025-06-18")), "without a name either")

	verified := auth.RequireBearerToken(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{UserID: "user of " + token, Expiration: time.Now().Add(time.Hour)}, nil
	}, nil)(h)
	client := &http.Client{Transport: bearer{&http.Transport{}, "t1"}}
	t.Cleanup(client.CloseIdleConnections)
	require.Equal(t, "user of t1", tenant(connectHTTP(t, verified, client, "ada", "")), "the token's user before all")

	decided := mcp.NewServer(&mcp.Implementation{Name: "tools"}, nil)
	faasmcp.AddTools(decided, r, faasmcp.WithTenant(func(_ context.Context, req *mcp.CallToolRequest) string { return "team of " + req.ClientInfo().Name }))
	require.Equal(t, "team of ada", tenant(connect(t, decided, "ada", nil)))
}

// A client can open a new session at any time. Counts for each session then begin anew.
func TestAPrincipalIsOneTenantInAllItsSessions(t *testing.T) {
	t.Parallel()
	var rec faastest.Recorder
	r := faastest.New(t, faas.WithMeter(&rec))
	faas.Register(r, "tick", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	server, _ := newServer(t, r, faasmcp.WithTenant(func(ctx context.Context, _ *mcp.CallToolRequest) string {
		return access.Caller(ctx).String()
	}))
	tokens, err := access.NewTokens()
	require.NoError(t, err)
	secret, _, err := tokens.Issue(access.Principal{Kind: access.User, ID: "ana"}, 0)
	require.NoError(t, err)
	client := &http.Client{Transport: bearer{&http.Transport{}, secret.Reveal()}}
	t.Cleanup(client.CloseIdleConnections)
	for _, opts := range []*mcp.StreamableHTTPOptions{nil, {Stateless: true}} {
		h := access.Authenticate(tokens)(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, opts))
		for _, version := range []string{"", "2025-06-18"} {
			rec.Reset()
			require.False(t, ask(t, connectHTTP(t, h, client, "ada", version), "tick", nil).IsError)
			require.Equal(t, `user "ana"`, rec.Executions()[0].Tenant)
		}
	}
}

func TestACallWhoseTenantCantBeToldIsRefused(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "tick", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	server, _ := newServer(t, r, faasmcp.WithTenant(func(context.Context, *mcp.CallToolRequest) string { panic(errSecret) }))
	res := ask(t, connect(t, server, "agent", nil), "tick", nil)
	f, ok := faasmcp.FailureOf(res)
	require.True(t, ok)
	require.Equal(t, faasmcp.Failure{Outcome: faasmcp.Refused, Reason: faas.ReasonDenied}, f)
	require.NotContains(t, asJSON(t, res), "hunter2")
	info, err := r.Info("tick")
	require.NoError(t, err)
	require.Zero(t, info.Admitted)
}

type bearer struct {
	*http.Transport

	token string
}

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+b.token)
	return b.Transport.RoundTrip(req)
}

// The waiting calls of several tenants are served in turn, so that many calls of one agent do not delay
// the one call of another.
func TestAFloodingAgentDoesNotStarveAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rec faastest.Recorder
		r := faastest.New(t, faas.WithMeter(&rec))
		faas.Register(r, "work", func(ctx context.Context, _ struct{}) (struct{}, error) {
			time.Sleep(10 * time.Millisecond)
			return struct{}{}, nil
		}, faas.WithConcurrency(1))
		server, _ := newServer(t, r)
		loud, quiet := connect(t, server, "loud", nil), connect(t, server, "quiet", nil)
		done := make(chan error)
		for range 50 {
			go func() {
				_, err := loud.CallTool(context.Background(), &mcp.CallToolParams{Name: "work"})
				done <- err
			}()
		}
		synctest.Wait()
		start := time.Now()
		ask(t, quiet, "work", nil)
		require.LessOrEqual(t, time.Since(start), 30*time.Millisecond, "behind the one that runs and one of the loud agent's")
		for range 50 {
			require.NoError(t, <-done)
		}
		require.Len(t, rec.By(func(e faas.Execution) bool { return e.Tenant == "client:loud" }), 50)
	})
}
