package faasjwt

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"

	"github.com/golang-jwt/jwt/v5"

	"github.com/inproc/faas/access"
)

// Issuer is an [access.Authenticator] for the tokens of one issuer. All its methods
// may be called concurrently.
type Issuer struct {
	config    Config
	methods   map[string]jwt.SigningMethod // by the name that function algorithm returns
	validator *jwt.Validator
	keys      *keySet
}

// New returns an authenticator, or an error that says how to correct the configuration. It
// fetches nothing: the issuer's server need not be up yet.
func New(c Config) (*Issuer, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	methods := map[string]jwt.SigningMethod{}
	for _, alg := range c.Algorithms {
		methods[algorithm(alg)] = jwt.GetSigningMethod(algorithm(alg))
	}
	return &Issuer{
		config: c, methods: methods, keys: newKeySet(c),
		validator: jwt.NewValidator(
			jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience...),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(c.Leeway),
		),
	}, nil
}

// Authenticate implements [access.Authenticator]. If the bearer token is not a JSON web token,
// or is a token of another issuer, the error Is access.ErrNoCredentials, so that other
// authenticators are asked.
func (i *Issuer) Authenticate(r *http.Request) (access.Principal, error) {
	token, err := access.BearerToken(r.Header)
	if err != nil {
		return access.Principal{}, err
	}
	return i.Principal(r.Context(), token)
}

// Principal returns the principal that a token was issued for. The error Is
// access.ErrCredentials if the token is not valid, access.ErrNoCredentials if it is not of this
// issuer, and neither if the keys can't be fetched. The error's text says what is wrong and
// repeats nothing of the token. If keys have to be fetched, this takes at most Config.Timeout.
func (i *Issuer) Principal(ctx context.Context, token access.Secret) (access.Principal, error) {
	t, err := read(token.Reveal(), i.config.Issuer)
	if err != nil {
		return access.Principal{}, err
	}
	if err := i.verify(ctx, t); err != nil {
		return access.Principal{}, explain(err)
	}
	if err := i.validate(t.claims); err != nil {
		return access.Principal{}, explain(err)
	}
	return i.principal(t.claims)
}

// verify checks the signature. If the key that the token names does not match, the issuer may
// have replaced that key under the same ID, or without an ID. Then verify fetches the set, if
// the cooldown allows it, and tries once more.
func (i *Issuer) verify(ctx context.Context, t token) error {
	method := i.methods[t.alg]
	switch {
	case method == nil:
		return errAlgorithm
	case t.critical: // RFC 7515, 4.1.11
		return errCritical
	}
	keys, version, err := i.keys.find(ctx, t.kid, t.alg)
	if err != nil || verifies(method, keys, t) {
		return err
	}
	if !i.keys.newer(ctx, version) {
		return errSignature
	}
	if keys, _, err = i.keys.find(ctx, t.kid, t.alg); err != nil || verifies(method, keys, t) {
		return err
	}
	return errSignature
}

// maxDate is a little less than the largest int64. The library converts a date to int64 without
// checking its size, and a larger date becomes negative: a token that is not valid before the
// year 10^12 would be valid today.
const maxDate = 1<<63 - 1<<40

// validate checks the claims of a token with a valid signature. It refuses a date beyond
// maxDate before the library converts it.
func (i *Issuer) validate(claims jwt.MapClaims) error {
	for _, name := range []string{"exp", "nbf", "iat"} {
		n, ok := claims[name].(json.Number)
		if date, err := n.Float64(); ok && (err != nil || math.Abs(date) > maxDate) {
			return errDate
		}
	}
	return i.validator.Validate(claims)
}

// principal makes a principal of verified claims. It refuses a token without a subject. If the
// configuration names a claim for the tenant, it also refuses a token without that claim: the
// principal would otherwise count as one without a tenant.
func (i *Issuer) principal(claims jwt.MapClaims) (access.Principal, error) {
	p := access.Principal{Kind: i.config.Kind, Claims: map[string]string{}}
	if p.ID, _ = claims["sub"].(string); p.ID == "" {
		return access.Principal{}, fmt.Errorf("%w: the token has no subject", access.ErrCredentials)
	}
	if name := i.config.TenantClaim; name != "" {
		if p.Tenant, _ = claims[name].(string); p.Tenant == "" {
			return access.Principal{}, fmt.Errorf("%w: the token has no tenant", access.ErrCredentials)
		}
	}
	if i.config.RolesClaim != "" {
		p.Roles = texts(claims[i.config.RolesClaim])
	}
	for _, name := range i.config.Claims {
		if value, ok := claims[name].(string); ok {
			p.Claims[name] = value
		}
	}
	return p, nil
}

// texts returns the strings in a claim that is an array.
func texts(claim any) (all []string) {
	array, _ := claim.([]any)
	for _, v := range array {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}
