package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// vector is a published example of a scheme.
type vector struct {
	source  string
	scheme  func(...access.Secret) webhook.Scheme
	secret  string
	at      int64 // when it was signed; 0: no time is signed
	body    string
	header  map[string]string
	signals string // the name of the header with the signature
}

func vectors() map[string]vector {
	return map[string]vector{
		"github": {
			source:  "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation",
			scheme:  webhook.GitHub,
			secret:  "It's a Secret to Everybody",
			body:    "Hello, World!",
			header:  map[string]string{"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
			signals: "X-Hub-Signature-256",
		},
		"stripe": {
			source:  "GenerateTestSignedPayload of github.com/stripe/stripe-go/v82 v82.5.1, package webhook; the documentation has no complete example",
			scheme:  webhook.Stripe,
			secret:  "whsec_test_secret",
			at:      1614265330,
			body:    `{"id":"evt_test","object":"event"}`,
			header:  map[string]string{"Stripe-Signature": "t=1614265330,v1=fbd6bf5496b9d6310e422a2c072578f95f5eb492111ab57a5510e9cd79c1b304"},
			signals: "Stripe-Signature",
		},
		"standard": {
			source: "https://github.com/standard-webhooks/standard-webhooks, the sign tests of its libraries",
			scheme: webhook.Standard,
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			at:     1614265330,
			body:   `{"test": 2432232314}`,
			header: map[string]string{
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
				"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
			signals: "webhook-signature",
		},
		"svix": {
			source: "the example of Standard Webhooks, under the names of https://docs.svix.com/receiving/verifying-payloads/how-manual",
			scheme: webhook.Svix,
			secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			at:     1614265330,
			body:   `{"test": 2432232314}`,
			header: map[string]string{
				"svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "svix-timestamp": "1614265330",
				"svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
			signals: "svix-signature",
		},
	}
}

// each runs f for each vector, in a bubble at the time of the vector.
func each(t *testing.T, f func(t *testing.T, v vector)) {
	t.Helper()
	t.Parallel()
	for name, v := range vectors() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if v.at != 0 {
					time.Sleep(time.Until(time.Unix(v.at, 0)))
				}
				f(t, v)
			})
		})
	}
}

// request makes the request of the vector, with changes.
func (v vector) request(change ...func(r *http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(v.body))
	for name, value := range v.header {
		r.Header.Set(name, value)
	}
	for _, c := range change {
		c(r)
	}
	return r
}

// old is a secret that every scheme accepts. Each verifier has it in addition to the right one.
var old = access.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("an old secret of thirty bytes.")))

func (v vector) verifier(t *testing.T, opts ...webhook.Option) *webhook.Verifier {
	t.Helper()
	w, err := webhook.New("sender", v.scheme(old, access.NewSecret(v.secret)), opts...)
	require.NoError(t, err)
	return w
}

// behind is the handler behind a verifier.
type behind struct {
	code int // the status to answer; 0: none is written
	n    int
	body string
	by   access.Principal
}

func (b *behind) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.n++
	b.body, b.by = string(body), access.Caller(r.Context())
	if b.code != 0 {
		w.WriteHeader(b.code)
	}
}

func send(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestAPublishedExamplePassesWithItsBody(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		var b behind
		require.Equal(t, http.StatusOK, send(v.verifier(t).Handler(&b), v.request()), v.source)
		assert.Equal(t, v.body, b.body)
		assert.Equal(t, access.Webhook, b.by.Kind)
		assert.Equal(t, "sender", b.by.ID)
		assert.Equal(t, v.header["webhook-id"]+v.header["svix-id"], b.by.Claims["webhook-id"])
	})
}

