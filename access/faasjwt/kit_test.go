package faasjwt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/faasjwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Keys are made only once, because RSA is slow.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { _, k, err := ed25519.GenerateKey(rand.Reader); return must(k, err) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type jwk map[string]any

func (k jwk) with(more jwk) jwk {
	k = maps.Clone(k)
	maps.Copy(k, more)
	return k
}

func rsaJWK(kid string, k *rsa.PrivateKey) jwk {
	return jwk{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

func ecJWK(kid string, k *ecdsa.PrivateKey) jwk {
	point := must(k.PublicKey.Bytes())[1:]
	return jwk{"kty": "EC", "crv": k.Params().Name, "kid": kid, "x": b64(point[:len(point)/2]), "y": b64(point[len(point)/2:])}
}

func edJWK(kid string, k ed25519.PrivateKey) jwk {
	return jwk{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(k.Public().(ed25519.PublicKey))}
}

// provider is an issuer's key server. It is a transport without a socket, so it works in a synctest
// bubble.
type provider struct {
	mu      sync.Mutex // guards the fields below
	keys    []jwk
	raw     []byte // the body of the answer, in place of keys
	code    int
	fetched int
	wait    chan struct{} // an answer waits until it is closed; nil: not at all
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetched++
	wait := p.wait
	p.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	body := p.raw
	if body == nil {
		body = must(json.Marshal(map[string]any{"keys": p.keys}))
	}
	code := p.code
	if code == 0 {
		code = http.StatusOK
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

func (p *provider) set(keys ...jwk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) fail(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code = code
}

func (p *provider) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

const (
	issuerName = "https://id.example.com/"
	audience   = "functions"
)

func config(p *provider) faasjwt.Config {
	return faasjwt.Config{
		Issuer: issuerName, Audience: []string{audience}, JWKS: "https://id.example.com/jwks.json",
		Client: &http.Client{Transport: p}, TenantClaim: "tenant", RolesClaim: "roles", Claims: []string{"email"},
	}
}

// setting runs f in a bubble, with an issuer that has one key of each kind.
func setting(t *testing.T, f func(t *testing.T, p *provider, i *faasjwt.Issuer), opts ...func(*faasjwt.Config)) {
	t.Helper()
	t.Parallel()
	rsaKey() // made outside of the bubble
	otherRSA()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		p.set(rsaJWK("rsa", rsaKey()).with(jwk{"use": "sig", "alg": "RS256"}), ecJWK("ec", ecKey()), edJWK("ed", edKey()))
		c := config(p)
		for _, o := range opts {
			o(&c)
		}
		i, err := faasjwt.New(c)
		require.NoError(t, err)
		f(t, p, i)
	})
}

// claims returns valid claims with these changes; a nil value removes a claim.
func claims(change ...map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": issuerName, "aud": audience, "sub": "ana", "tenant": "acme", "roles": []string{"clerk"}, "email": "ana@example.com",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "nbf": time.Now().Unix(),
	}
	for _, m := range change {
		maps.Copy(c, m)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t *testing.T, m jwt.SigningMethod, kid string, key any, c jwt.Claims, header ...map[string]any) access.Secret {
	t.Helper()
	token := jwt.NewWithClaims(m, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	for _, h := range header {
		maps.Copy(token.Header, h)
	}
	s, err := token.SignedString(key)
	require.NoError(t, err)
	return access.NewSecret(s)
}
