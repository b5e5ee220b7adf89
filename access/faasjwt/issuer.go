package faasjwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/golang-jwt/jwt/v5"

	"github.com/inproc/faas/access"
)

// Issuer is an [access.Authenticator] of one issuer's tokens. All its methods
// may be called concurrently.
type Issuer struct {
	config    Config
	methods   map[string]jwt.SigningMethod // by the names that algorithms have here
	validator *jwt.Validator
	keys      *keySet
}

// New returns an authenticator, or an error that names the cure. It fetches
// nothing: the issuer need not be there yet.
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

// Authenticate is a part of [access.Authenticator]. A bearer token that is no
// JSON web token, or one of another issuer, is none of its kind: others may be
// asked.
func (i *Issuer) Authenticate(r *http.Request) (access.Principal, error) {
	token, err := access.BearerToken(r.Header)
	if err != nil {
		return access.Principal{}, err
	}
	return i.Principal(r.Context(), token)
}

// Principal returns whose token it is. The error Is access.ErrCredentials if the
// token is not good, access.ErrNoCredentials if it is not of this issuer, and
// neither if the keys can't be had. It says what is wrong, and repeats nothing
// of the token. A fetch of keys, if one is needed, ends within Config.Timeout.
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

// verify checks the signature. One that does not fit may be of a key that the
// issuer has put in the place of ours, under the same ID or under none: the set is
// fetched again, as often as that may be, and the signature tried once more.
func (i *Issuer) verify(ctx context.Context, t token) error {
	method := i.methods[t.alg]
	switch {
	case method == nil:
		return errAlgorithm
	case t.critical: // RFC 7515, 4.1.11
		return errCritical
	}
	keys, version, err := i.keys.find(ctx, t.kid, t.alg)
	if err != nil || t.signedBy(method, keys) {
		return err
	}
	if !i.keys.newer(ctx, version) {
		return errSignature
	}
	if keys, _, err = i.keys.find(ctx, t.kid, t.alg); err != nil || t.signedBy(method, keys) {
		return err
	}
	return errSignature
}

// maxDate is about the last second that time.Time can be asked for. The library
// makes an integer of a date, and of one that is larger the other end of time:
// what expires then would never, and what is not valid until then would be.
const maxDate = 1<<63 - 1<<40

func (i *Issuer) validate(claims jwt.MapClaims) error {
	for _, name := range []string{"exp", "nbf", "iat"} {
		n, ok := claims[name].(json.Number)
		if date, err := n.Float64(); ok && (err != nil || math.Abs(date) > maxDate) {
			return errDate
		}
	}
	return i.validator.Validate(claims)
}

func (i *Issuer) principal(claims jwt.MapClaims) (access.Principal, error) {
	p := access.Principal{Kind: i.config.Kind, Claims: map[string]string{}}
	if p.ID, _ = claims["sub"].(string); p.ID == "" {
		return access.Principal{}, fmt.Errorf("%w: the token has no subject", access.ErrCredentials)
	}
	if name := i.config.TenantClaim; name != "" {
		if p.Tenant, _ = claims[name].(string); p.Tenant == "" { // not to be taken for somebody without a tenant
			return access.Principal{}, fmt.Errorf("%w: the token has no tenant", access.ErrCredentials)
		}
	}
	if roles, ok := claims[i.config.RolesClaim].([]any); ok && i.config.RolesClaim != "" {
		for _, role := range roles {
			if role, ok := role.(string); ok {
				p.Roles = append(p.Roles, role)
			}
		}
	}
	for _, name := range i.config.Claims {
		if value, ok := claims[name].(string); ok {
			p.Claims[name] = value
		}
	}
	return p, nil
}

var (
	errCritical  = errors.New("the token has a critical extension")
	errAlgorithm = errors.New("algorithm")
	errSignature = errors.New("signature")
	errDate      = errors.New("a date is beyond all time")
	errNoKey     = errors.New("no key of the issuer fits the token")
	errKeys      = errors.New("faasjwt: can't get the issuer's keys")
)

// explain says in our own words what is wrong: the library's may repeat what the
// token holds.
func explain(err error) error {
	if errors.Is(err, errKeys) {
		return err
	}
	why := "malformed"
	for _, c := range []struct {
		is   error
		text string
	}{
		{errCritical, errCritical.Error()},
		{errAlgorithm, errAlgorithm.Error()},
		{errSignature, errSignature.Error()},
		{errDate, errDate.Error()},
		{errNoKey, errNoKey.Error()},
		{jwt.ErrTokenExpired, "expired"},
		{jwt.ErrTokenNotValidYet, "not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "issued in the future"},
		{jwt.ErrTokenInvalidAudience, "for another audience"},
		{jwt.ErrTokenInvalidIssuer, "of another issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "a claim is missing"},
	} {
		if errors.Is(err, c.is) {
			why = c.text
			break
		}
	}
	return fmt.Errorf("%w: JSON web token: %s", access.ErrCredentials, why)
}