func TestWhatIsChangedDoesNotPass(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		changes := map[string]func(r *http.Request){
			"body":                  func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(v.body + " ")) },
			"no body":               func(r *http.Request) { r.Body = http.NoBody },
			"no signature":          func(r *http.Request) { r.Header.Del(v.signals) },
			"empty signature":       func(r *http.Request) { r.Header.Set(v.signals, "") },
			"two signature headers": func(r *http.Request) { r.Header.Add(v.signals, v.header[v.signals]) },
			"garbage":               func(r *http.Request) { r.Header.Set(v.signals, "garbage") },
			"long":                  func(r *http.Request) { r.Header.Set(v.signals, v.header[v.signals]+strings.Repeat(" ", 5000)) },
		}
		for name := range v.header {
			value := v.header[name]
			for i := range value {
				changed := []byte(value)
				if changed[i] ^= 1; strings.EqualFold(string(changed), value) {
					continue
				}
				changes[fmt.Sprintf("%s at %d", name, i)] = func(r *http.Request) { r.Header.Set(name, string(changed)) }
			}
		}
		var b behind
		h := v.verifier(t).Handler(&b)
		for name, change := range changes {
			assert.Equal(t, http.StatusUnauthorized, send(h, v.request(change)), name)
		}
		assert.Zero(t, b.n)
		assert.Equal(t, http.StatusOK, send(h, v.request()), "and none of it keeps the real one out")
		assert.Equal(t, 1, b.n)
	})
}

func TestAnotherSecretDoesNotPass(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		var b behind
		w, err := webhook.New("sender", v.scheme(old))
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnauthorized, send(w.Handler(&b), v.request()))
		assert.Zero(t, b.n)
	})
}

func TestWhatIsOutsideOfTheWindowDoesNotPass(t *testing.T) {
	t.Parallel()
	for name, v := range vectors() {
		if v.at == 0 {
			continue // no time is signed
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, c := range []struct {
					at   time.Duration
					want int
				}{
					{-time.Hour, 401},
					{-5*time.Minute - 1, 401},
					{-5 * time.Minute, 200},
					{0, 200},
					{5 * time.Minute, 200},
					{5*time.Minute + 1, 401},
					{time.Hour, 401},
				} {
					time.Sleep(time.Until(time.Unix(v.at, 0).Add(c.at)))
					assert.Equal(t, c.want, send(v.verifier(t).Handler(&behind{}), v.request()), c.at)
				}
			})
		})
	}
}

func TestAMessageIsHandledOnce(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		var b behind
		h := v.verifier(t).Handler(&b)
		for range 3 {
			assert.Equal(t, http.StatusOK, send(h, v.request()))
		}
		assert.Equal(t, 1, b.n)
		time.Sleep(5 * time.Minute)
		code := send(h, v.request())
		if v.at == 0 {
			assert.Equal(t, 2, b.n, "no time is signed: it can come again when it is forgotten")
			return
		}
		assert.Equal(t, http.StatusOK, code, "at the end of the window")
		time.Sleep(time.Nanosecond)
		assert.Equal(t, http.StatusUnauthorized, send(h, v.request()))
		assert.Equal(t, 1, b.n)
	})
}

func TestWhatIsNotSignedMakesNoNewMessage(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		var b behind
		h := v.verifier(t, webhook.WithSignedReplayKey()).Handler(&b)
		for i := range 3 {
			send(h, v.request(func(r *http.Request) {
				r.Header.Set("X-GitHub-Delivery", strconv.Itoa(i))
				r.Header.Set("X-Request-Id", strconv.Itoa(i))
				r.URL.RawQuery = "id=" + strconv.Itoa(i)
				if v.signals == "Stripe-Signature" {
					r.Header.Set(v.signals, v.header[v.signals]+",v0="+strconv.Itoa(i))
				}
			}))
		}
		assert.Equal(t, 1, b.n)
	})
}

