package webhook

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/internal/bounded"
)

// Option is an option of [New]. Nil options are ignored.
type Option interface{ applyVerifier(*Verifier) }

type option func(*Verifier)

func (o option) applyVerifier(v *Verifier) { o(v) }

// WithWindow sets how far a signed time may be from now, in both directions,
// and how long a message without one is remembered. It must be positive.
// Default 5 min, as Stripe and Standard Webhooks have it.
func WithWindow(d time.Duration) Option { return option(func(v *Verifier) { v.window = d }) }

// WithReplays sets how many messages are remembered, n ≥ 1. It has to be more
// than come with a good signature in two windows: beyond that they are answered
// 503. Default 10,000, which is about a megabyte.
func WithReplays(n int) Option { return option(func(v *Verifier) { v.seen.room = n }) }

// WithReplayKey chooses what a message is remembered by: two with the same key are
// one message, of which the second is not passed on. A message without a key, "",
// is not remembered, and is passed on whenever it comes: WithReplayKey of a func
// that returns "" is for those whose handlers know what they have done.
//
// The default is the message's id, where one is signed, or else what is signed
// and, for [GitHub], the X-GitHub-Delivery header. The header is not signed:
// somebody who has recorded a delivery can repeat it under another, and fill what
// [WithReplays] bounds. It is there because GitHub sends equal bodies that are
// two deliveries (a workflow that was dispatched twice), and the second of them
// must not be lost. Where losing it does less harm than a repetition,
// [WithSignedReplayKey] leaves the header out.
//
// key is called for requests with a good signature, by many goroutines at once.
// It may keep nothing of what it is handed. Its panic is the request's.
func WithReplayKey(key func(h http.Header, body []byte) string) Option {
	return option(func(v *Verifier) {
		v.key = nil
		if key != nil {
			v.key = func(_ claim, h http.Header, body []byte) (digest, bool) {
				text := key(h, body)
				return sha256.Sum256([]byte(text)), text != ""
			}
		}
	})
}

// WithSignedReplayKey remembers a message by what its sender has signed, and
// nothing else; see [WithReplayKey]. A repetition within the window is not passed
// on, whatever its headers are, and neither is a message of GitHub's that has the
// same body as another.
func WithSignedReplayKey() Option {
	return option(func(v *Verifier) {
		v.key = func(c claim, _ http.Header, body []byte) (digest, bool) { return c.signedDigest(body), true }
	})
}

// WithBodyLimit bounds the body, in bytes, at least 1. It is read into memory
// before anything is known to be true. Default 1 MiB; GitHub sends up to 25.
func WithBodyLimit(n int64) Option { return option(func(v *Verifier) { v.limit = n }) }

// Verifier verifies the webhooks of one sender. All its methods may be called
// concurrently, and those of its handlers.
type Verifier struct {
	name   string
	scheme Scheme
	window time.Duration
	limit  int64
	key    func(c claim, h http.Header, body []byte) (d digest, remembered bool)
	seen   memory
}

// New returns a verifier for a sender, who has the name as principal. The error
// names the cure, and no secret.
func New(name string, s Scheme, opts ...Option) (*Verifier, error) {
	v := &Verifier{
		name: name, scheme: s, window: 5 * time.Minute, limit: 1 << 20,
		key:  func(c claim, _ http.Header, body []byte) (digest, bool) { return c.digest(body), true },
		seen: memory{room: 10_000, seen: map[digest]*sighting{}},
	}
	for _, o := range opts {
		if o != nil {
			o.applyVerifier(v)
		}
	}
	switch {
	case name == "":
		return nil, errors.New("webhook: New needs a name for the sender")
	case s == nil:
		return nil, errors.New("webhook: New needs a scheme, such as GitHub(secret)")
	case v.window <= 0:
		return nil, fmt.Errorf("webhook: WithWindow(%v): must be positive", v.window)
	case v.seen.room < 1:
		return nil, fmt.Errorf("webhook: WithReplays(%d): must be at least 1", v.seen.room)
	case v.key == nil:
		return nil, errors.New("webhook: WithReplayKey needs a func; leave the option out for the default")
	case v.limit < 1:
		return nil, fmt.Errorf("webhook: WithBodyLimit(%d): must be at least 1 byte", v.limit)
	}
	return v, s.check()
}

// What a verifier answers, apart from access.ErrNoCredentials and
// access.ErrCredentials.
var (
	// ErrReplayed: the message has been handled, or is being handled. It is also
	// an access.ErrCredentials.
	ErrReplayed = fmt.Errorf("%w: the message came before", access.ErrCredentials)
	// ErrFull: there are more messages than WithReplays allows to remember.
	ErrFull = errors.New("too many messages to remember")
	// ErrTooLarge: the body is over WithBodyLimit.
	ErrTooLarge = errors.New("the body is too large")
	// ErrBody: the body could not be read.
	ErrBody = errors.New("the body could not be read")
)

