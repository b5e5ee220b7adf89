package faasjwt

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/inproc/faas/access"
)

// Config says whose tokens are let in.
type Config struct {
	Issuer   string   // what iss must be, to the letter; needed
	Audience []string // one of which must be in aud; needed, since a token for somebody else is not for us
	JWKS     string   // the URL of the issuer's key set: https, or http on the loopback; needed

	// Algorithms that signatures may use, of RS256 to RS512, PS256 to PS512,
	// ES256 to ES512 and EdDSA, which is Ed25519 by another name, and means both.
	// Nil: RS256, ES256 and EdDSA.
	Algorithms []string
	// Leeway is how far the issuer's clock may be from ours. 0: 30 s.
	Leeway time.Duration

	Kind        access.Kind // of the principals. Empty: access.User. Give each issuer its own, if subjects may be the same
	TenantClaim string      // the claim, a string, that is the principal's tenant. Empty: none is
	RolesClaim  string      // the claim, an array of strings, that is the principal's roles. Empty: none is
	// Claims are those that principals keep. Values that are no strings are left
	// out.
	Claims []string

	Refresh  time.Duration // how old the set may be before it is fetched again. 0: 15 min
	MaxAge   time.Duration // how old it may be while it can't be. 0: 24 h
	Cooldown time.Duration // how long at least between fetches. 0: 30 s
	Timeout  time.Duration // of a fetch. 0: 5 s
	Client   *http.Client  // Nil: one that follows no redirects
}

// withDefaults is c with its zero values replaced.
func (c Config) withDefaults() Config {
	or := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	or(&c.Leeway, 30*time.Second)
	or(&c.Refresh, 15*time.Minute)
	or(&c.MaxAge, 24*time.Hour)
	or(&c.Cooldown, 30*time.Second)
	or(&c.Timeout, 5*time.Second)
	if c.Algorithms == nil {
		c.Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	if c.Kind == access.Anonymous {
		c.Kind = access.User
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return c
}

func (c Config) check() error {
	switch {
	case c.Issuer == "":
		return errors.New("faasjwt: Issuer is needed")
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return errors.New("faasjwt: Audience is needed: without it tokens for others would do")
	case c.Leeway < 0 || c.Refresh < 0 || c.MaxAge < c.Refresh || c.Cooldown < 0 || c.Timeout < 0:
		return errors.New("faasjwt: durations can't be negative, nor MaxAge less than Refresh")
	case c.Kind == access.Function:
		return errors.New("faasjwt: nobody outside is a function; use another Kind")
	case len(c.Algorithms) == 0:
		return errors.New("faasjwt: Algorithms is empty; leave it nil for RS256, ES256 and EdDSA")
	}
	for _, alg := range c.Algorithms {
		if !asymmetric(alg) {
			return fmt.Errorf("faasjwt: algorithm %q is not one of RS256 to RS512, PS256 to PS512, ES256 to ES512, EdDSA or Ed25519", alg)
		}
	}
	return checkURL(c.JWKS)
}

func asymmetric(alg string) bool {
	switch jwt.GetSigningMethod(algorithm(alg)).(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS, *jwt.SigningMethodECDSA, *jwt.SigningMethodEd25519:
		return true
	}
	return false
}

// checkURL wants https: whoever can change the keys on their way can sign.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err == nil && u.Host != "" {
		switch host := u.Hostname(); {
		case u.Scheme == "https":
			return nil
		case u.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host):
			return nil
		}
	}
	return fmt.Errorf("faasjwt: JWKS %q is not an https URL", s)
}