func TestDeliveriesOfGitHubWithEqualBodiesAreEachHandledOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*webhook.Verifier, http.Handler) http.Handler{
		"handler":       (*webhook.Verifier).Handler,
		"authenticator": func(w *webhook.Verifier, next http.Handler) http.Handler { return access.Authenticate(w)(next) },
	} {
		w, err := webhook.New("github", webhook.GitHub(access.NewSecret("s")))
		require.NoError(t, err)
		var b behind
		h := open(w, &b)
		for i, delivery := range []string{"0b989ba4", "1c89aba4", "0b989ba4", "1c89aba4", ""} {
			r := signGitHub("s", `{"ref":"refs/heads/main","workflow":"deploy.yml"}`)
			r.Header.Set("X-GitHub-Delivery", delivery)
			code := send(h, r)
			if name == "handler" {
				assert.Equal(t, http.StatusOK, code, i)
			}
		}
		assert.Equal(t, 3, b.n, "%s: two that came twice, and one without the header", name)
	}
}

func TestTheUserChoosesWhatAMessageIsRememberedBy(t *testing.T) {
	t.Parallel()
	firstLetter := func(_ http.Header, body []byte) string { return strings.TrimSpace(string(body[:1])) }
	w, err := webhook.New("sender", webhook.GitHub(access.NewSecret("s")), webhook.WithReplayKey(firstLetter), webhook.WithReplays(2))
	require.NoError(t, err)
	var b behind
	h := w.Handler(&b)
	for _, c := range []struct {
		body    string
		handled bool
	}{{"a1", true}, {"a2", false}, {"b1", true}, {" 1", true}, {" 1", true}, {" 2", true}} { // without a key, room is not needed
		before := b.n
		assert.Equal(t, http.StatusOK, send(h, signGitHub("s", c.body)))
		assert.Equal(t, c.handled, b.n > before, c.body)
	}
	assert.Equal(t, http.StatusServiceUnavailable, send(h, signGitHub("s", "c")))
	for range 2 {
		p, err := w.Authenticate(signGitHub("s", " 1"))
		require.NoError(t, err)
		assert.Equal(t, "sender", p.ID)
	}
	assert.Equal(t, http.StatusUnauthorized, send(h, signGitHub("wrong", " 1")), "the key is asked for after the signature")
}

func TestHeadersOfTwoSetsAreNotMixed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := vectors()
		svix, standard := all["svix"], all["standard"]
		time.Sleep(time.Until(time.Unix(svix.at, 0)))
		h := func() http.Handler { return svix.verifier(t).Handler(&behind{}) }
		assert.Equal(t, http.StatusOK, send(h(), standard.request()), "Svix has the names of Standard Webhooks too")
		assert.Equal(t, http.StatusUnauthorized, send(standard.verifier(t).Handler(&behind{}), svix.request()), "and Standard not those of Svix")
		for header, value := range map[string]string{"webhook-id": "other", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"} {
			assert.Equal(t, http.StatusOK, send(h(), svix.request(func(r *http.Request) { r.Header.Set(header, value) })), header)
		}
		for header := range svix.header {
			mixed := svix.request(func(r *http.Request) {
				r.Header.Del(header)
				for name, value := range standard.header {
					r.Header.Set(name, value)
				}
			})
			want := http.StatusUnauthorized
			if header == "svix-signature" { // the other set is then complete
				want = http.StatusOK
			}
			assert.Equal(t, want, send(h(), mixed), header)
		}
	})
}

func TestAMessageThatFailedMayComeAgain(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		b := behind{code: http.StatusInternalServerError}
		w := v.verifier(t)
		assert.Equal(t, http.StatusInternalServerError, send(w.Handler(&b), v.request()))
		bomb := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("bug") })
		assert.Panics(t, func() { send(w.Handler(bomb), v.request()) })
		b.code = http.StatusAccepted
		assert.Equal(t, http.StatusAccepted, send(w.Handler(&b), v.request()))
		assert.Equal(t, http.StatusOK, send(w.Handler(&b), v.request()))
		assert.Equal(t, 2, b.n)
	})
}

func TestAMessageThatIsBeingHandledIsNotHandledTwice(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		w := v.verifier(t)
		release := make(chan struct{})
		n := 0
		h := w.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n++; <-release }))
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, http.StatusOK, send(h, v.request())) })
		synctest.Wait()
		assert.Equal(t, http.StatusConflict, send(h, v.request()))
		close(release)
		wg.Wait()
		assert.Equal(t, http.StatusOK, send(h, v.request()))
		assert.Equal(t, 1, n)
	})
}

