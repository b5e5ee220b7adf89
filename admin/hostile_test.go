package admin_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/faastest"
)

func TestAHandlerNeedsAnAuthorizer(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	_, err := admin.TryHandler(r)
	require.ErrorIs(t, err, faas.ErrInput)
	assert.ErrorContains(t, err, "WithAuthorize")
	assert.Panics(t, func() { admin.Handler(r, admin.WithWrites()) })
	_, err = admin.TryHandler(nil, admin.WithInsecureLoopback())
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = admin.TryHandler(r, admin.WithInsecureLoopback(), admin.WithTrustedOrigin("nonsense"))
	assert.ErrorContains(t, err, "WithTrustedOrigin")
}

func TestALoopbackHostAnswersItsOwnMachineAlone(t *testing.T) {
	t.Parallel()
	api := admin.Handler(faastest.New(t), admin.WithInsecureLoopback())
	ask := func(remote, host string, header ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/functions", nil)
		r.RemoteAddr, r.Host = remote, host
		if len(header) == 2 {
			r.Header.Set(header[0], header[1])
		}
		a := httptest.NewRecorder()
		api.ServeHTTP(a, r)
		return a.Code
	}
	for _, host := range []string{"localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.8.9.1", "[::1]:8080", "[::1]"} {
		assert.Equal(t, http.StatusOK, ask("127.0.0.1:1234", host), host)
		assert.Equal(t, http.StatusOK, ask("[::1]:1234", host), host)
	}
	for _, host := range []string{"", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "0.0.0.0", "[::]", "localhost@evil.example"} {
		assert.Equal(t, http.StatusForbidden, ask("127.0.0.1:1234", host), host)
	}
	for _, remote := range []string{"10.0.0.1:1", "192.168.1.1:1", "[fe80::1]:1", "", "@", "127.0.0.1"} {
		assert.Equal(t, http.StatusForbidden, ask(remote, "localhost"), remote)
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via", "CF-Connecting-IP", "True-Client-IP"} {
		assert.Equal(t, http.StatusForbidden, ask("127.0.0.1:1234", "localhost", name, "127.0.0.1"), name)
	}
}

func TestRequestsOfOtherPagesAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, admin.WithHosts("faas.example"), admin.WithTrustedOrigin("https://ops.example"))
		ask := func(method string, header ...string) int {
			r := w.request(root, method, "/v1/functions/export/limit", `{"limit":3}`)
			if method == http.MethodGet {
				r = w.request(root, method, "/v1/functions", "")
			}
			r.Host = "faas.example:443"
			for i := 0; i+1 < len(header); i += 2 {
				if header[i] == "Host" {
					r.Host = header[i+1]
				} else {
					r.Header.Set(header[i], header[i+1])
				}
			}
			a := httptest.NewRecorder()
			w.api.ServeHTTP(a, r)
			for name := range a.Header() {
				assert.False(t, strings.HasPrefix(name, "Access-Control"), "no other origin may read")
			}
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy"} {
				assert.NotEmpty(t, a.Header().Get(name))
			}
			assert.Equal(t, "no-store", a.Header().Get("Cache-Control"))
			return a.Code
		}
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			assert.Equal(t, http.StatusOK, ask(method), "no browser")
			assert.Equal(t, http.StatusOK, ask(method, "Sec-Fetch-Site", "same-origin"))
			assert.Equal(t, http.StatusOK, ask(method, "Origin", "https://faas.example:443"))
			assert.Equal(t, http.StatusOK, ask(method, "Origin", "https://ops.example", "Sec-Fetch-Site", "cross-site"), "a trusted one")
			assert.Equal(t, http.StatusForbidden, ask(method, "Origin", "https://evil.example"))
			assert.Equal(t, http.StatusForbidden, ask(method, "Origin", "null"))
			assert.Equal(t, http.StatusForbidden, ask(method, "Sec-Fetch-Site", "cross-site"))
			assert.Equal(t, http.StatusForbidden, ask(method, "Sec-Fetch-Site", "same-site"))
			assert.Equal(t, http.StatusForbidden, ask(method, "Host", "evil.example"))
		}
		// The media types that a form of a web page can send without a preflight request.
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp", "text/plain; application/json"} {
			assert.Equal(t, http.StatusUnsupportedMediaType, ask(http.MethodPut, "Content-Type", kind), kind)
		}
		assert.Equal(t, http.StatusOK, ask(http.MethodPut, "Content-Type", "application/json; charset=utf-8"))
	})
}

// hostileTexts returns hostile values for a text field.
func hostileTexts() map[string]string {
	return map[string]string{
		"HTML":          `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`,
		"a megabyte":    strings.Repeat("x", 1<<20),
		"right to left": "\u202eevil\u202c עברית",
		"emoji":         "👩‍👩‍👧‍👦🏳️‍🌈",
		"controls":      "a\x00b\r\nSet-Cookie: x=1\x1b[31m",
		"2^53+1":        "9007199254740993",
		"path":          "../../etc/passwd",
		"no UTF-8":      "\xff\xfe",
	}
}

