package faasconsole

import (
	"net/http"
	"path"
	"strings"

	"github.com/inproc/faas/access"
)

// Option is an option of [Handler]. Nil options are ignored.
type Option interface{ applyConsole(*console) }

type option func(*console)

func (o option) applyConsole(c *console) { o(c) }

// WithLogin lets viewers log in with one of the tokens. The page asks for the token once, and
// gets a session cookie in exchange. Scripts can't read the cookie, and the browser does not send
// it with requests that other sites make. A session lasts twelve hours, or until its token
// expires or is revoked. A request that has an Authorization header is authenticated by that
// instead. With nil there is no login, as without WithLogin.
func WithLogin(tokens *access.Tokens) Option {
	return option(func(c *console) {
		if c.login = nil; tokens != nil {
			c.login = newLogin(tokens)
		}
	})
}

// console is the handler of the page and of its API.
type console struct {
	api   http.Handler
	login *login // nil: no WithLogin; the host authenticates
	files *files
}

// Handler returns a handler that serves the page and, below v1/, the API that the page shows. api
// must be what admin.Handler returns; Handler panics if it is nil. Mount the handler at the root
// of a host name, or below a prefix with http.StripPrefix. Many goroutines may call it at once.
// It has no goroutine and no timer of its own, and need not be closed.
func Handler(api http.Handler, opts ...Option) http.Handler {
	if api == nil {
		panic("faasconsole: Handler needs the handler of the API that it shows; admin.Handler makes one")
	}
	c := &console{api: api, files: embedded()}
	for _, o := range opts {
		if o != nil {
			o.applyConsole(c)
		}
	}
	return c
}

// ServeHTTP implements http.Handler.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch p := r.URL.Path; {
	case p == "": // StripPrefix("/console") makes this of "/console"; the page's links are relative to "/console/"
		//nolint:gosec // the last part of a path has no slash, so it leads to no other host
		http.Redirect(w, r, "./"+path.Base(strings.SplitN(r.RequestURI, "?", 2)[0])+"/", http.StatusMovedPermanently)
	case strings.HasPrefix(p, "/v1/"):
		c.serveAPI(w, r)
	case p == "/session":
		setHeaders(w.Header())
		c.serveSession(w, r)
	default:
		setHeaders(w.Header())
		c.files.serve(w, r)
	}
}

// serveAPI passes a request on to the API, with the principal of its session. It sets no
// headers, since the API sets its own.
func (c *console) serveAPI(w http.ResponseWriter, r *http.Request) {
	if c.login != nil {
		if p, ok := c.login.principal(r); ok {
			r = r.WithContext(access.WithPrincipal(r.Context(), p))
		}
	}
	c.api.ServeHTTP(w, r)
}

// policy says what the page may load and do. Because of Trusted Types the browser refuses to
// make HTML from text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}
