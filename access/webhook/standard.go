package webhook

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/inproc/faas/access"
)

// standard is the signature scheme of Standard Webhooks, and of Svix.
type standard struct {
	secrets []access.Secret
	names   []standardNames // the sets of headers; the first whose signature a request has is used
}

// Standard verifies webhooks of the Standard Webhooks specification. A secret is "whsec_"
// followed by base64 of 24 to 64 bytes; the prefix may be left out. Signatures of versions
// other than v1 are ignored. The principal's claim "webhook-id" is the message's id, which is
// the same in all attempts to deliver the message.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func Standard(secrets ...access.Secret) Scheme {
	return standard{secrets, []standardNames{webhookNames}}
}

// Svix is like [Standard], with the headers that Svix sends: svix-id, svix-timestamp and
// svix-signature. A request without svix-signature is verified by the headers of Standard,
// which Svix also sends. All three headers must belong to the same set: a mix of the two is
// refused.
// https://docs.svix.com/receiving/verifying-payloads/how-manual
func Svix(secrets ...access.Secret) Scheme {
	return standard{secrets, []standardNames{svixNames, webhookNames}}
}

// standardNames are the names of the three headers.
type standardNames struct{ id, timestamp, signature string }

var (
	webhookNames = standardNames{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} //nolint:gochecknoglobals // never written; Go has no constants of this type
	svixNames    = standardNames{"Svix-Id", "Svix-Timestamp", "Svix-Signature"}          //nolint:gochecknoglobals // see webhookNames
)

// in returns the first set of names whose signature header is in h. If there is none, it
// returns the first set.
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

var errStandardSecret = errors.New(`webhook: a secret of Standard Webhooks must be "whsec_" followed by base64 of 24 to 64 bytes`)

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
	list, err := single(h, names.signature)
	if err != nil {
		return claim{}, err
	}
	id, err := single(h, names.id)
	if err != nil || !isID(id) {
		return claim{}, malformed(names.id)
	}
	timestamp, err := single(h, names.timestamp)
	sent, ok := unix(timestamp)
	if err != nil || !ok {
		return claim{}, malformed(names.timestamp)
	}
	signatures := standardSignatures(list)
	if len(signatures) == 0 {
		return claim{}, malformed(names.signature)
	}
	keys, err := s.keys()
	return claim{keys: keys, id: id, sent: sent, before: id + "." + timestamp + ".", signatures: signatures}, err
}

// isID reports whether id is a valid part of the signed text, id.timestamp.body. It refuses an
// id with a dot: another id, time and body could then have the same text, and the same
// signature.
func isID(id string) bool { return len(id) <= 256 && !strings.Contains(id, ".") }

// standardSignatures returns the signatures of version v1 in a list of signatures.
func standardSignatures(list string) (signatures [][]byte) {
	for item := range strings.FieldsSeq(list) {
		version, v, _ := strings.Cut(item, ",")
		if sum, err := base64.StdEncoding.Strict().DecodeString(v); version == "v1" && err == nil && len(sum) == sha256.Size {
			signatures = append(signatures, sum)
		}
	}
	return signatures
}