// signGitHub signs as GitHub does. It does not use the code of the package.
func signGitHub(secret, body string) *http.Request {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(m.Sum(nil)))
	return r
}

func TestThereIsNoMoreToRememberThanAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, err := webhook.New("sender", webhook.GitHub(access.NewSecret("s")), webhook.WithReplays(3), webhook.WithWindow(time.Minute))
		require.NoError(t, err)
		var b behind
		h := w.Handler(&b)
		for i := range 3 {
			require.Equal(t, http.StatusOK, send(h, signGitHub("s", strconv.Itoa(i))))
		}
		assert.Equal(t, http.StatusServiceUnavailable, send(h, signGitHub("s", "3")))
		for range 100 {
			assert.Equal(t, http.StatusUnauthorized, send(h, signGitHub("wrong", "x")), "takes no room")
		}
		_, err = w.Authenticate(signGitHub("s", "3"))
		require.ErrorIs(t, err, webhook.ErrFull)
		assert.Equal(t, 3, b.n)
		time.Sleep(time.Minute)
		assert.Equal(t, http.StatusOK, send(h, signGitHub("s", "3")), "what is old makes room")
		assert.Equal(t, 4, b.n)
	})
}

func TestABodyIsReadAsFarAsAllowed(t *testing.T) {
	t.Parallel()
	w, err := webhook.New("sender", webhook.GitHub(access.NewSecret("s")), webhook.WithBodyLimit(10))
	require.NoError(t, err)
	var b behind
	h := w.Handler(&b)
	assert.Equal(t, http.StatusOK, send(h, signGitHub("s", "0123456789")))
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(h, signGitHub("s", "0123456789a")))
	unknown := signGitHub("s", "0123456789a")
	unknown.ContentLength = -1
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(h, unknown))
	for _, limit := range []int64{math.MaxInt64, math.MaxInt64 - 1, 11} {
		none, err := webhook.New("sender", webhook.GitHub(access.NewSecret("s")), webhook.WithBodyLimit(limit))
		require.NoError(t, err)
		var whole behind
		assert.Equal(t, http.StatusOK, send(none.Handler(&whole), signGitHub("s", "0123456789a")), "limit %d", limit)
		assert.Equal(t, "0123456789a", whole.body)
	}
	said := signGitHub("s", "0123456789a")
	said.Body = io.NopCloser(iotest.ErrReader(errors.New("read")))
	assert.Equal(t, http.StatusRequestEntityTooLarge, send(h, said), "what says that it is too large is not read")
	broken := signGitHub("s", "x")
	broken.Body = io.NopCloser(iotest.ErrReader(errors.New("gone")))
	assert.Equal(t, http.StatusBadRequest, send(h, broken))
	unsigned := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("read")))
	assert.Equal(t, http.StatusUnauthorized, send(h, unsigned), "nobody without a signature has a body read")
	assert.Equal(t, 1, b.n)
}

func TestAVerifierIsAnAuthenticator(t *testing.T) {
	each(t, func(t *testing.T, v vector) {
		var b behind
		h := access.Authenticate(v.verifier(t))(&b)
		assert.Equal(t, http.StatusOK, send(h, v.request()))
		assert.Equal(t, v.body, b.body)
		assert.Equal(t, access.Webhook, b.by.Kind)
		assert.Equal(t, http.StatusUnauthorized, send(h, v.request()), "a replay")
		assert.Equal(t, http.StatusUnauthorized, send(h, httptest.NewRequest(http.MethodPost, "/", nil)))
		assert.Equal(t, 1, b.n)

		_, err := v.verifier(t).Authenticate(httptest.NewRequest(http.MethodPost, "/", nil))
		require.ErrorIs(t, err, access.ErrNoCredentials, "others may know this request")
		w := v.verifier(t)
		_, err = w.Authenticate(v.request())
		require.NoError(t, err)
		_, err = w.Authenticate(v.request())
		require.ErrorIs(t, err, webhook.ErrReplayed)
		require.ErrorIs(t, err, access.ErrCredentials)
	})
}

func TestOneOfSeveralSignaturesIsEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := vectors()
		time.Sleep(time.Until(time.Unix(1614265330, 0)))
		zeros := strings.Repeat("0", 64)
		v := all["stripe"]
		good := strings.TrimPrefix(v.header[v.signals], "t=1614265330,")
		for header, want := range map[string]int{
			"t=1614265330,v1=" + zeros + "," + good:               200,
			good + ",t=1614265330":                                200,
			"t=1614265330,v0=" + zeros + "," + good + ",v1=short": 200,
			"t=1614265330,v1=" + zeros:                            401,
			"t=1614265330,t=1614265330," + good:                   401,
			"t=1614265330,v0=" + good[3:]:                         401,
			"t=1614265331," + good:                                401,
			"t=+1614265330," + good:                               401,
			"t=01614265330," + good:                               401,
			good:                                                  401,
			"t=1614265330":                                        401,
			"t=1614265330," + good + ",x":                         401,
		} {
			got := send(v.verifier(t).Handler(&behind{}), v.request(func(r *http.Request) { r.Header.Set(v.signals, header) }))
			assert.Equal(t, want, got, header)
		}
		v = all["standard"]
		good = v.header[v.signals]
		wrong := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
		for header, want := range map[string]int{
			wrong + " " + good:                200,
			good + "  v1a,xyz " + wrong:       200,
			wrong:                             401,
			"v2," + good[3:]:                  401,
			good[3:]:                          401,
			strings.ReplaceAll(good, "=", ""): 401,
		} {
			got := send(v.verifier(t).Handler(&behind{}), v.request(func(r *http.Request) { r.Header.Set(v.signals, header) }))
			assert.Equal(t, want, got, header)
		}
	})
}

func TestThePartsOfWhatIsSignedCannotBeShifted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := vectors()["standard"]
		time.Sleep(time.Until(time.Unix(v.at, 0)))
		// A sender signs an id with a dot in it. Another id, time and body then have the same text, and
		// so the same signature.
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v.secret, "whsec_"))
		require.NoError(t, err)
		m := hmac.New(sha256.New, key)
		m.Write([]byte("a.1614265330.1614265330.body"))
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body"))
		r.Header.Set("Webhook-Id", "a.1614265330")
		r.Header.Set("Webhook-Timestamp", "1614265330")
		r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
		assert.Equal(t, http.StatusUnauthorized, send(v.verifier(t).Handler(&behind{}), r))
	})
}

func TestARetryOfAStandardWebhookIsTheSameMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := vectors()["standard"]
		time.Sleep(time.Until(time.Unix(v.at, 0)))
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v.secret, "whsec_"))
		require.NoError(t, err)
		var b behind
		h := v.verifier(t).Handler(&b)
		for range 3 {
			now := strconv.FormatInt(time.Now().Unix(), 10)
			m := hmac.New(sha256.New, key)
			m.Write([]byte(v.header["webhook-id"] + "." + now + "." + v.body))
			assert.Equal(t, http.StatusOK, send(h, v.request(func(r *http.Request) {
				r.Header.Set("Webhook-Timestamp", now)
				r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
			})))
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 1, b.n)
	})
}

