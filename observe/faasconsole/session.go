package faasconsole

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/inproc/faas/access"
)

const (
	sessionCookie = "faas-console"
	sessionLasts  = 12 * time.Hour
	maxSessions   = 10_000   // so that a client with a token can't use up the memory
	maxTokenBody  = 32 << 10 // of a request that opens a session, in bytes
)

// login has the open sessions.
type login struct {
	tokens *access.Tokens
	guard  *http.CrossOriginProtection

	mu       sync.Mutex // guards sessions
	sessions map[string]session
}

// session is what a cookie refers to. It keeps the token, which is checked again at each
// request: so revoking a token ends its sessions.
type session struct {
	token access.Secret
	ends  time.Time
}

func newLogin(tokens *access.Tokens) *login {
	return &login{tokens: tokens, guard: http.NewCrossOriginProtection(), sessions: map[string]session{}}
}

// principal returns the principal of a request, by its Authorization header or by its cookie.
func (l *login) principal(r *http.Request) (access.Principal, bool) {
	if r.Header.Get("Authorization") != "" {
		p, err := l.tokens.Authenticate(r)
		return p, err == nil
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return access.Principal{}, false
	}
	l.mu.Lock()
	s, ok := l.sessions[cookie.Value]
	l.mu.Unlock()
	if !ok || time.Now().After(s.ends) {
		return access.Principal{}, false
	}
	p, err := l.tokens.Principal(s.token)
	return p, err == nil
}

// open makes a session for a token. ok is false if the token is not valid.
func (l *login) open(token access.Secret, now time.Time) (id string, ok bool) {
	if _, err := l.tokens.Principal(token); err != nil {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.sessions {
		if now.After(s.ends) {
			delete(l.sessions, id)
		}
	}
	if len(l.sessions) >= maxSessions {
		return "", false
	}
	id = rand.Text()
	l.sessions[id] = session{token, now.Add(sessionLasts)}
	return id, true
}

func (l *login) close(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, id)
}

// serveSession opens a session (POST), ends it (DELETE), or reports whether there is a login
// (GET).
func (c *console) serveSession(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"login": %t}`, c.login != nil)
		return
	}
	if c.login == nil {
		http.Error(w, "The host has no login here: it authenticates in another way.", http.StatusNotFound)
		return
	}
	c.login.serve(w, r)
}

func (l *login) serve(w http.ResponseWriter, r *http.Request) {
	if err := l.guard.Check(r); err != nil {
		http.Error(w, "A page of another origin has sent this request.", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodPost:
		l.serveOpen(w, r)
	case http.MethodDelete:
		if cookie, err := r.Cookie(sessionCookie); err == nil {
			l.close(cookie.Value)
		}
		setCookie(w, r, "", -1)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "A session is opened by POST and ended by DELETE.", http.StatusMethodNotAllowed)
	}
}

// serveOpen reads {"token": "…"}. It requires the media type of JSON, which a form of another
// site can't send.
func (l *login) serveOpen(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "The body is application/json.", http.StatusUnsupportedMediaType)
		return
	}
	var body struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTokenBody)).Decode(&body); err != nil {
		http.Error(w, `The body is {"token": "…"}.`, http.StatusBadRequest)
		return
	}
	id, ok := l.open(access.NewSecret(body.Token), time.Now())
	if !ok {
		http.Error(w, "This host does not know the token.", http.StatusUnauthorized)
		return
	}
	setCookie(w, r, id, int(sessionLasts/time.Second))
	w.WriteHeader(http.StatusNoContent)
}

// setCookie sets the cookie of a session without a path. The browser then uses the directory of
// the page, which the handler can't name because it does not know its prefix.
func setCookie(w http.ResponseWriter, r *http.Request, id string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is set wherever the browser came by TLS; a page on localhost has none
		Name: sessionCookie, Value: id, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}
