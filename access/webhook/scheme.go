package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/access"
)

// Scheme is the way in which a sender signs: [GitHub], [Stripe], [Standard] or [Svix].
type Scheme interface {
	// check returns what is impossible about the secrets.
	check() error
	// claim reads what the headers say. Nothing of it is verified yet.
	claim(h http.Header) (claim, error)
}

// claim is what a request says about its signature, which has to be verified.
type claim struct {
	keys       [][]byte
	before     string // what is signed in front of the body
	signatures [][]byte
	id         string    // the message's id, signed; empty: it has none
	delivery   string    // tells apart messages with equal content, not signed; empty: nothing does
	sent       time.Time // signed; zero: no time is signed
}

// maxHeader bounds a header that is parsed, in bytes, and so the number of signatures
// that are compared.
const maxHeader = 4 << 10

var errSignature = fmt.Errorf("%w: the signature does not fit", access.ErrCredentials)

// verify checks that one of the signatures was made with one of the keys. It compares
// all of them, in constant time each, so that the time does not tell which one fits.
func (c claim) verify(body []byte) error {
	good := false
	for _, key := range c.keys {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(c.before))
		m.Write(body)
		want := m.Sum(nil)
		for _, s := range c.signatures {
			good = hmac.Equal(s, want) || good
		}
	}
	if !good {
		return errSignature
	}
	return nil
}

// digest is what the message is remembered by, unless an option says otherwise.
func (c claim) digest(body []byte) digest {
	signed := c.signedDigest(body)
	if c.delivery == "" {
		return signed
	}
	return sha256.Sum256(append(signed[:], c.delivery...))
}

// signedDigest covers what is signed and nothing else: an attacker who repeats a
// message can choose all the rest. The prefixes keep an id apart from a body that
// reads the same.
func (c claim) signedDigest(body []byte) digest {
	h := sha256.New()
	if c.id != "" {
		h.Write([]byte("id " + c.id))
	} else {
		h.Write([]byte("signed " + c.before))
		h.Write(body)
	}
	return digest(h.Sum(nil))
}

// malformed is the error for a header that can't be parsed.
func malformed(header string) error {
	return fmt.Errorf("%w: header %s is malformed", access.ErrCredentials, header)
}

// single returns the value of a header that must be there once. A request with two
// values is refused: a proxy or the handler might believe the other one.
func single(h http.Header, name string) (string, error) {
	values := h.Values(name)
	switch {
	case len(values) == 0:
		return "", fmt.Errorf("%w: no header %s", access.ErrNoCredentials, name)
	case len(values) > 1 || values[0] == "" || len(values[0]) > maxHeader:
		return "", malformed(name)
	}
	return values[0], nil
}

// unix reads a Unix time that is made of digits alone. It is part of what is signed,
// so that other spellings of the same time are other texts.
func unix(s string) (time.Time, bool) {
	if s == "" || len(s) > 12 || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0), err == nil
}

// errNoSecret is the error of New for a scheme that could not verify anything.
var errNoSecret = errors.New("webhook: a scheme needs a secret, and none may be empty")

// plain returns the keys of secrets that are used as they are.
func plain(secrets []access.Secret) [][]byte {
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		keys[i] = []byte(s.Reveal())
	}
	return keys
}

// checkPlain wants at least one secret, and no empty one: an attacker could sign with an
// empty key.
func checkPlain(secrets []access.Secret) error {
	if len(secrets) == 0 {
		return errNoSecret
	}
	for _, s := range secrets {
		if s.IsZero() {
			return errNoSecret
		}
	}
	return nil
}
