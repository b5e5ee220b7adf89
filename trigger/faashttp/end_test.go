package faashttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// refusing makes a router with a function f, which its gate refuses with e.
func refusing(t *testing.T, e *faas.Error) *faas.Router {
	t.Helper()
	r, _ := hosted(t, faas.WithGate(gate(func(context.Context, faas.Invocation) error { return e })))
	faas.Register(r, "f", echo)
	return r
}

func TestEveryKindOfRefusalHasItsAnswerOverEveryDoor(t *testing.T) {
	type answer struct {
		status int
		reason string // of the problem, or the type of the API error
		after  string
	}
	for kind, want := range map[faas.Kind]struct{ front, lambda, url answer }{
		faas.KindNotFound:    {answer{404, "not_found", ""}, answer{404, "ResourceNotFoundException", ""}, answer{403, "AccessDeniedException", ""}},
		faas.KindDenied:      {answer{404, "not_found", ""}, answer{404, "ResourceNotFoundException", ""}, answer{403, "AccessDeniedException", ""}},
		faas.KindInvalid:     {answer{400, "mine", ""}, answer{400, "InvalidParameterValueException", ""}, answer{400, "InvalidParameterValueException", ""}},
		faas.KindTooLarge:    {answer{413, "too_large", ""}, answer{413, "RequestTooLargeException", ""}, answer{413, "RequestTooLargeException", ""}},
		faas.KindBusy:        {answer{429, "mine", "90"}, answer{429, "TooManyRequestsException", "90"}, answer{429, "TooManyRequestsException", "90"}},
		faas.KindUnavailable: {answer{503, "mine", "90"}, answer{500, "ServiceException", "90"}, answer{503, "", "90"}},
		faas.KindNesting:     {answer{508, "mine", ""}, answer{400, "RecursiveInvocationException", ""}, answer{502, "", ""}},
		faas.KindClosed:      {answer{503, "mine", "1"}, answer{500, "ServiceException", "1"}, answer{503, "", "90"}},
		faas.KindCanceled:    {answer{503, "canceled", "1"}, answer{500, "ServiceException", "1"}, answer{503, "", "90"}},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := refusing(t, &faas.Error{Kind: kind, Reason: "mine", RetryAfter: 90 * time.Second, Err: errNo})
				_, err := r.Invoke(t.Context(), "f", []byte("1"))
				require.Equal(t, kind, faas.EndOf(err, "f").Kind)
				check := func(w *httptest.ResponseRecorder, reason string, want answer) {
					assert.Equal(t, want, answer{w.Code, reason, w.Header().Get("Retry-After")})
					assert.NotContains(t, w.Body.String(), errNo.Error())
				}
				w := do(t, faashttp.Handler(r), "POST", "/fn/f", "1")
				check(w, reasonOf(t, w), want.front)
				w = do(t, lambdaOf(t, r), "POST", invocations("f"), "1")
				check(w, w.Header().Get("X-Amzn-ErrorType"), want.lambda)
				w = do(t, faashttp.FunctionURL(r, "f"), "POST", "/", "1")
				check(w, w.Header().Get("X-Amzn-ErrorType"), want.url)
			})
		})
	}
}

// The router's error names the function, and the call names the alias.
func TestARefusalByAnAliasHasTheAnswerOfOneByName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := refusing(t, &faas.Error{Kind: faas.KindBusy, Reason: "mine", RetryAfter: 90 * time.Second, Err: errNo})
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{0: 1}))
		for _, name := range []string{"f", "f:live", "f:$LATEST"} {
			for _, w := range []*httptest.ResponseRecorder{
				do(t, faashttp.Handler(r), "POST", "/fn/"+name, "1"),
				do(t, lambdaOf(t, r), "POST", invocations(name), "1"),
				do(t, faashttp.FunctionURL(r, name), "POST", "/", "1"),
			} {
				assert.Equal(t, 429, w.Code, name)
				assert.Equal(t, "90", w.Header().Get("Retry-After"), name)
			}
			assert.Equal(t, 404, do(t, faashttp.Handler(r), "POST", "/fn/f:none", "1").Code)
		}
	})
}

