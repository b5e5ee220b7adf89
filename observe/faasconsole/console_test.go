package faasconsole_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe/faasconsole"
)

// api returns an API that answers with the principal and the request that it got.
func api() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s asks for %s", access.Caller(r.Context()).ID, r.URL.Path)
	})
}

func do(h http.Handler, method, target, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(data)
}

func TestThePageAndItsFilesAreServedBelowAnyPrefix(t *testing.T) {
	for _, prefix := range []string{"", "/console", "/a/b"} {
		h := http.StripPrefix(prefix, faasconsole.Handler(api()))
		page := do(h, http.MethodGet, prefix+"/", "")
		html := text(t, page)
		assert.Equal(t, http.StatusOK, page.StatusCode)
		assert.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
		for _, link := range regexp.MustCompile(`(?:src|href)="([^"#:]+)"`).FindAllStringSubmatch(html, -1) {
			assert.False(t, strings.HasPrefix(link[1], "/"), "%s is relative", link[1])
			assert.Equal(t, http.StatusOK, do(h, http.MethodGet, prefix+"/"+link[1], "").StatusCode, link[1])
		}
		assert.Equal(t, " asks for /v1/functions", text(t, do(h, http.MethodGet, prefix+"/v1/functions", "")))
		assert.Equal(t, http.StatusNotFound, do(h, http.MethodGet, prefix+"/nothing", "").StatusCode)
		if prefix != "" {
			bare := do(h, http.MethodGet, prefix, "")
			assert.Equal(t, http.StatusMovedPermanently, bare.StatusCode)
			assert.Equal(t, prefix+"/", path.Join(path.Dir(prefix), bare.Header.Get("Location"))+"/")
		}
	}
}

func TestAllThatIsServedForbidsWhatIsNotThePagesOwn(t *testing.T) {
	h := faasconsole.Handler(api())
	for _, target := range []string{"/", "/js/main.js", "/nothing", "/session"} {
		header := do(h, http.MethodGet, target, "").Header
		assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self';", target)
		assert.Contains(t, header.Get("Content-Security-Policy"), "require-trusted-types-for 'script'", target)
		assert.Equal(t, []string{"nosniff", "no-referrer", "DENY", "same-origin"}, []string{
			header.Get("X-Content-Type-Options"), header.Get("Referrer-Policy"), header.Get("X-Frame-Options"), header.Get("Cross-Origin-Opener-Policy"),
		}, target)
	}
}

func TestTheFilesMakeNoHTMLFromTextAndLoadNothingFromElsewhere(t *testing.T) {
	total := 0
	require.NoError(t, filepath.WalkDir("static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		var packed strings.Builder
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		require.NoError(t, err)
		_, _ = z.Write(data)
		require.NoError(t, z.Close())
		total += packed.Len()
		if strings.Contains(name, "vendor") {
			return nil
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			assert.NotContains(t, string(data), bad, name)
		}
		for _, address := range regexp.MustCompile(`https?://[^\s'"]+`).FindAllString(string(data), -1) {
			assert.Contains(t, []string{"http://www.w3.org/2000/svg"}, address, "%s names an address", name)
		}
		return nil
	}))
	assert.Less(t, total, 200<<10, "bytes of all files together, gzipped")
}

// uPlot is embedded as its author has published it, with its license.
func TestUPlotIsWhatItsAuthorHasPublished(t *testing.T) {
	for name, sum := range map[string]string{
		"uplot.js":  "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		data, err := os.ReadFile("static/vendor/" + name)
		require.NoError(t, err)
		got := sha256.Sum256(data)
		assert.Equal(t, sum, hex.EncodeToString(got[:]), name)
	}
	license, err := os.ReadFile("static/vendor/LICENSE")
	require.NoError(t, err)
	assert.Contains(t, string(license), "MIT License")
}

func TestFilesArePackedForThoseWhoTakeItAndNotSentTwice(t *testing.T) {
	h := faasconsole.Handler(api())
	plain := do(h, http.MethodGet, "/js/main.js", "")
	packed := do(h, http.MethodGet, "/js/main.js", "", "Accept-Encoding", "br, gzip;q=0.5")
	assert.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
	z, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	unpacked, err := io.ReadAll(z)
	require.NoError(t, err)
	assert.Equal(t, text(t, plain), string(unpacked))
	assert.Empty(t, do(h, http.MethodGet, "/js/main.js", "", "Accept-Encoding", "gzip;q=0").Header.Get("Content-Encoding"))
	assert.Equal(t, http.StatusNotModified, do(h, http.MethodGet, "/js/main.js", "", "If-None-Match", plain.Header.Get("Etag")).StatusCode)
	assert.Empty(t, text(t, do(h, http.MethodHead, "/js/main.js", "")))
	assert.Equal(t, http.StatusMethodNotAllowed, do(h, http.MethodPost, "/", "").StatusCode)
}

// logIn opens a session, and returns its cookie.
func logIn(t *testing.T, h http.Handler, token string) *http.Cookie {
	t.Helper()
	answer := do(h, http.MethodPost, "/session", fmt.Sprintf(`{"token": %q}`, token), "Content-Type", "application/json")
	require.Equal(t, http.StatusNoContent, answer.StatusCode, text(t, answer))
	require.Len(t, answer.Cookies(), 1)
	return answer.Cookies()[0]
}