// Handler verifies each request before next sees it. Next gets the whole body,
// and the principal on the context. Otherwise the answer is
//
//	401  no signature, a wrong one, or a time outside of the window
//	413  the body is larger than WithBodyLimit
//	400  the body could not be read
//	200  the message has been handled before
//	409  the message is being handled
//	503  there is no room to remember the message
//
// A message counts as handled if next answers with a status below 300. If it
// answers another one, or panics, the message may come again.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := v.verify(r)
		if err != nil {
			refuse(w, err)
			return
		}
		if !m.remembered {
			next.ServeHTTP(w, m.request(r))
			return
		}
		switch v.seen.enter(m.digest, time.Now(), m.until) {
		case fresh:
			v.handle(w, r, next, m)
		case handled:
			w.WriteHeader(http.StatusOK)
		case running:
			http.Error(w, "the message is being handled", http.StatusConflict)
		case full:
			refuse(w, ErrFull)
		}
	})
}

func (v *Verifier) handle(w http.ResponseWriter, r *http.Request, next http.Handler, m message) {
	status := &statusWriter{ResponseWriter: w}
	good := false
	defer func() { // reached by a panic as well, which goes on
		if good {
			v.seen.done(m.digest)
		} else {
			v.seen.forget(m.digest)
		}
	}()
	next.ServeHTTP(status, m.request(r))
	good = status.code < http.StatusMultipleChoices // 0: nothing was written, which is a 200
}

// Authenticate makes Verifier an [access.Authenticator], where a door is open to
// other credentials too. It puts a body that has been read in the place of the
// request's. It knows nothing of the answer: the message counts as handled at
// once, and one that comes again is not authenticated. Prefer [Verifier.Handler].
func (v *Verifier) Authenticate(r *http.Request) (access.Principal, error) {
	m, err := v.verify(r)
	if err != nil {
		return access.Principal{}, err
	}
	if m.remembered {
		if err := v.seen.once(m.digest, m.until); err != nil {
			return access.Principal{}, err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(m.body))
	return m.principal, nil
}

// message is a request whose signature is good.
type message struct {
	body       []byte
	digest     digest // what it is remembered by
	remembered bool
	until      time.Time
	principal  access.Principal
}

func (m message) request(r *http.Request) *http.Request {
	r = r.WithContext(access.WithPrincipal(r.Context(), m.principal))
	r.Body = io.NopCloser(bytes.NewReader(m.body))
	r.ContentLength = int64(len(m.body))
	return r
}

// verify reads headers first, so that nobody without a signature has us read a
// body.
func (v *Verifier) verify(r *http.Request) (message, error) {
	c, err := v.scheme.claim(r.Header)
	if err != nil {
		return message{}, err
	}
	now := time.Now()
	until := now.Add(v.window)
	if !c.sent.IsZero() {
		if d := now.Sub(c.sent); d > v.window || d < -v.window {
			return message{}, fmt.Errorf("%w: it was sent at another time", access.ErrCredentials)
		}
		until = c.sent.Add(v.window + 1) // at the window's end it is still good
	}
	body, err := v.read(r)
	if err != nil {
		return message{}, err
	}
	if err := c.verify(body); err != nil {
		return message{}, err
	}
	p := access.Principal{Kind: access.Webhook, ID: v.name}
	if c.id != "" {
		p.Claims = map[string]string{"webhook-id": c.id}
	}
	m := message{body: body, until: until, principal: p}
	m.digest, m.remembered = v.key(c, r.Header, body)
	return m, nil
}

func (v *Verifier) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > v.limit {
		return nil, ErrTooLarge
	}
	body, more, err := bounded.Read(r.Body, v.limit)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	case more:
		return nil, ErrTooLarge
	}
	return body, nil
}

func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrTooLarge):
		w.Header().Set("Connection", "close") // the rest is not read
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case errors.Is(err, ErrBody):
		http.Error(w, "bad body", http.StatusBadRequest)
	case errors.Is(err, ErrFull):
		http.Error(w, "busy", http.StatusServiceUnavailable)
	default:
		http.Error(w, "not authenticated", http.StatusUnauthorized)
	}
}

// statusWriter remembers the status. What else the writer can do is found by
// http.ResponseController through Unwrap.
type statusWriter struct {
	http.ResponseWriter

	code int
}

// WriteHeader remembers the first final status.
func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 && code >= http.StatusOK {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write is a 200 if no status was written.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
