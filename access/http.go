package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/inproc/faas"
)

// Authenticator finds the principal of a request by credentials of one kind: bearer tokens,
// JSON web tokens, or signatures. It returns
//
//   - an error that Is [ErrNoCredentials] if the request has no credentials of this
//     kind; another authenticator may find some;
//   - an error that Is [ErrCredentials] if they are wrong;
//   - any other error if they could not be checked.
//
// Many goroutines call it at once. It may read the body if it puts an equal body in its place,
// and must change nothing else of the request. Its errors must not contain the credentials.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// AuthenticatorFunc is a function that serves as an [Authenticator].
type AuthenticatorFunc func(r *http.Request) (Principal, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(r *http.Request) (Principal, error) { return f(r) }

// AsAnonymous is an [AuthenticatorFunc] for the end of the list of [Authenticate]. It accepts
// requests without credentials as the anonymous principal. It refuses a request with an
// Authorization header that no authenticator before it has recognized.
func AsAnonymous(r *http.Request) (Principal, error) {
	if len(r.Header["Authorization"]) > 0 {
		return Principal{}, fmt.Errorf("%w: no authenticator recognizes the Authorization header", ErrCredentials)
	}
	return Principal{}, nil
}

// Authenticate returns a middleware for net/http that passes a request on if one of the
// authenticators finds its principal. It calls them in order. The first that finds credentials
// of its kind decides.
//
//   - The principal is put on the request's context ([WithPrincipal]). If the principal
//     has a tenant, this is put on the context too (faas.WithTenant).
//   - The Authorization header is removed: the handlers behind may pass headers on to
//     functions and logs.
//   - Without credentials, or with wrong ones, the answer is 401 with a
//     WWW-Authenticate for bearer tokens (RFC 6750). If they can't be checked, it
//     is 503. Neither answer says why.
//   - If an authenticator panics, the panic goes on to net/http, which ends the
//     request.
//   - A principal of kind [Function] is refused, because requests come from outside and
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

var errFunction = errors.New("an authenticator returned a principal of kind Function for a request")

// identify calls the authenticators in order, until one finds credentials.
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

// identified returns r with its principal and without its credentials. It clones the headers,
// because those of r belong to the server.
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

// unauthorized answers a request that was refused. The answer must not be cached, because the
// same request may come later with credentials.
func unauthorized(w http.ResponseWriter, err error) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case errors.Is(err, ErrNoCredentials): // by RFC 6750, 3.1, without an error code
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

// BearerToken returns the bearer token of a request's headers. It requires exactly one
// Authorization header, with the scheme Bearer and a token in the form of RFC 6750. The error
// Is [ErrNoCredentials] without such a header, and [ErrCredentials] if the header is malformed.
// The function is for implementations of [Authenticator].
func BearerToken(h http.Header) (Secret, error) {
	headers := h["Authorization"]
	if len(headers) == 0 {
		return Secret{}, ErrNoCredentials
	}
	if len(headers) > 1 { // a proxy in front may have checked only one of them
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

// isToken reports whether s is a b64token of RFC 6750, 2.1, which includes JSON web tokens.
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