func TestHostileTextsAreAnsweredAndAuditedInBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		defer close(s.release)
		for name, text := range hostileTexts() {
			inBody, err := json.Marshal(text)
			require.NoError(t, err)
			inPath := url.PathEscape(text)
			inQuery := url.QueryEscape(text)
			var requests []*http.Request
			add := func(method, path, body string) {
				r := s.request(root, method, "/", body)
				if r.URL, err = url.Parse(path); err == nil {
					requests = append(requests, r)
				}
			}
			for _, path := range []string{
				"/v1/functions/%s", "/v1/functions/%s/aliases", "/v1/failures/%s", "/v1/jobs/%s", "/v1/runaways/%s/stack", "/v1/%s",
			} {
				add(http.MethodGet, fmt.Sprintf(path, inPath), "")
			}
			for _, v := range admin.Params() {
				if !strings.Contains(v.Path, "events") {
					add(http.MethodGet, v.Path+"?"+v.Name+"="+inQuery, "")
				}
			}
			for path, body := range map[string]string{
				"/v1/functions/resize/aliases/" + inPath: `{"weights":{"1":1}}`,
				"/v1/functions/resize/aliases/live":      `{"weights":{"1":1},"description":%s}`,
				"/v1/functions/" + inPath + "/limit":     `{"limit":1}`,
				"/v1/capacity":                           `{"capacity":%s}`,
				"/v1/budgets/" + inPath + "/limit":       `{"account":"a","limit":"1 calls"}`,
				"/v1/budgets/calls/limit":                `{"account":%s,"limit":"1 calls"}`,
				"/v1/budgets/calls/limit?":               `{"limit":%s}`,
			} {
				add(http.MethodPut, path, strings.ReplaceAll(body, "%s", string(inBody)))
			}
			for path, body := range map[string]string{
				"/v1/functions/broken/invoke":                    `{"tenant":%s,"key":%s,"text":%s}`,
				"/v1/functions/" + inPath + "/invoke":            `{}`,
				"/v1/failures/" + s.failure + "/replay":          `{"target":%s,"tenant":%s,"text":%s}`,
				"/v1/jobs/" + s.dead + "/replay":                 `{"text":%s}`,
				"/v1/jobs/purge":                                 `{"filter":{"function":%s,"tenant":%s,"orderKey":%s,"condition":%s,"labels":{"a":%s}}}`,
				"/v1/jobs/cancel":                                `{"filter":{"states":[%s]}}`,
				"/v1/sources/" + inPath + "/pause":               `{}`,
				"/v1/functions/resize/aliases/live?x=" + inQuery: `{}`,
			} {
				add(http.MethodPost, path, strings.ReplaceAll(body, "%s", string(inBody)))
			}
			for _, r := range requests {
				what := name + " in " + r.Method + " " + r.URL.Path[:min(60, len(r.URL.Path))]
				a := httptest.NewRecorder()
				s.api.ServeHTTP(a, r)
				assert.Less(t, a.Code, 500, what)
				if strings.HasPrefix(r.URL.Path, "/v1/") && a.Code != http.StatusMovedPermanently && a.Code != http.StatusTemporaryRedirect {
					assert.Contains(t, a.Header().Get("Content-Type"), "json", what)
					assert.True(t, json.Valid(a.Body.Bytes()), what)
				}
				e, err := json.Marshal(s.last())
				require.NoError(t, err)
				assert.Less(t, len(e), 8<<10, what)
			}
		}
	})
}

func TestIntegersBeyondWhatFloatsHoldSurvive(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{0, 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxUint64} {
		data, err := json.Marshal(admin.Count(n))
		require.NoError(t, err)
		assert.Equal(t, n >= 1<<53, data[0] == '"', n)
		var back admin.Count
		require.NoError(t, json.Unmarshal(data, &back))
		assert.Equal(t, admin.Count(n), back)
	}
	for _, n := range []int64{0, -1, 1<<53 - 1, 1<<53 + 1, -(1<<53 - 1), -(1<<53 + 1), math.MaxInt64, math.MinInt64} {
		data, err := json.Marshal(admin.Int(n))
		require.NoError(t, err)
		assert.Equal(t, n >= 1<<53 || n <= -1<<53, data[0] == '"', n)
		var back admin.Int
		require.NoError(t, json.Unmarshal(data, &back))
		assert.Equal(t, admin.Int(n), back)
	}
	for _, bad := range []string{`-1`, `1.5`, `"x"`, `""`, `18446744073709551616`, `true`, `{}`} {
		assert.Error(t, json.Unmarshal([]byte(bad), new(admin.Count)), bad)
	}
}

func TestAClientWhoseClockIsAnHourOffGetsAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		defer close(s.release)
		for _, off := range []time.Duration{-time.Hour, time.Hour} {
			at := url.QueryEscape(time.Now().Add(off).Format(time.RFC3339))
			for _, path := range []string{"/v1/series?since=", "/v1/failures?since=", "/v1/usage?at=", "/v1/jobs?after=", "/v1/jobs?before="} {
				assert.Equal(t, http.StatusOK, s.do(root, http.MethodGet, path+at, "").Code, path)
			}
		}
		assert.Equal(t, time.Now(), get[admin.Host](s.world, root, "/v1/host").Now.Local(), "by which a client can tell")
	})
}

func TestFramesAreFullWhenTheHostsClockIsPutBackAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		calls, rev, before := 0, admin.Count(0), time.Duration(0)
		for i, off := range []time.Duration{0, 0, -time.Hour, 0, 2 * time.Hour, 0} {
			require.NoError(t, w.call("export", "acme", ``))
			calls++
			f := admin.Look(w.api, off)
			jumped := i == 0 || off != before
			assert.Equal(t, jumped, f.Full, i)
			assert.Greater(t, f.Rev, rev)
			assert.LessOrEqual(t, f.Calls, admin.Int(calls), "none is counted twice")
			rev, before = f.Rev, off
			time.Sleep(time.Second)
		}
	})
}