func newTokens(t *testing.T) (*access.Tokens, string, access.Token) {
	t.Helper()
	tokens, err := access.NewTokens()
	require.NoError(t, err)
	secret, token, err := tokens.Issue(access.Principal{Kind: "user", ID: "ana"}, time.Hour)
	require.NoError(t, err)
	return tokens, secret.Reveal(), token
}

func TestATokenIsExchangedForASession(t *testing.T) {
	tokens, secret, token := newTokens(t)
	h := faasconsole.Handler(api(), faasconsole.WithLogin(tokens))
	assert.JSONEq(t, `{"login": true}`, text(t, do(h, http.MethodGet, "/session", "")))

	cookie := logIn(t, h, secret)
	assert.True(t, cookie.HttpOnly)
	assert.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	assert.NotContains(t, cookie.Value, secret)
	ask := func() string {
		return text(t, do(h, http.MethodGet, "/v1/host", "", "Cookie", cookie.Name+"="+cookie.Value))
	}
	assert.Equal(t, "ana asks for /v1/host", ask())
	assert.Equal(t, "ana asks for /v1/host", text(t, do(h, http.MethodGet, "/v1/host", "", "Authorization", "Bearer "+secret)))
	assert.Equal(t, " asks for /v1/host", text(t, do(h, http.MethodGet, "/v1/host", "", "Cookie", cookie.Name+"=guessed")))

	other := logIn(t, h, secret)
	assert.Equal(t, http.StatusNoContent, do(h, http.MethodDelete, "/session", "", "Cookie", other.Name+"="+other.Value).StatusCode)
	assert.Equal(t, " asks for /v1/host", text(t, do(h, http.MethodGet, "/v1/host", "", "Cookie", other.Name+"="+other.Value)), "a session that was ended")
	tokens.Revoke(token.Digest)
	assert.Equal(t, " asks for /v1/host", ask(), "a revoked token ends its sessions")
}

func TestASessionIsNotOpenedByWhatIsNoRequestOfThePage(t *testing.T) {
	tokens, secret, _ := newTokens(t)
	h := faasconsole.Handler(api(), faasconsole.WithLogin(tokens))
	good := fmt.Sprintf(`{"token": %q}`, secret)
	for name, c := range map[string]struct {
		status  int
		body    string
		headers []string
	}{
		"a wrong token":      {http.StatusUnauthorized, `{"token": "wrong"}`, []string{"Content-Type", "application/json"}},
		"no token":           {http.StatusUnauthorized, `{}`, []string{"Content-Type", "application/json"}},
		"no JSON":            {http.StatusBadRequest, `token=` + secret, []string{"Content-Type", "application/json"}},
		"a form":             {http.StatusUnsupportedMediaType, good, []string{"Content-Type", "text/plain"}},
		"another site":       {http.StatusForbidden, good, []string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}},
		"a megabyte of it":   {http.StatusBadRequest, `{"token": "` + strings.Repeat("x", 1<<20) + `"}`, []string{"Content-Type", "application/json"}},
		"a foreign Origin":   {http.StatusForbidden, good, []string{"Content-Type", "application/json", "Origin", "https://evil.example"}},
		"another media type": {http.StatusUnsupportedMediaType, good, nil},
	} {
		answer := do(h, http.MethodPost, "/session", c.body, c.headers...)
		assert.Equal(t, c.status, answer.StatusCode, name)
		assert.Empty(t, answer.Cookies(), name)
	}
	assert.Equal(t, http.StatusMethodNotAllowed, do(h, http.MethodPut, "/session", "").StatusCode)
}

func TestWithoutALoginTheHostAuthenticates(t *testing.T) {
	h := faasconsole.Handler(api(), faasconsole.WithLogin(nil), nil)
	assert.JSONEq(t, `{"login": false}`, text(t, do(h, http.MethodGet, "/session", "")))
	assert.Equal(t, http.StatusNotFound, do(h, http.MethodPost, "/session", `{}`, "Content-Type", "application/json").StatusCode)
	assert.Panics(t, func() { faasconsole.Handler(nil) })
}

func TestTheAPIBehindTheLoginIsThatOfTheViewer(t *testing.T) {
	tokens, secret, _ := newTokens(t)
	r := faas.New()
	defer r.Close()
	faas.Register(r, "seen", func(_ context.Context, n int) (int, error) { return n, nil })
	faas.Register(r, "hidden", func(_ context.Context, n int) (int, error) { return n, nil })
	rules := access.Rules{{Functions: []string{"seen"}, Principals: []string{"user:ana"}, Rights: []access.Right{access.See}}}
	h := faasconsole.Handler(admin.Handler(r, admin.WithAuthorize(rules.Permit)), faasconsole.WithLogin(tokens))
	assert.Equal(t, http.StatusUnauthorized, do(h, http.MethodGet, "/v1/functions", "").StatusCode)
	cookie := logIn(t, h, secret)
	answer := text(t, do(h, http.MethodGet, "/v1/functions", "", "Cookie", cookie.Name+"="+cookie.Value))
	assert.Contains(t, answer, `"seen"`)
	assert.NotContains(t, answer, `"hidden"`)
}