func TestAVerifierThatCannotWorkIsFoundWhenItIsMade(t *testing.T) {
	t.Parallel()
	s := access.NewSecret("hunter2")
	ok := webhook.GitHub(s)
	for cure, f := range map[string]func() (*webhook.Verifier, error){
		"needs a name":              func() (*webhook.Verifier, error) { return webhook.New("", ok) },
		"needs a scheme":            func() (*webhook.Verifier, error) { return webhook.New("n", nil) },
		"needs at least one secret": func() (*webhook.Verifier, error) { return webhook.New("n", webhook.Stripe()) },
		"no secret may be empty":    func() (*webhook.Verifier, error) { return webhook.New("n", webhook.GitHub(s, access.Secret{})) },
		"24 to 64 bytes":            func() (*webhook.Verifier, error) { return webhook.New("n", webhook.Standard(s)) },
		"WithWindow(0s)":            func() (*webhook.Verifier, error) { return webhook.New("n", ok, webhook.WithWindow(0)) },
		"WithReplays(0)":            func() (*webhook.Verifier, error) { return webhook.New("n", ok, webhook.WithReplays(0)) },
		"needs a func":              func() (*webhook.Verifier, error) { return webhook.New("n", ok, webhook.WithReplayKey(nil)) },
		"WithBodyLimit(0)":          func() (*webhook.Verifier, error) { return webhook.New("n", ok, webhook.WithBodyLimit(0)) },
	} {
		_, err := f()
		require.ErrorContains(t, err, cure)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

func TestAHandlerCanStillFlush(t *testing.T) {
	t.Parallel()
	w, err := webhook.New("sender", webhook.GitHub(access.NewSecret("s")))
	require.NoError(t, err)
	var flushed error
	h := w.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("a"))
		flushed = http.NewResponseController(w).Flush()
	}))
	assert.Equal(t, http.StatusOK, send(h, signGitHub("s", "x")))
	assert.NoError(t, flushed)
}

// fuzz looks for headers that make a scheme panic, or that pass without the published
// signature.
func fuzz(f *testing.F, name string, headers ...string) {
	f.Helper()
	v := vectors()[name]
	f.Fuzz(func(t *testing.T, a, b, c string) {
		w, err := webhook.New("sender", v.scheme(access.NewSecret(v.secret)), webhook.WithWindow(100*365*24*time.Hour))
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(v.body))
		header := map[string]string{}
		for i, value := range []string{a, b, c}[:len(headers)] {
			r.Header.Set(headers[i], value)
			header[headers[i]] = value
		}
		_, err = w.Authenticate(r)
		switch {
		case err == nil && !signed(v, header):
			t.Errorf("passes: %q", header)
		case err != nil && maps.Equal(header, v.header):
			t.Errorf("the published example does not pass: %v", err)
		case err != nil && !errors.Is(err, access.ErrCredentials) && !errors.Is(err, access.ErrNoCredentials):
			t.Errorf("another error: %v", err)
		}
	})
}

// signed reports whether the headers have the published signature and the values that it was made for.
// The fuzzer can't find any other valid signature.
func signed(v vector, header map[string]string) bool {
	for name, value := range v.header {
		if name != v.signals && header[name] != value {
			return false
		}
	}
	_, sum, _ := strings.Cut(v.header[v.signals], "v1")
	if sum == "" {
		sum = v.header[v.signals][len("sha256"):]
	}
	return strings.Contains(strings.ToLower(header[v.signals]), strings.ToLower(sum))
}

func FuzzGitHub(f *testing.F) {
	v := vectors()["github"]
	f.Add(v.header[v.signals], "", "")
	f.Add("sha256=", "", "")
	f.Add("sha1=00", "", "")
	fuzz(f, "github", "X-Hub-Signature-256")
}

func FuzzStripe(f *testing.F) {
	v := vectors()["stripe"]
	f.Add(v.header[v.signals], "", "")
	f.Add("t=1,v1=00,v1=,v0=,=", "", "")
	f.Add(v.header[v.signals]+",t=99999999999999999999", "", "")
	fuzz(f, "stripe", "Stripe-Signature")
}

func FuzzStandard(f *testing.F) {
	v := vectors()["standard"]
	f.Add(v.header["webhook-id"], v.header["webhook-timestamp"], v.header[v.signals])
	f.Add("a.b", "-1", "v1,= v1a, ,")
	fuzz(f, "standard", "webhook-id", "webhook-timestamp", "webhook-signature")
}
