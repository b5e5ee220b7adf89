package faasjwt_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/faasjwt"
)

func TestATokenOfTheIssuerIsWhoItSays(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		want := access.Principal{
			Kind: access.User, ID: "ana", Tenant: "acme", Roles: []string{"clerk"}, Claims: map[string]string{"email": "ana@example.com"},
		}
		for name, token := range map[string]access.Secret{
			"RS256":                 sign(t, jwt.SigningMethodRS256, "rsa", rsaKey(), claims()),
			"ES256":                 sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims()),
			"EdDSA":                 sign(t, jwt.SigningMethodEdDSA, "ed", edKey(), claims()),
			"Ed25519":               sign(t, jwt.SigningMethodEdDSA, "ed", edKey(), claims(), map[string]any{"alg": "Ed25519"}),
			"no kid, and no choice": sign(t, jwt.SigningMethodES256, "", ecKey(), claims()),
			"several audiences":     sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(map[string]any{"aud": []string{"x", audience}})),
		} {
			got, err := i.Principal(t.Context(), token)
			require.NoError(t, err, name)
			assert.Equal(t, want, got, name)
		}
		assert.Equal(t, 1, p.fetches())
	})
}

// bad asserts that a token is refused as wrong credentials, and that the error contains nothing of the
// token.
func bad(t *testing.T, i *faasjwt.Issuer, name string, token access.Secret) {
	t.Helper()
	p, err := i.Principal(t.Context(), token)
	require.ErrorIs(t, err, access.ErrCredentials, name)
	assert.Zero(t, p, name)
	for part := range strings.SplitSeq(token.Reveal(), ".") {
		if len(part) > 8 {
			assert.NotContains(t, err.Error(), part, name)
		}
	}
	assert.NotContains(t, err.Error(), "mallory", name)
}

func TestATokenThatIsNotGoodIsNotLetIn(t *testing.T) {
	setting(t, func(t *testing.T, _ *provider, i *faasjwt.Issuer) {
		now := time.Now()
		for name, change := range map[string]map[string]any{
			"expired":              {"exp": now.Add(-31 * time.Second).Unix()},
			"no expiry":            {"exp": nil},
			"not yet":              {"nbf": now.Add(31 * time.Second).Unix()},
			"issued later":         {"iat": now.Add(31 * time.Second).Unix()},
			"for others":           {"aud": "mallory"},
			"for nobody":           {"aud": nil},
			"no subject":           {"sub": nil},
			"subject is no string": {"sub": 7},
			"no tenant":            {"tenant": nil},
			"expiry is no time":    {"exp": "mallory"},
			"EXP is no expiry":     {"exp": nil, "EXP": now.Add(time.Hour).Unix()},
			"NBF is not looked at": {"NBF": 0, "nbf": now.Add(time.Hour).Unix()},
			"Sub is no subject":    {"sub": nil, "Sub": "mallory"},
			"AUD is no audience":   {"aud": nil, "AUD": audience},
			"TENANT is no tenant":  {"tenant": nil, "TENANT": "acme"},
		} {
			bad(t, i, name, sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(change)))
		}
		for name, change := range map[string]map[string]any{
			"within the leeway": {"exp": now.Add(-29 * time.Second).Unix(), "nbf": now.Add(29 * time.Second).Unix()},
		} {
			_, err := i.Principal(t.Context(), sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(change)))
			assert.NoError(t, err, name)
		}
		good := sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims()).Reveal()
		parts := strings.Split(good, ".")
		forged, err := json.Marshal(claims(map[string]any{"sub": "mallory"}))
		require.NoError(t, err)
		for name, token := range map[string]string{
			"other claims":     parts[0] + "." + b64(forged) + "." + parts[2],
			"no signature":     parts[0] + "." + parts[1] + ".",
			"half a signature": good[:len(good)-20],
			"header is null":   b64([]byte("null")) + "." + parts[1] + "." + parts[2],
			"no algorithm":     b64([]byte(`{"typ":"JWT"}`)) + "." + parts[1] + "." + parts[2],
			"signature no b64": parts[0] + "." + parts[1] + ".!mallory!",
			"header no JSON":   b64([]byte("mallory-mallory")) + "." + parts[1] + "." + parts[2],
		} {
			bad(t, i, name, access.NewSecret(token))
		}
	})
}

