package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/inproc/faas/access"
)

// stripe is the signature scheme of Stripe.
type stripe struct{ secrets []access.Secret }

// Stripe verifies Stripe-Signature. A secret is used unchanged, with its prefix "whsec_".
// Signatures of schemes other than v1 are ignored. Stripe signs each attempt to deliver an
// event anew, so the verifier takes each for another message: to handle an event once, store
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
		if !addStripe(&c, item) {
			return claim{}, malformed(stripeHeader)
		}
	}
	if c.sent.IsZero() || len(c.signatures) == 0 {
		return claim{}, malformed(stripeHeader)
	}
	return c, nil
}

// addStripe adds an item name=value of the header to c. It returns false for a malformed item,
// and for a second item t (the time), because only one of the two can be the signed one.
func addStripe(c *claim, item string) bool {
	name, v, ok := strings.Cut(item, "=")
	if !ok {
		return false
	}
	switch name {
	case "t":
		sent, ok := unix(v)
		if !ok || !c.sent.IsZero() {
			return false
		}
		c.sent, c.before = sent, v+"."
	case "v1":
		if sum, err := hex.DecodeString(v); err == nil && len(sum) == sha256.Size {
			c.signatures = append(c.signatures, sum)
		}
	}
	return true
}
