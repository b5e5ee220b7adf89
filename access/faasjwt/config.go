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

// Config says which tokens are accepted, and where the keys for them are.
type Config struct {
	// Issuer is the value that iss must have exactly. Required.
	Issuer string
	// Audience are the names of this service. One of them must be in aud. Required: without it,
	// a token that the issuer has made for another service would be accepted.
	Audience []string
	// JWKS is the URL of the issuer's key set: https, or http on the loopback.
	// Required.
	JWKS string

	// Algorithms are the algorithms that signatures may use: any of RS256 to RS512, PS256 to
	// PS512, ES256 to ES512, and EdDSA, which is the same as Ed25519. Nil means RS256, ES256
	// and EdDSA.
	Algorithms []string
	// Leeway is how far the issuer's clock may be from this one. 0 means 30 s.
	Leeway time.Duration

	// Kind is the kind of the principals. Empty means access.User. If two issuers may have
	// equal subjects, give each issuer a kind of its own.
	Kind        access.Kind
	TenantClaim string   // the claim, a string, with the principal's tenant. Empty means no tenant
	RolesClaim  string   // the claim, an array of strings, with the principal's roles. Empty means no roles
	Claims      []string // the claims that are copied to the principal, if their values are strings

	Refresh  time.Duration // the age at which the key set is fetched again. 0 means 15 min
	MaxAge   time.Duration // the age up to which the key set is used if it can't be fetched. 0 means 24 h
	Cooldown time.Duration // the least time between two fetches. 0 means 30 s
	Timeout  time.Duration // the timeout of one fetch. 0 means 5 s
	Client   *http.Client  // the client for fetches. Nil means one that follows no redirects
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
		// No redirects: one could lead to keys of another host, or to plain http.
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return c
}

// check returns an error if the configuration is impossible. The error says how to correct it.
func (c Config) check() error {
	switch {
	case c.Issuer == "":
		return errors.New("faasjwt: Issuer is needed")
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return errors.New("faasjwt: Audience is needed: without it tokens for other services would be accepted")
	case c.Leeway < 0 || c.Refresh < 0 || c.MaxAge < c.Refresh || c.Cooldown < 0 || c.Timeout < 0:
		return errors.New("faasjwt: durations can't be negative, and MaxAge can't be less than Refresh")
	case c.Kind == access.Function:
		return errors.New("faasjwt: only a function of the router has the kind Function; use another Kind")
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

// checkURL requires https: an attacker who could change the keys on their way could sign
// tokens. On the loopback, http is accepted because the keys do not leave the host.
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
