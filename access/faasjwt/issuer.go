package faasjwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/inproc/faas/access"
)

// Issuer is an [access.Authenticator] of one issuer's tokens. All its methods
// may be called concurrently.
type Issuer struct {
	config Config
	parser *jwt.Parser
	peek   *jwt.Parser
	keys   *keySet
}

// New returns an authenticator, or an error that names the cure. It fetches
// nothing: the issuer need not be there yet.
func New(c Config) (*Issuer, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Issuer{
		config: c,
		parser: jwt.NewParser(
			jwt.WithValidMethods(c.Algorithms), jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience...),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(c.Leeway), jwt.WithStrictDecoding(),
		),
		peek: jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding()),
		keys: newKeySet(c),
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
	raw := token.Reveal()
	if err := i.claimed(raw); err != nil {
		return access.Principal{}, err
	}
	claims := jwt.MapClaims{}
	_, err := i.parser.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok { // RFC 7515, 4.1.11
			return nil, errCritical
		}
		kid, ok := t.Header["kid"].(string)
		if _, there := t.Header["kid"]; there && !ok {
			return nil, errNoKey
		}
		return i.keys.find(ctx, kid, t.Method.Alg())
	})
	if err != nil {
		return access.Principal{}, explain(err)
	}
	return i.principal(claims)
}

// claimed tells whether this is a token of the issuer, as far as it says so
// itself. Nothing is believed but that it is none of ours.
func (i *Issuer) claimed(raw string) error {
	if strings.Count(raw, ".") != 2 {
		return fmt.Errorf("%w: not a JSON web token", access.ErrNoCredentials)
	}
	var claims struct{ jwt.RegisteredClaims }
	if _, _, err := i.peek.ParseUnverified(raw, &claims); err != nil {
		return explain(err)
	}
	if claims.Issuer != i.config.Issuer {
		return fmt.Errorf("%w: a token of another issuer", access.ErrNoCredentials)
	}
	return nil
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
	errCritical = errors.New("the token has a critical extension")
	errNoKey    = errors.New("no key of the issuer fits the token")
	errKeys     = errors.New("faasjwt: can't get the issuer's keys")
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
		{errNoKey, errNoKey.Error()},
		{jwt.ErrTokenSignatureInvalid, "signature or algorithm"},
		{jwt.ErrTokenExpired, "expired"},
		{jwt.ErrTokenNotValidYet, "not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "issued in the future"},
		{jwt.ErrTokenInvalidAudience, "for another audience"},
		{jwt.ErrTokenInvalidIssuer, "of another issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "a claim is missing"},
		{jwt.ErrTokenUnverifiable, "algorithm"},
	} {
		if errors.Is(err, c.is) {
			why = c.text
			break
		}
	}
	return fmt.Errorf("%w: JSON web token: %s", access.ErrCredentials, why)
}