// A date that is larger than an int64 becomes negative when it is converted.
func TestADateBeyondAllTimeIsNotGood(t *testing.T) {
	setting(t, func(t *testing.T, _ *provider, i *faasjwt.Issuer) {
		for _, name := range []string{"exp", "nbf", "iat"} {
			for _, date := range []string{"9223372036854775807", "9223372036854775808", "1e19", "1e300", "1e400", "-9223372036854775808", "-1e19", "-1e300", "-1e400"} {
				bad(t, i, name+" "+date, sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(map[string]any{name: json.RawMessage(date)})))
			}
		}
		for _, date := range []string{"253402300799", "1e15", "9e18"} {
			_, err := i.Principal(t.Context(), sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(map[string]any{"exp": json.RawMessage(date)})))
			assert.NoError(t, err, date)
		}
		_, err := i.Principal(t.Context(), sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(map[string]any{"nbf": -9e18, "iat": -1})))
		assert.NoError(t, err)
	})
}

func TestKeysCannotBeConfused(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		public, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
		require.NoError(t, err)
		asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
		secret := []byte("a symmetric key of the set, which is not for us")
		p.set(
			rsaJWK("rsa", rsaKey()).with(jwk{"alg": "RS256"}), ecJWK("ec", ecKey()), edJWK("ed", edKey()),
			jwk{"kty": "oct", "kid": "oct", "k": b64(secret), "alg": "HS256"},
			ecJWK("enc", ecKey()).with(jwk{"use": "enc"}), ecJWK("ops", ecKey()).with(jwk{"key_ops": []string{"sign"}}),
			ecJWK("p384", ec384()),
		)
		mallory := claims(map[string]any{"sub": "mallory"})
		none := sign(t, jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, mallory)
		for name, token := range map[string]access.Secret{
			"none":                       none,
			"None":                       access.NewSecret(b64([]byte(`{"alg":"None","kid":"rsa"}`)) + "." + strings.Split(none.Reveal(), ".")[1] + "."),
			"HMAC with the public PEM":   sign(t, jwt.SigningMethodHS256, "rsa", asPEM, mallory),
			"HMAC with the public DER":   sign(t, jwt.SigningMethodHS256, "rsa", public, mallory),
			"HMAC with the modulus":      sign(t, jwt.SigningMethodHS256, "rsa", rsaKey().N.Bytes(), mallory),
			"HMAC with the set's secret": sign(t, jwt.SigningMethodHS256, "oct", secret, mallory),
			"HMAC with nothing":          sign(t, jwt.SigningMethodHS256, "", []byte{}, mallory),
			"another RSA key":            sign(t, jwt.SigningMethodRS256, "rsa", otherRSA(), mallory),
			"another kid":                sign(t, jwt.SigningMethodRS256, "ec", rsaKey(), mallory),
			"an unknown kid":             sign(t, jwt.SigningMethodRS256, "mallory", otherRSA(), mallory),
			"not the key's algorithm":    sign(t, jwt.SigningMethodPS256, "rsa", rsaKey(), mallory),
			"not in the list":            sign(t, jwt.SigningMethodRS512, "rsa", rsaKey(), mallory),
			"curve not in the list":      sign(t, jwt.SigningMethodES384, "p384", ec384(), mallory),
			"key for encryption":         sign(t, jwt.SigningMethodES256, "enc", ecKey(), mallory),
			"key not for verifying":      sign(t, jwt.SigningMethodES256, "ops", ecKey(), mallory),
			"own key in the header": sign(t, jwt.SigningMethodRS256, "rsa", otherRSA(), mallory,
				map[string]any{"jwk": rsaJWK("rsa", otherRSA()), "jku": "https://mallory.example", "x5u": "https://mallory.example"}),
			"critical extension": sign(t, jwt.SigningMethodES256, "ec", ecKey(), mallory, map[string]any{"crit": []string{"b64"}, "b64": false}),
			"kid is no string":   sign(t, jwt.SigningMethodES256, "ec", ecKey(), mallory, map[string]any{"kid": 7}),
		} {
			bad(t, i, name, token)
		}
	})
}

func TestAKeyIsForTheAlgorithmThatItNames(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		p.set(rsaJWK("rs", rsaKey()).with(jwk{"alg": "RS256"}), rsaJWK("any", rsaKey()))
		bad(t, i, "PS256 with a key for RS256", sign(t, jwt.SigningMethodPS256, "rs", rsaKey(), claims()))
		_, err := i.Principal(t.Context(), sign(t, jwt.SigningMethodPS256, "any", rsaKey(), claims()))
		require.NoError(t, err)
		_, err = i.Principal(t.Context(), sign(t, jwt.SigningMethodRS256, "rs", rsaKey(), claims()))
		require.NoError(t, err)
	}, func(c *faasjwt.Config) { c.Algorithms = []string{"RS256", "PS256"} })
}

