package faasjwt_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/faasjwt"
)

// lasting makes a token that is valid for 1,000 hours, so that a test can let time pass.
func lasting(t *testing.T, kid string, key any) access.Secret {
	t.Helper()
	return sign(t, jwt.SigningMethodRS256, kid, key, claims(map[string]any{"exp": time.Now().Add(1000 * time.Hour).Unix()}))
}

func TestANewKeyIsFetchedWhenATokenNamesItAndAnOldOneIsForgotten(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		before := lasting(t, "rsa", rsaKey())
		_, err := i.Principal(t.Context(), before)
		require.NoError(t, err)
		p.set(rsaJWK("new", otherRSA()))
		after := lasting(t, "new", otherRSA())
		bad(t, i, "within the cooldown", after)
		_, err = i.Principal(t.Context(), before)
		require.NoError(t, err, "the old key is as good as it was")
		time.Sleep(30 * time.Second)
		_, err = i.Principal(t.Context(), after)
		require.NoError(t, err)
		assert.Equal(t, 2, p.fetches())
		bad(t, i, "its key is gone", before)
	})
}

func TestAKeyThatWasReplacedUnderItsIDIsFetchedWhenASignatureDoesNotFit(t *testing.T) {
	for name, kid := range map[string]string{"one ID": "rsa", "no ID": ""} {
		t.Run(name, func(t *testing.T) {
			setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
				p.set(rsaJWK(kid, rsaKey()))
				before, after := lasting(t, kid, rsaKey()), lasting(t, kid, otherRSA())
				_, err := i.Principal(t.Context(), before)
				require.NoError(t, err)
				p.set(rsaJWK(kid, otherRSA()))
				bad(t, i, "within the cooldown", after)
				_, err = i.Principal(t.Context(), before)
				require.NoError(t, err, "the old key is as good as it was")
				time.Sleep(30 * time.Second)
				answers := make(chan error, 20)
				for range 20 { // one of them fetches, the others wait for it
					go func() { _, err := i.Principal(t.Context(), after); answers <- err }()
				}
				for range 20 {
					require.NoError(t, <-answers)
				}
				assert.Equal(t, 2, p.fetches())
				bad(t, i, "its key is gone", before)
			})
		})
	}
}

func TestAKeyOfAnotherKindUnderTheSameIDIsFetched(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		_, err := i.Principal(t.Context(), lasting(t, "rsa", rsaKey()))
		require.NoError(t, err)
		p.set(ecJWK("rsa", ecKey()))
		time.Sleep(30 * time.Second)
		_, err = i.Principal(t.Context(), sign(t, jwt.SigningMethodES256, "rsa", ecKey(), claims()))
		require.NoError(t, err)
		assert.Equal(t, 2, p.fetches())
	})
}

// floodSeconds is the length of a flood with one bad token a second. Each token costs an RSA signature,
// which bounds how long the test can be.
func floodSeconds() int {
	if testing.Short() {
		return 120
	}
	return 600
}

func TestForgedSignaturesFetchNoMoreThanOnceEachCooldown(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		good := lasting(t, "rsa", rsaKey())
		_, err := i.Principal(t.Context(), good)
		require.NoError(t, err)
		for range floodSeconds() {
			bad(t, i, "forged", lasting(t, "rsa", otherRSA()))
			_, err := i.Principal(t.Context(), good)
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1+floodSeconds()/30-1, p.fetches())
	})
}

func TestAKeyForEd25519IsOneForEdDSA(t *testing.T) {
	for _, keyAlg := range []string{"", "EdDSA", "Ed25519"} {
		for _, listed := range []string{"EdDSA", "Ed25519"} {
			t.Run(keyAlg+" "+listed, func(t *testing.T) {
				setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
					p.set(edJWK("ed", edKey()).with(jwk{"alg": keyAlg}), ecJWK("ec", ecKey()))
					for _, alg := range []string{"EdDSA", "Ed25519"} {
						_, err := i.Principal(t.Context(), sign(t, jwt.SigningMethodEdDSA, "ed", edKey(), claims(), map[string]any{"alg": alg}))
						require.NoError(t, err, alg)
					}
					bad(t, i, "Ed448", sign(t, jwt.SigningMethodEdDSA, "ed", edKey(), claims(), map[string]any{"alg": "Ed448"}))
					bad(t, i, "not in the list", sign(t, jwt.SigningMethodES256, "ec", ecKey(), claims()))
					bad(t, i, "a key of another kind", sign(t, jwt.SigningMethodEdDSA, "ec", edKey(), claims(), map[string]any{"alg": "Ed25519"}))
				}, func(c *faasjwt.Config) { c.Algorithms = []string{listed} })
			})
		}
	}
}

func TestAKeyThatWasTakenOutIsForgottenAfterRefresh(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		token := lasting(t, "rsa", rsaKey())
		_, err := i.Principal(t.Context(), token)
		require.NoError(t, err)
		p.set(rsaJWK("new", otherRSA()))
		time.Sleep(15 * time.Minute)
		_, err = i.Principal(t.Context(), token)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		bad(t, i, "stolen", token)
	})
}

func TestTokensWithInventedKeysFetchNoMoreThanOnceEachCooldown(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		_, err := i.Principal(t.Context(), lasting(t, "rsa", rsaKey()))
		require.NoError(t, err)
		for n := range floodSeconds() {
			bad(t, i, "invented", lasting(t, fmt.Sprint("invented-", n), otherRSA()))
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1+floodSeconds()/30-1, p.fetches())
	})
}

