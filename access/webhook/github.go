package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/inproc/faas/access"
)

// github is the signature scheme of GitHub.
type github struct{ secrets []access.Secret }

// GitHub verifies X-Hub-Signature-256. GitHub signs only the body: no time, and not the headers
// X-GitHub-Delivery and X-GitHub-Event, so these may have been changed on the way. An attacker
// who has recorded a delivery can repeat it under another X-GitHub-Delivery. With
// [WithSignedReplayKey] that is possible only after the window, when the delivery is forgotten.
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
