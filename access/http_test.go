package access_test

import (
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/access"
)

// passed is the request that the handler behind the middleware gets.
type passed struct {
	n      int
	by     access.Principal
	header http.Header
}

func (p *passed) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	p.n++
	p.by, p.header = access.Caller(r.Context()), r.Header
}

func try(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAValidTokenPassesAndGoesNoFurther(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t)
	secret, _ := issue(t, tokens, ana, 0)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
		var behind passed
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", scheme+secret.Reveal())
		w := httptest.NewRecorder()
		access.Bearer(tokens)(&behind).ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, ana, behind.by)
		assert.Empty(t, behind.header["Authorization"])
		assert.NotEmpty(t, r.Header["Authorization"], "the server's own request is not changed")
	}
}

func TestG05_AWrongTokenIsAnswered401AndRepeatedNowhere(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t)
	secret, _ := issue(t, tokens, ana, 0)
	right := secret.Reveal()
	var behind passed
	h := access.Bearer(tokens)(&behind)
	for n := range right {
		wrong := right[:n] + "_" + right[n+1:]
		if wrong == right {
			wrong = right[:n] + "-" + right[n+1:]
		}
		for _, guess := range []string{wrong, right[:n], right + right[:n+1]} {
			w := try(h, "Bearer "+guess)
			require.Equal(t, http.StatusUnauthorized, w.Code, n)
			assert.Equal(t, `Bearer realm="faas", error="invalid_token"`, w.Header().Get("WWW-Authenticate"))
			assert.Equal(t, "not authenticated\n", w.Body.String())
			_, err := tokens.Principal(access.NewSecret(guess))
			require.ErrorIs(t, err, access.ErrCredentials)
			if len(guess) > 4 {
				assert.NotContains(t, err.Error(), guess)
			}
		}
	}
	assert.Zero(t, behind.n)
}

func TestARequestWithoutUsableCredentialsDoesNotPass(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t)
	secret, _ := issue(t, tokens, ana, 0)
	good := "Bearer " + secret.Reveal()
	const none, wrong = `Bearer realm="faas"`, `Bearer realm="faas", error="invalid_token"`
	for name, c := range map[string]struct {
		header []string
		want   string
	}{
		"none":           {nil, none},
		"another scheme": {[]string{"Basic YTpi"}, none},
		"empty":          {[]string{""}, none},
		"two":            {[]string{good, good}, wrong},
		"no token":       {[]string{"Bearer"}, wrong},
		"blank token":    {[]string{"Bearer    "}, wrong},
		"two tokens":     {[]string{good + " " + secret.Reveal()}, wrong},
		"list":           {[]string{good + ",x"}, wrong},
		"control":        {[]string{good + "\x00"}, wrong},
		"only padding":   {[]string{"Bearer ==="}, wrong},
		"too long":       {[]string{"Bearer " + strings.Repeat("a", access.MaxBearerToken+1)}, wrong},
	} {
		var behind passed
		w := try(access.Bearer(tokens)(&behind), c.header...)
		assert.Equal(t, http.StatusUnauthorized, w.Code, name)
		assert.Equal(t, c.want, w.Header().Get("WWW-Authenticate"), name)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Zero(t, behind.n, name)
	}
}

func authenticator(p access.Principal, err error) access.Authenticator {
	return access.AuthenticatorFunc(func(*http.Request) (access.Principal, error) { return p, err })
}

func TestTheFirstAuthenticatorThatFindsCredentialsDecides(t *testing.T) {
	t.Parallel()
	none := authenticator(access.Principal{}, access.ErrNoCredentials)
	wrong := authenticator(access.Principal{}, access.ErrCredentials)
	broken := authenticator(access.Principal{}, errors.New("no key server"))
	isAna, isBob := authenticator(ana, nil), authenticator(bob, nil)
	isFunction := authenticator(access.Principal{Kind: access.Function, ID: "f"}, nil)
	for name, c := range map[string]struct {
		as   []access.Authenticator
		code int
		id   string
	}{
		"first":             {[]access.Authenticator{isAna, isBob}, 200, "ana"},
		"second":            {[]access.Authenticator{none, isBob}, 200, "bob"},
		"wrong is final":    {[]access.Authenticator{wrong, isBob}, 401, ""},
		"broken is final":   {[]access.Authenticator{broken, isBob}, 503, ""},
		"nobody":            {[]access.Authenticator{none, none}, 401, ""},
		"nothing to ask":    {nil, 401, ""},
		"no request is one": {[]access.Authenticator{isFunction}, 503, ""},
		"anonymous":         {[]access.Authenticator{none, access.AuthenticatorFunc(access.AsAnonymous)}, 200, ""},
	} {
		var behind passed
		w := try(access.Authenticate(c.as...)(&behind))
		assert.Equal(t, c.code, w.Code, name)
		assert.Equal(t, c.id, behind.by.ID, name)
		assert.Equal(t, c.code == 200, behind.n == 1, name)
		assert.NotContains(t, w.Body.String(), "key server")
	}
	var behind passed
	w := try(access.Authenticate(none, access.AuthenticatorFunc(access.AsAnonymous))(&behind), "Basic YTpi")
	assert.Equal(t, http.StatusUnauthorized, w.Code, "credentials that nobody understands are not none")
}

func TestAnAuthenticatorThatPanicsLetsNobodyIn(t *testing.T) {
	t.Parallel()
	var behind passed
	h := access.Authenticate(access.AuthenticatorFunc(func(*http.Request) (access.Principal, error) { panic("bug") }))(&behind)
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(&book{}, "", 0)
	s.Start()
	defer s.Close()
	resp, err := s.Client().Get(s.URL)
	if err == nil {
		_ = resp.Body.Close()
	}
	assert.Error(t, err)
	assert.Zero(t, behind.n)
}

// FuzzBearerToken looks for a token that is accepted without the form of a token, and for an error that
// repeats the input.
func FuzzBearerToken(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer a.b.c", "Basic x", "", "Bearer ", "Bearer a b", "Bearer =", "Bearer a==", "Bearer\tx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, err := access.BearerToken(http.Header{"Authorization": {header}})
		if err != nil {
			require.True(t, token.IsZero())
			if len(header) > 30 {
				require.NotContains(t, err.Error(), header)
			}
			return
		}
		v := token.Reveal()
		require.NotEmpty(t, v)
		require.LessOrEqual(t, len(v), access.MaxBearerToken)
		require.Equal(t, strings.TrimSpace(header[len("Bearer "):]), v)
		require.NotContains(t, v, " ")
	})
}

func FuzzDigest(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("0a", 32))
	f.Add("sha256:")
	f.Fuzz(func(t *testing.T, text string) {
		var d access.Digest
		if d.UnmarshalText([]byte(text)) == nil {
			require.Equal(t, strings.ToLower(text), d.String())
		}
	})
}