// A function exists even while its instances can't be made.
func TestAFunctionThatCanNotBeStartedIsUnavailableAndNotUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for path, want := range map[string]struct {
			first, then int
			reason      string
		}{"/fn/f": {500, 503, "init"}, "/url": {502, 503, ""}, invocations("f"): {200, 500, ""}} {
			r, _ := hosted(t)
			faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[json.RawMessage, json.RawMessage], func(context.Context) error, error) {
				return nil, nil, errors.New("the database is down")
			})
			h := map[string]func() *httptest.ResponseRecorder{
				"/fn/f":          func() *httptest.ResponseRecorder { return do(t, faashttp.Handler(r), "POST", path, "1") },
				"/url":           func() *httptest.ResponseRecorder { return do(t, faashttp.FunctionURL(r, "f"), "POST", path, "1") },
				invocations("f"): func() *httptest.ResponseRecorder { return do(t, lambdaOf(t, r), "POST", path, "1") },
			}[path]
			assert.Equal(t, want.first, h().Code, path)
			w := h()
			assert.Equal(t, want.then, w.Code, path)
			assert.Equal(t, "1", w.Header().Get("Retry-After"), path)
			assert.NotContains(t, w.Body.String(), "database")
			if want.reason != "" {
				assert.Equal(t, want.reason, reasonOf(t, w))
			}
		}
	})
}

func TestAProblemIsWhatTheFrontWouldAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithTimeout(time.Second), faas.WithLimits(100, 10))
		own := &faashttp.Problem{Status: 409, Reason: "taken", Detail: "It is taken."}
		faas.Register(r, "ok", echo)
		faas.Register(r, "own", func(context.Context, any) (any, error) { return nil, fmt.Errorf("wrapped: %w", own) })
		faas.Register(r, "nil", func(context.Context, any) (any, error) { return nil, (*faashttp.Problem)(nil) })
		faas.Register(r, "trap", func(context.Context, any) (any, error) { return nil, trap{} })
		faas.Register(r, "fail", func(context.Context, any) (any, error) { return nil, errNo })
		faas.Register(r, "panicky", func(context.Context, any) (any, error) { panic(1) })
		faas.Register(r, "late", func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
		faas.Register(r, "large", func(context.Context, any) (any, error) { return "01234567890", nil })
		faas.Register(r, "deputy", func(ctx context.Context, _ any) (any, error) { return r.Invoke(ctx, "nobody", nil) })
		faas.Register(r, "off", echo, faas.WithConcurrency(0))
		for _, name := range []string{"ok", "own", "nil", "trap", "fail", "panicky", "late", "large", "deputy", "off", "nobody", "no.name"} {
			_, err := r.Invoke(t.Context(), name, []byte("1"))
			front := do(t, faashttp.Handler(r), "POST", "/fn/"+name, "1", "X-Request-Id: same")
			p := faashttp.ProblemOf(err, name)
			if name == "ok" {
				assert.Nil(t, p)
				continue
			}
			assert.Equal(t, front.Code, p.Status, name)
			assert.Equal(t, reasonOf(t, front), p.Reason, name)
			w := do(t, p, "POST", "/elsewhere", "1", "X-Request-Id: same")
			assert.Equal(t, front.Code, w.Code)
			assert.Equal(t, front.Header(), w.Header(), name)
			assert.Equal(t, front.Body.String(), w.Body.String())
		}
		_, err := r.Invoke(t.Context(), "own", []byte("1"))
		assert.Same(t, own, faashttp.ProblemOf(err, "own"))

		denying := refusing(t, &faas.Error{Reason: "rule", Err: faas.ErrDenied})
		_, err = denying.Invoke(t.Context(), "f", []byte("1"))
		assert.Equal(t, 404, faashttp.ProblemOf(err, "f").Status)
		assert.Equal(t, 403, faashttp.ProblemOf(err, "f", faashttp.WithForbidden()).Status)
		assert.Equal(t, "rule", faashttp.ProblemOf(err, "f", faashttp.WithForbidden()).Reason)
	})
}

// trap is an error whose methods panic.
type trap struct{}

func (trap) Error() string { panic("no") }
func (trap) As(any) bool   { panic("no") }
func (trap) Is(error) bool { panic("no") }
