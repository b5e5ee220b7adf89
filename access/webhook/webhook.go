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

// WithWindow sets how far a signed time may be from now, in both directions, and how long a
// message without a signed time is remembered. It must be positive. Default 5 min, as in Stripe
// and Standard Webhooks.
func WithWindow(d time.Duration) Option { return option(func(v *Verifier) { v.window = d }) }

// WithReplays sets how many messages are remembered, n ≥ 1. It must exceed the number of
// messages with a valid signature in two windows. Messages beyond it are answered 503. Default
// 10,000, which takes about a megabyte.
func WithReplays(n int) Option { return option(func(v *Verifier) { v.seen.room = n }) }

// WithReplayKey chooses the key by which a message is remembered. Two requests with the same
// key are one message, and the second is not passed on. A request with the key "" is not
// remembered and is always passed on. So a func that always returns "" is for handlers that
// recognize repeated messages themselves.
//
// The default key is the message's id, if the id is signed. Otherwise it is a hash of the
// signed text and, for [GitHub], of the header X-GitHub-Delivery. GitHub sends two deliveries
// with equal bodies, for example, if a workflow is dispatched twice. The second must not be
// lost; the header distinguishes them. But the header is not signed: an attacker who has
// recorded a delivery can repeat it under another X-GitHub-Delivery, and can so fill the memory
// of [WithReplays]. If a repetition does more harm than a loss, use [WithSignedReplayKey],
// which leaves the header out.
//
// key is called for requests with a valid signature, by many goroutines at once. It must not
// keep its arguments. If it panics, the panic goes through the handler of the request.
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

// WithSignedReplayKey remembers a message only by the text that its sender has signed; see
// [WithReplayKey]. Within the window a repetition is not passed on, whatever its headers are. A
// second delivery of GitHub with the same body is not passed on either.
func WithSignedReplayKey() Option {
	return option(func(v *Verifier) {
		v.key = func(c claim, _ http.Header, body []byte) (digest, bool) { return c.signedDigest(body), true }
	})
}

// WithBodyLimit bounds the body, in bytes; n must be at least 1. The body is read
// into memory before its signature can be checked. Default 1 MiB; GitHub sends up to
// 25 MiB.
func WithBodyLimit(n int64) Option { return option(func(v *Verifier) { v.limit = n }) }

// Verifier verifies the webhooks of one sender. All its methods, and those of its handlers, may
// be called concurrently.
type Verifier struct {
	name   string
	scheme Scheme
	window time.Duration
	limit  int64
	key    func(c claim, h http.Header, body []byte) (d digest, remembered bool)
	seen   memory // has its own lock; the other fields are not changed after New
}

// New returns a verifier for a sender. The name is the ID of its principal. The error says how
// to correct an argument, and contains no secret.
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
	if err := v.check(); err != nil {
		return nil, err
	}
	return v, s.check()
}

// check returns an error if the name, the scheme or an option is impossible.
func (v *Verifier) check() error {
	switch {
	case v.name == "":
		return errors.New("webhook: New needs a name for the sender")
	case v.scheme == nil:
		return errors.New("webhook: New needs a scheme, such as GitHub(secret)")
	case v.window <= 0:
		return fmt.Errorf("webhook: WithWindow(%v): must be positive", v.window)
	case v.seen.room < 1:
		return fmt.Errorf("webhook: WithReplays(%d): must be at least 1", v.seen.room)
	case v.key == nil:
		return errors.New("webhook: WithReplayKey needs a func; leave the option out for the default")
	case v.limit < 1:
		return fmt.Errorf("webhook: WithBodyLimit(%d): must be at least 1 byte", v.limit)
	}
	return nil
}

// Handler verifies each request and then calls next, which gets the whole body and the
// principal on the context. A request that is not passed on is answered with
//
//	401  no signature, a wrong one, or a time outside of the window
//	413  the body is larger than WithBodyLimit
//	400  the body could not be read
//	200  the message has been handled before
//	409  the message is being handled
//	503  there is no room to remember the message
//
// A message counts as handled if next answers with a status below 300. If next answers with
// another status, or panics, the message may come again.
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

// handle calls next, and then marks the message as handled or forgets it. If next panics, the
// deferred function forgets the message and the panic goes on. Until the deferred function has
// run, the same message is answered 409.
func (v *Verifier) handle(w http.ResponseWriter, r *http.Request, next http.Handler, m message) {
	status := &statusWriter{ResponseWriter: w}
	good := false
	defer func() {
		if good {
			v.seen.done(m.digest)
		} else {
			v.seen.forget(m.digest)
		}
	}()
	next.ServeHTTP(status, m.request(r))
	good = status.code < http.StatusMultipleChoices // 0 if next wrote nothing, which net/http answers as 200
}

// Authenticate makes a Verifier an [access.Authenticator], for a path that accepts other
// credentials too. It reads the request's body and puts a copy in its place. It can't see the
// answer of the handler: the message counts as handled at once. If it comes again it is not
// authenticated, even if its handler has failed. Prefer [Verifier.Handler].
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

// message is a request with a valid signature.
type message struct {
	body       []byte
	digest     digest // the key by which the message is remembered
	remembered bool
	until      time.Time // the time until which it is remembered
	principal  access.Principal
}

// request returns r with the principal and with a body that can be read again.
func (m message) request(r *http.Request) *http.Request {
	r = r.WithContext(access.WithPrincipal(r.Context(), m.principal))
	r.Body = io.NopCloser(bytes.NewReader(m.body))
	r.ContentLength = int64(len(m.body))
	return r
}

// verify checks the headers before it reads the body, so that a request without a signature, or
// with an old one, can't make it read a body.
func (v *Verifier) verify(r *http.Request) (message, error) {
	c, err := v.scheme.claim(r.Header)
	if err != nil {
		return message{}, err
	}
	until, err := v.until(c, time.Now())
	if err != nil {
		return message{}, err
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

// until returns the time until which a message must be remembered: while its signed time is
// valid, or for a window from now if no time is signed. It returns an error if the signed time
// is outside of the window. A signed time is still valid at the very end of the window, so the
// message is remembered for a nanosecond longer.
func (v *Verifier) until(c claim, now time.Time) (until time.Time, err error) {
	if c.sent.IsZero() {
		return now.Add(v.window), nil
	}
	if d := now.Sub(c.sent); d > v.window || d < -v.window {
		return until, fmt.Errorf("%w: the signed time is outside of the window", access.ErrCredentials)
	}
	return c.sent.Add(v.window + 1), nil
}

// read reads the body up to the limit. It reads nothing if the announced length exceeds the
// limit.
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

// refuse answers a request that was not passed on. It does not show what was wrong with the
// credentials. After a body that is too large the connection is closed, because the rest of the
// body is not read.
func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrTooLarge):
		w.Header().Set("Connection", "close")
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case errors.Is(err, ErrBody):
		http.Error(w, "bad body", http.StatusBadRequest)
	case errors.Is(err, ErrFull):
		http.Error(w, "busy", http.StatusServiceUnavailable)
	default:
		http.Error(w, "not authenticated", http.StatusUnauthorized)
	}
}

// statusWriter stores the status. http.ResponseController finds the other methods of the writer
// through Unwrap.
type statusWriter struct {
	http.ResponseWriter

	code int
}

// WriteHeader stores the first final status; 1xx are not final.
func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 && code >= http.StatusOK {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write sets the status to 200 if none was written, as net/http does.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap returns the writer that statusWriter wraps.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
