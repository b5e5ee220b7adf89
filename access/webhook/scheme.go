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
	// check returns an error if the secrets can't be used. The error says how to correct them.
	check() error
	// claim parses the headers of the signature. It verifies nothing yet.
	claim(h http.Header) (claim, error)
}

// claim has the headers of a signature in parsed form. They must still be verified.
type claim struct {
	keys       [][]byte
	before     string // the signed text in front of the body
	signatures [][]byte
	id         string    // the message's id, which is signed; empty if it has none
	delivery   string    // distinguishes messages with equal content, is not signed; may be empty
	sent       time.Time // the signed time; zero if no time is signed
}

// maxHeader bounds the length of a header that is parsed, in bytes. It so bounds the number of
// signatures that are compared.
const maxHeader = 4 << 10

var errSignature = fmt.Errorf("%w: the signature does not match", access.ErrCredentials)

// verify checks that one of the signatures was made with one of the keys. It compares all of
// them, each in constant time, so that the time does not show which of them matches.
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

// digest returns the default key of the message in memory.
func (c claim) digest(body []byte) digest {
	signed := c.signedDigest(body)
	if c.delivery == "" {
		return signed
	}
	return sha256.Sum256(append(signed[:], c.delivery...))
}

// signedDigest returns a hash of what the sender has signed. It includes nothing else, because
// an attacker who repeats a message can change everything else. The prefixes "id " and "signed
// " keep an id and a signed text with the same bytes apart.
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

// malformed returns the error for a header that can't be parsed.
func malformed(header string) error {
	return fmt.Errorf("%w: header %s is malformed", access.ErrCredentials, header)
}

// single returns the value of a header that must occur once. It refuses a request with two
// values, because a proxy or the handler might use the other one.
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

// unix parses a Unix time that consists of digits. It accepts no other form: the text is part
// of what is signed, so the same time in another form would be another message.
func unix(s string) (time.Time, bool) {
	if s == "" || len(s) > 12 || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0), err == nil
}

// errNoSecret is the error of New for a scheme whose secrets can't verify anything.
var errNoSecret = errors.New("webhook: a scheme needs at least one secret, and no secret may be empty")

// plain returns the keys of secrets whose bytes are the key.
func plain(secrets []access.Secret) [][]byte {
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		keys[i] = []byte(s.Reveal())
	}
	return keys
}

// checkPlain returns an error if there is no secret, or an empty one: an attacker could sign
// with an empty key.
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