func TestKeysAtHandAreGoodWhileTheServerIsDownAndNotForEver(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		token := lasting(t, "rsa", rsaKey())
		_, err := i.Principal(t.Context(), token)
		require.NoError(t, err)
		p.fail(http.StatusServiceUnavailable)
		time.Sleep(24 * time.Hour)
		_, err = i.Principal(t.Context(), token)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = i.Principal(t.Context(), token)
		require.Error(t, err)
		assert.NotErrorIs(t, err, access.ErrCredentials)
		assert.NotErrorIs(t, err, access.ErrNoCredentials)
		p.fail(0)
		time.Sleep(30 * time.Second)
		_, err = i.Principal(t.Context(), token)
		assert.NoError(t, err)
	})
}

// atLimit returns a valid set of the largest size that is accepted.
func atLimit() string {
	set := string(must(json.Marshal(map[string]any{"keys": []jwk{rsaJWK("rsa", rsaKey())}})))
	return set + strings.Repeat(" ", 1<<20-len(set))
}

func TestASetMayBeAsLargeAsTheLimit(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		p.raw = []byte(atLimit())
		_, err := i.Principal(t.Context(), lasting(t, "rsa", rsaKey()))
		assert.NoError(t, err)
	})
}

func TestWithoutKeysATokenIsNeitherLetInNorCalledWrong(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	for name, raw := range map[string]string{
		"not JSON":      "<html>",
		"no keys":       `{"keys":[]}`,
		"null":          `null`,
		"array":         `[]`,
		"useless keys":  `{"keys":[null,1,"x",{},{"kty":"oct","k":"AAAA"},{"kty":"RSA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`,
		"small RSA key": string(must(json.Marshal(map[string]any{"keys": []jwk{rsaJWK("rsa", small)}}))),
		"too large":     atLimit() + " ", // a set that is good if its end is cut off
	} {
		t.Run(name, func(t *testing.T) {
			setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
				p.raw = []byte(raw)
				_, err := i.Principal(t.Context(), lasting(t, "rsa", rsaKey()))
				require.Error(t, err)
				assert.NotErrorIs(t, err, access.ErrCredentials)
				p.raw = nil
				_, err = i.Principal(t.Context(), lasting(t, "rsa", rsaKey()))
				require.Error(t, err, "within the cooldown")
				time.Sleep(30 * time.Second)
				_, err = i.Principal(t.Context(), lasting(t, "rsa", rsaKey()))
				assert.NoError(t, err)
			})
		})
	}
}

func TestManyRequestsFetchOnceAlsoIfTheOneThatFetchesLeaves(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		p.wait = make(chan struct{})
		token := lasting(t, "rsa", rsaKey())
		answers := make(chan error, 50)
		first, cancel := context.WithCancel(t.Context())
		go func() { _, err := i.Principal(first, token); answers <- err }()
		synctest.Wait()
		cancel() // the others wait for its fetch, which must go on
		for range 48 {
			go func() { _, err := i.Principal(t.Context(), token); answers <- err }()
		}
		left, leave := context.WithCancel(t.Context())
		go func() { _, err := i.Principal(left, token); answers <- err }()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-answers, context.Canceled)
		close(p.wait)
		for range 49 {
			require.NoError(t, <-answers)
		}
		assert.Equal(t, 1, p.fetches())
	})
}

func TestWhileTheSetIsRefreshedOthersGoOnWithTheKeysAtHand(t *testing.T) {
	setting(t, func(t *testing.T, p *provider, i *faasjwt.Issuer) {
		token := lasting(t, "rsa", rsaKey())
		_, err := i.Principal(t.Context(), token)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		p.wait = make(chan struct{}) // the server does not answer
		answer := make(chan error)
		began := time.Now()
		go func() { _, err := i.Principal(t.Context(), token); answer <- err }()
		synctest.Wait()
		for range 10 {
			_, err = i.Principal(t.Context(), token)
			require.NoError(t, err)
		}
		assert.Zero(t, time.Since(began))
		require.NoError(t, <-answer)
		assert.Equal(t, 5*time.Second, time.Since(began), "one has waited, as long as a fetch may take")
		assert.Equal(t, 2, p.fetches())
	})
}

// FuzzParseSet looks for a set with a key that fits a symmetric algorithm.
func FuzzParseSet(f *testing.F) {
	f.Add(must(json.Marshal(map[string]any{"keys": []jwk{ecJWK("ec", ecKey()), edJWK("ed", edKey()), rsaJWK("rsa", rsaKey())}})))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"},{"kty":"EC","crv":"P-256","x":"","y":""},null]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQ","d":"AQ","p":"AQ","q":"AQ","dp":"AQ","dq":"AQ","qi":"AQ","x5c":["AA"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kids, algs, err := faasjwt.ParseSet(data)
		if err != nil {
			require.Empty(t, kids)
			return
		}
		require.NotEmpty(t, kids)
		for _, fits := range algs {
			for _, alg := range fits {
				require.NotContains(t, []string{"none", "HS256", "HS384", "HS512"}, alg)
			}
		}
	})
}

// FuzzToken looks for a token that is accepted and is not the real one.
func FuzzToken(f *testing.F) {
	p := &provider{}
	p.set(ecJWK("ec", ecKey()), edJWK("ed", edKey()))
	i, err := faasjwt.New(config(p))
	if err != nil {
		f.Fatal(err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims())
	token.Header["kid"] = "ed"
	good := must(token.SignedString(edKey()))
	f.Add(good)
	f.Add("..")
	f.Add(b64([]byte(`{"alg":"none"}`)) + "." + strings.Split(good, ".")[1] + ".")
	f.Fuzz(func(t *testing.T, s string) {
		_, err := i.Principal(t.Context(), access.NewSecret(s))
		if err == nil && s != good {
			t.Errorf("let in: %q", s)
		}
	})
}
