package faasjwt

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/inproc/faas/access"
)

// Config says which tokens are let in, and where the keys for them are.
type Config struct {
	// Issuer is what iss must be, to the letter. Required.
	Issuer string
	// Audience are the names of this service. One of them must be in aud. Required:
	// without it, a token that the issuer has made for another service would do.
	Audience []string
	// JWKS is the URL of the issuer's key set: https, or http on the loopback.
	// Required.
	JWKS string

	// Algorithms that signatures may use: any of RS256 to RS512, PS256 to PS512,
	// ES256 to ES512, and EdDSA, which is the same as Ed25519. Nil: RS256, ES256 and
	// EdDSA.
	Algorithms []string
	// Leeway is how far the issuer's clock may be from this one. 0: 30 s.
	Leeway time.Duration

	// Kind is the kind of the principals. Empty: access.User. If two issuers may have
	// equal subjects, give each issuer a kind of its own.
	Kind        access.Kind
	TenantClaim string   // the claim, a string, with the principal's tenant. Empty: no tenant
	RolesClaim  string   // the claim, an array of strings, with the principal's roles. Empty: no roles
	Claims      []string // the claims that principals keep, if their values are strings

	Refresh  time.Duration // the age at which the key set is fetched again. 0: 15 min
	MaxAge   time.Duration // the age up to which it is used while it can't be fetched. 0: 24 h
	Cooldown time.Duration // the least time between two fetches. 0: 30 s
	Timeout  time.Duration // of one fetch. 0: 5 s
	Client   *http.Client  // for fetches. Nil: one that follows no redirects
}

// withDefaults returns c with its zero values replaced.
func (c Config) withDefaults() Config {
	c.Leeway = cmp.Or(c.Leeway, 30*time.Second)
	c.Refresh = cmp.Or(c.Refresh, 15*time.Minute)
	c.MaxAge = cmp.Or(c.MaxAge, 24*time.Hour)
	c.Cooldown = cmp.Or(c.Cooldown, 30*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Kind = cmp.Or(c.Kind, access.User)
	if c.Algorithms == nil {
		c.Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	if c.Client == nil {
		// A redirect could lead to keys of another host, or to plain http.
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return c
}

// check returns what is impossible about the configuration, with the cure.
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

// checkURL wants https: an attacker who could change the keys on their way could
// sign tokens. On the loopback the keys do not leave the host.
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
