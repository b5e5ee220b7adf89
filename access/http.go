package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/inproc/faas"
)

// Authenticator finds the principal that a request comes from, by credentials of one
// kind: bearer tokens, JSON web tokens, or signatures.
//
//   - An error that Is [ErrNoCredentials] means that the request has none of its
//     kind; another authenticator may find some.
//   - One that Is [ErrCredentials] means that they are wrong.
//   - Any other error means that they could not be checked.
//
// It is called by many goroutines at once. It may read the body if it puts an equal
// one in its place, and changes nothing else of the request. Its errors must not
// contain the credentials.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// AuthenticatorFunc is a function that serves as an [Authenticator].
type AuthenticatorFunc func(r *http.Request) (Principal, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(r *http.Request) (Principal, error) { return f(r) }

// AsAnonymous is an [AuthenticatorFunc] for the end of the list of [Authenticate]. It
// lets requests without credentials pass as the anonymous principal. It refuses a
// request with an Authorization header that no authenticator before it understood.
func AsAnonymous(r *http.Request) (Principal, error) {
	if len(r.Header["Authorization"]) > 0 {
		return Principal{}, fmt.Errorf("%w: an Authorization header that nothing here understands", ErrCredentials)
	}
	return Principal{}, nil
}

// Authenticate returns a middleware for net/http that lets a request pass if one of
// the authenticators finds its principal. They are asked in order; the first that
// finds credentials of its kind decides.
//
//   - The principal is put on the request's context ([WithPrincipal]), and so is its
//     tenant, if it has one (faas.WithTenant).
//   - The Authorization header is removed: the handlers behind may pass headers on to
//     functions and logs.
//   - Without credentials, or with wrong ones, the answer is 401 with a
//     WWW-Authenticate for bearer tokens (RFC 6750); if they can't be checked it
//     is 503. Neither says why.
//   - If an authenticator panics, the panic goes on to net/http, which ends the
//     request.
//   - A principal of kind [Function] is not let in: requests come from outside, and
//     functions do not.
func Authenticate(as ...Authenticator) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := identify(as, r)
			if err != nil {
				unauthorized(w, err)
				return
			}
			next.ServeHTTP(w, identified(r, p))
		})
	}
}

var errFunction = errors.New("an authenticator has taken a request for a function")

// identify asks the authenticators in order.
func identify(as []Authenticator, r *http.Request) (Principal, error) {
	for _, a := range as {
		p, err := a.Authenticate(r)
		switch {
		case errors.Is(err, ErrNoCredentials):
			continue
		case err == nil && p.Kind == Function:
			return Principal{}, errFunction
		}
		return p, err
	}
	return Principal{}, ErrNoCredentials
}

// identified is r with its principal and without its credentials. It clones the
// headers, since those of r belong to the server.
func identified(r *http.Request, p Principal) *http.Request {
	ctx := WithPrincipal(r.Context(), p)
	if p.Tenant != "" {
		ctx = faas.WithTenant(ctx, p.Tenant)
	}
	r = r.WithContext(ctx)
	r.Header = r.Header.Clone()
	r.Header.Del("Authorization")
	return r
}

// unauthorized answers a request that has not passed. An answer must not be cached: a
// later request may have credentials.
func unauthorized(w http.ResponseWriter, err error) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case errors.Is(err, ErrNoCredentials): // RFC 6750, 3.1: no error code then
		w.Header().Set("WWW-Authenticate", `Bearer realm="faas"`)
	case errors.Is(err, ErrCredentials):
		w.Header().Set("WWW-Authenticate", `Bearer realm="faas", error="invalid_token"`)
	default:
		http.Error(w, "can't check credentials now", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "not authenticated", http.StatusUnauthorized)
}

// MaxBearerToken is the greatest length of a bearer token, in bytes.
const MaxBearerToken = 16 << 10

// BearerToken returns the bearer token of a request's headers. There has to be exactly
// one Authorization header, with the scheme Bearer and a token in the form of RFC
// 6750. Without such a header the error Is [ErrNoCredentials], with a malformed one
// [ErrCredentials]. It is for authors of an [Authenticator].
func BearerToken(h http.Header) (Secret, error) {
	headers := h["Authorization"]
	if len(headers) == 0 {
		return Secret{}, ErrNoCredentials
	}
	if len(headers) > 1 { // a proxy in front may have checked the other one
		return Secret{}, fmt.Errorf("%w: more than one Authorization header", ErrCredentials)
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Secret{}, fmt.Errorf("%w: not a bearer token", ErrNoCredentials)
	}
	token = strings.Trim(token, " ")
	if len(token) > MaxBearerToken || !isToken(token) {
		return Secret{}, fmt.Errorf("%w: malformed", ErrCredentials)
	}
	return NewSecret(token), nil
}

// isToken reports whether s is a b64token of RFC 6750, 2.1. A JSON web token is one
// too.
func isToken(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}