func TestATokenWithoutAKeyIDIsNotTriedWithEveryKey(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		p.set(rsaJWK("a", rsaKey()), rsaJWK("b", otherRSA()))
		bad(t, i, "two would fit", sign(t, jwt.SigningMethodRS256, "", rsaKey(), claims()))
	})
}

func TestATokenOfAnotherIssuerIsLeftToOtherAuthenticators(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		other := sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(map[string]any{"iss": "https://other.example"}))
		elsewhere := sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims(map[string]any{"iss": nil, "ISS": issuerName}))
		for _, token := range []access.Secret{
			other, elsewhere, access.NewSecret("opaque"), access.NewSecret("a.b"),
			{},
			access.NewSecret("a.b.c"), access.NewSecret(".."), access.NewSecret("v2.local.opaque"), access.NewSecret("a.b.c.d"),
			access.NewSecret("a." + b64([]byte(`"text"`)) + ".c"), access.NewSecret("a." + b64([]byte(`{} `+"{}")) + ".c"),
		} {
			_, err := i.Principal(t.Context(), token)
			require.ErrorIs(t, err, access.ErrNoCredentials)
		}
		assert.Zero(t, p.fetches(), "and no key is fetched for it")
		tokens, err := access.NewTokens()
		require.NoError(t, err)
		secret, _, err := tokens.Issue(access.Principal{Kind: access.User, ID: "bob"}, 0)
		require.NoError(t, err)
		door := access.Authenticate(i, tokens)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, access.Caller(r.Context()))
		}))
		for _, c := range []struct {
			token access.Secret
			code  int
		}{{sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims()), 200}, {secret, 200}, {other, 401}} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
			w := httptest.NewRecorder()
			door.ServeHTTP(w, r)
			assert.Equal(t, c.code, w.Code)
		}
	})
}

func TestAnIssuerThatCannotWorkIsFoundWhenItIsMade(t *testing.T) {
	t.Parallel()
	for cure, change := range map[string]func(c *faasjwt.Config){
		"Issuer is needed":     func(c *faasjwt.Config) { c.Issuer = "" },
		"Audience is needed":   func(c *faasjwt.Config) { c.Audience = nil },
		`algorithm "none"`:     func(c *faasjwt.Config) { c.Algorithms = []string{"none"} },
		`algorithm "HS256"`:    func(c *faasjwt.Config) { c.Algorithms = []string{"RS256", "HS256"} },
		`algorithm "RS1024"`:   func(c *faasjwt.Config) { c.Algorithms = []string{"RS1024"} },
		"Algorithms is empty":  func(c *faasjwt.Config) { c.Algorithms = []string{} },
		`"http://id.example"`:  func(c *faasjwt.Config) { c.JWKS = "http://id.example" },
		`"file:///etc/keys"`:   func(c *faasjwt.Config) { c.JWKS = "file:///etc/keys" },
		`JWKS ""`:              func(c *faasjwt.Config) { c.JWKS = "" },
		"can't be negative":    func(c *faasjwt.Config) { c.Leeway = -1 },
		"MaxAge can't be less": func(c *faasjwt.Config) { c.MaxAge = time.Second },
		"only a function of":   func(c *faasjwt.Config) { c.Kind = access.Function },
	} {
		c := config(&provider{})
		change(&c)
		_, err := faasjwt.New(c)
		assert.ErrorContains(t, err, cure)
	}
}

// This test uses a real connection and the default client.
func TestKeysAreFetchedFromAServerAndNotFromWhereItPoints(t *testing.T) {
	t.Parallel()
	set := must(json.Marshal(map[string]any{"keys": []jwk{ecJWK("ec", ecKey())}}))
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks", http.StatusFound) })
	s := httptest.NewServer(mux)
	defer s.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for path, good := range map[string]bool{"/jwks": true, "/moved": false} {
		i, err := faasjwt.New(faasjwt.Config{Issuer: issuerName, Audience: []string{audience}, JWKS: s.URL + path})
		require.NoError(t, err)
		p, err := i.Principal(t.Context(), sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims()))
		assert.Equal(t, good, err == nil, path)
		assert.Equal(t, good, p.ID == "ana")
		if !good {
			assert.NotErrorIs(t, err, access.ErrCredentials, "nobody knows yet")
		}
	}
}
