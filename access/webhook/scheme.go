package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/access"
)

// Scheme is how a sender signs: [GitHub], [Stripe], [Standard] or [Svix].
type Scheme interface {
	// check names what is impossible about the secrets.
	check() error
	// claim reads what the headers say, before anything is known to be true.
	claim(h http.Header) (claim, error)
}

// claim is a signature that is to be verified.
type claim struct {
	keys       [][]byte
	before     string // what is signed in front of the body
	signatures [][]byte
	id         string    // what names the message, signed; empty: what is signed does
	delivery   string    // what its sender tells it by from one with the same content, not signed; empty: nothing
	sent       time.Time // zero: not signed
}

// maxHeader bounds what is parsed, and with it how many signatures there are.
const maxHeader = 4 << 10

var errSignature = fmt.Errorf("%w: the signature does not fit", access.ErrCredentials)

// verify tells whether one of the signatures was made with one of the keys. All
// are tried, whichever fits.
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

// digest is what the message is remembered by, unless the user chooses otherwise.
func (c claim) digest(body []byte) digest {
	signed := c.signedDigest(body)
	if c.delivery == "" {
		return signed
	}
	return sha256.Sum256(append(signed[:], c.delivery...))
}

// signedDigest covers signed content alone: a sender of replays chooses everything
// else.
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

func malformed(header string) error {
	return fmt.Errorf("%w: header %s is malformed", access.ErrCredentials, header)
}

// single returns the value of a header that must be there once: which of several
// others believe can't be known.
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

// unix reads a time as senders write it, and sign it: digits, and no more.
func unix(s string) (time.Time, bool) {
	if s == "" || len(s) > 12 || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0), err == nil
}

var errNoSecret = errors.New("webhook: a scheme needs a secret, and none may be empty")

// plain are secrets that are keys as they are.
func plain(secrets []access.Secret) [][]byte {
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		keys[i] = []byte(s.Reveal())
	}
	return keys
}

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

type github struct{ secrets []access.Secret }

// GitHub verifies X-Hub-Signature-256. GitHub signs the body and nothing else,
// neither a time nor the X-GitHub-Delivery and X-GitHub-Event headers: those
// are not to be trusted further than the network is. Somebody who has recorded a
// delivery can repeat it under another X-GitHub-Delivery, unless
// [WithSignedReplayKey] is given, and then once it is forgotten.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func GitHub(secrets ...access.Secret) Scheme { return github{secrets} }

func (s github) check() error { return checkPlain(s.secrets) }

const (
	githubHeader   = "X-Hub-Signature-256"
	githubDelivery = "X-GitHub-Delivery"
)

func (s github) claim(h http.Header) (claim, error) {
	value, err := single(h, githubHeader)
	if err != nil {
		return claim{}, err
	}
	digits, ok := strings.CutPrefix(value, "sha256=")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size {
		return claim{}, malformed(githubHeader)
	}
	return claim{keys: plain(s.secrets), signatures: [][]byte{sum}, delivery: h.Get(githubDelivery)}, nil
}

type stripe struct{ secrets []access.Secret }

// Stripe verifies Stripe-Signature. A secret is used as it is, "whsec_"
// included. Signatures of schemes other than v1 count for nothing. A retry of
// Stripe's is a message of its own, signed anew: to handle an event once, keep
// its id.
// https://docs.stripe.com/webhooks#verify-manually
func Stripe(secrets ...access.Secret) Scheme { return stripe{secrets} }

func (s stripe) check() error { return checkPlain(s.secrets) }

const stripeHeader = "Stripe-Signature"

func (s stripe) claim(h http.Header) (claim, error) {
	value, err := single(h, stripeHeader)
	if err != nil {
		return claim{}, err
	}
	c := claim{keys: plain(s.secrets)}
	for item := range strings.SplitSeq(value, ",") {
		name, v, ok := strings.Cut(item, "=")
		if !ok {
			return claim{}, malformed(stripeHeader)
		}
		switch name {
		case "t":
			sent, ok := unix(v)
			if !ok || !c.sent.IsZero() {
				return claim{}, malformed(stripeHeader)
			}
			c.sent, c.before = sent, v+"."
		case "v1":
			if sum, err := hex.DecodeString(v); err == nil && len(sum) == sha256.Size {
				c.signatures = append(c.signatures, sum)
			}
		}
	}
	if c.sent.IsZero() || len(c.signatures) == 0 {
		return claim{}, malformed(stripeHeader)
	}
	return c, nil
}

type standard struct {
	secrets []access.Secret
	names   []standardNames // of which the first that has a signature counts
}

// Standard verifies webhooks of the Standard Webhooks specification. A secret is
// "whsec_" and base64 of 24 to 64 bytes; the prefix may be left out. Signatures
// of versions other than v1 count for nothing. The principal's claim "webhook-id"
// is the message's id, which its retries share.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func Standard(secrets ...access.Secret) Scheme {
	return standard{secrets, []standardNames{webhookNames}}
}

// Svix is [Standard] under the names of the headers that Svix sends: svix-id,
// svix-timestamp and svix-signature. Without a svix-signature it is Standard
// itself, whose names Svix has as well. All three are taken from one of the sets.
// https://docs.svix.com/receiving/verifying-payloads/how-manual
func Svix(secrets ...access.Secret) Scheme {
	return standard{secrets, []standardNames{svixNames, webhookNames}}
}

// standardNames are the headers of Standard Webhooks.
type standardNames struct{ id, timestamp, signature string }

var (
	webhookNames = standardNames{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} //nolint:gochecknoglobals // a constant, but for the language
	svixNames    = standardNames{"Svix-Id", "Svix-Timestamp", "Svix-Signature"}          //nolint:gochecknoglobals // likewise
)

// in chooses the set that h has a signature of.
func (s standard) in(h http.Header) standardNames {
	for _, n := range s.names {
		if len(h.Values(n.signature)) > 0 {
			return n
		}
	}
	return s.names[0]
}

func (s standard) check() error {
	if err := checkPlain(s.secrets); err != nil {
		return err
	}
	_, err := s.keys()
	return err
}

var errStandardSecret = errors.New(`webhook: a secret of Standard Webhooks is "whsec_" and base64 of 24 to 64 bytes`)

// keys decodes the secrets. Its error does not show them.
func (s standard) keys() ([][]byte, error) {
	keys := make([][]byte, len(s.secrets))
	for i, secret := range s.secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
		if err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errStandardSecret
		}
		keys[i] = key
	}
	return keys, nil
}

func (s standard) claim(h http.Header) (claim, error) {
	names := s.in(h)
	signatures, err := single(h, names.signature)
	if err != nil {
		return claim{}, err
	}
	id, err := single(h, names.id)
	if err != nil || len(id) > 256 || strings.Contains(id, ".") { // a dot would let the parts of what is signed be shifted
		return claim{}, malformed(names.id)
	}
	timestamp, err := single(h, names.timestamp)
	sent, ok := unix(timestamp)
	if err != nil || !ok {
		return claim{}, malformed(names.timestamp)
	}
	keys, err := s.keys()
	if err != nil {
		return claim{}, err
	}
	c := claim{keys: keys, id: id, sent: sent, before: id + "." + timestamp + "."}
	for item := range strings.FieldsSeq(signatures) {
		version, v, _ := strings.Cut(item, ",")
		if sum, err := base64.StdEncoding.Strict().DecodeString(v); version == "v1" && err == nil && len(sum) == sha256.Size {
			c.signatures = append(c.signatures, sum)
		}
	}
	if len(c.signatures) == 0 {
		return claim{}, malformed(names.signature)
	}
	return c, nil
}
