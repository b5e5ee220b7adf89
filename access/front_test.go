package access_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
)

// front is a minimal HTTP front.
func front(r *faas.Router, gate faas.Gate) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fn/{name}", func(w http.ResponseWriter, req *http.Request) {
		name := req.PathValue("name")
		if access.Ask(req.Context(), r, gate, name, access.Caller(req.Context()).Tenant) != nil {
			http.Error(w, "no such function", http.StatusNotFound)
			return
		}
		payload := make([]byte, req.ContentLength)
		_, _ = req.Body.Read(payload)
		out, err := r.Invoke(req.Context(), name, payload)
		switch {
		case errors.Is(err, faas.ErrNotFound), errors.Is(err, faas.ErrDenied):
			http.Error(w, "no such function", http.StatusNotFound)
		case err != nil:
			http.Error(w, "bad", http.StatusBadRequest)
		default:
			_, _ = w.Write(out)
		}
	})
	return mux
}

func TestG04_ADeniedCallLooksLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	rules := access.Rules{{Functions: []string{"known"}, Principals: []string{"user:ana"}}}
	gate := access.Authorizer(rules.Authorize)
	r := faastest.New(t, faas.WithGate(gate), faas.WithLimits(100, 100))
	entered := 0
	faas.Register(r, "known", func(_ context.Context, in int) (int, error) { entered++; return in, nil })
	tokens, err := access.NewTokens()
	require.NoError(t, err)
	mine, _, err := tokens.Issue(ana, 0)
	require.NoError(t, err)
	others, _, err := tokens.Issue(bob, 0)
	require.NoError(t, err)
	h := access.Bearer(tokens)(front(r, gate))
	post := func(token access.Secret, name, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, "/fn/"+name, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w
	}

	unknown := post(others, "unknown", "1")
	assert.Equal(t, http.StatusNotFound, unknown.Code)
	for what, body := range map[string]string{"good": "1", "malformed": "{", "too large": strings.Repeat("1", 1000), "empty": ""} {
		denied := post(others, "known", body)
		assert.Equal(t, unknown.Code, denied.Code, what)
		assert.Equal(t, unknown.Body.String(), denied.Body.String(), what)
		assert.Equal(t, unknown.Header(), denied.Header(), what)
	}
	assert.Equal(t, unknown.Body.String(), post(others, "%20no%20name", "1").Body.String())
	assert.Zero(t, entered)
	assert.Empty(t, faasRejected(r), "no call was even made")

	assert.Equal(t, "1", post(mine, "known", "1").Body.String())
	assert.Equal(t, http.StatusBadRequest, post(mine, "known", "{").Code, "who has rights is told")
	assert.Equal(t, http.StatusNotFound, post(mine, "unknown", "1").Code)
}

func faasRejected(r *faas.Router) map[faas.Reason]uint64 { return r.Stats().Rejected }

func TestAskAnswersTheSameForWhatThereIsAndWhatThereIsNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t, func(_ context.Context, p access.Principal, inv faas.Invocation) error {
			if p.ID == "ana" {
				return nil
			}
			return errors.New("secret reason about " + inv.Function)
		})
		gate := access.Authorizer(access.Rules{{Functions: []string{"*"}, Principals: []string{"user:ana"}}}.Authorize)
		for _, name := range []string{"f", "g"} {
			assert.NoError(t, access.Ask(as(t, ana), s.Router, gate, name, "acme"), "and Invoke will tell")
			err := access.Ask(as(t, bob), s.Router, gate, name, "bolt")
			require.ErrorIs(t, err, faas.ErrDenied)
			assert.NotContains(t, err.Error(), "rule", "no reason")
			assert.ErrorIs(t, access.Ask(as(t, ana), s.Router, gate, name, "bolt"), faas.ErrDenied, "not for that tenant")
		}
		assert.ErrorIs(t, access.Ask(as(t, ana), s.Router, gate, "no name", "acme"), faas.ErrDenied)
	})
}

// holder is a gate that reserves something for each call that it admits.
type holder struct {
	held, asked int
	bomb        bool
}

func (h *holder) Admit(context.Context, faas.Invocation) error {
	if h.asked++; h.bomb {
		panic("gate")
	}
	h.held++
	return nil
}

func (h *holder) Done(faas.Invocation, *faas.Execution) { h.held-- }

func TestAskLeavesNothingReservedAndDeniesWhenTheGatePanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t)
		h := &holder{}
		require.NoError(t, access.Ask(t.Context(), r, h, "f", ""))
		assert.Equal(t, 1, h.asked)
		assert.Zero(t, h.held)
		h.bomb = true
		assert.ErrorIs(t, access.Ask(t.Context(), r, h, "f", ""), faas.ErrDenied)
	})
}

func TestAListShowsWhatTheCallerMayCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t)
		for _, name := range []string{"b-one", "a", "b-two", "c"} {
			faas.Register(r, name, func(context.Context, int) (int, error) { return 0, nil })
		}
		gate := access.Authorizer(access.Rules{{Functions: []string{"b-*"}, Principals: []string{"user:bob"}}}.Authorize)
		var names []string
		for info := range access.Functions(as(t, bob), r, gate, "bolt") {
			names = append(names, info.Name)
		}
		assert.Equal(t, []string{"b-one", "b-two"}, names)
		for info := range access.Functions(as(t, bob), r, gate, "bolt") {
			assert.Equal(t, "b-one", info.Name, "and can be left")
			break
		}
		for info := range access.Functions(as(t, ana), r, gate, "acme") {
			t.Error(info.Name)
		}
	})
}

func TestAskJudgesAVersionByTheRulesOfItsName(t *testing.T) {
	t.Parallel()
	rules := access.Rules{
		{Functions: []string{"f"}, Principals: []string{"*"}, AnyTenant: true},
		{Functions: []string{"g:2"}, Principals: []string{"*"}, AnyTenant: true},
	}
	gate := access.Authorizer(rules.Authorize, access.WithInline())
	r := faastest.New(t, faas.WithGate(gate))
	echo := func(_ context.Context, in string) (string, error) { return in, nil }
	for _, name := range []string{"f", "g"} {
		faas.Register(r, name, echo)
		faas.Register(r, name, echo, faas.WithVersion(2))
		faas.Register(r, name, echo, faas.WithVersion(3))
	}
	for name, allowed := range map[string]bool{
		"f": true, "f:2": true, "f:$LATEST": true, "f:9": true, "g": false, "g:2": true, "g:3": false, "g:$LATEST": false, "g:9": false, "h:2": false, "f:": false,
	} {
		err := access.Ask(t.Context(), r, gate, name, "")
		assert.Equal(t, allowed, err == nil, name)
		if info, found := r.Info(name); found == nil && info.Name != "" {
			_, err = r.Invoke(t.Context(), name, []byte(`"x"`))
			assert.Equal(t, allowed, err == nil, "%s: %v", name, err)
		}
	}
}
