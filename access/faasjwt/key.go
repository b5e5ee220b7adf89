package faasjwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeys = 100  // how many keys of a set are used
	minRSA  = 2048 // the least size of an RSA key in bits, as RFC 7518, 3.3 requires
)

// key is a public key that may verify tokens.
type key struct {
	kid    string
	alg    string // the only algorithm of the key; empty means any that fits its kind
	public crypto.PublicKey
}

// fits reports whether the key may be used with the algorithm that a token names. The kind of
// the key decides, because the token's text is not trusted. For example, an RSA key never fits
// an algorithm of HMAC, which would use the public key as a secret.
func (k key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[p.Params().Name]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// match returns the keys with that ID that fit the algorithm. If the token names no ID, exactly
// one key of the set must fit; otherwise a token could make the package try every key.
func match(keys []key, kid, alg string) []key {
	var found []key
	for _, k := range keys {
		if (kid == "" || k.kid == kid) && k.fits(alg) {
			found = append(found, k)
		}
	}
	if kid == "" && len(found) != 1 {
		return nil
	}
	return found
}

// verifies reports whether the token's signature was made with one of the keys.
func verifies(method jwt.SigningMethod, keys []key, t token) bool {
	return slices.ContainsFunc(keys, func(k key) bool { return method.Verify(t.signed, t.signature, k.public) == nil })
}

// parseSet parses a JWK set (RFC 7517). It leaves out keys that are not for signatures, and
// keys of kinds that this package does not support; a set may have both. It returns an error if
// no key is left, because every token would be refused.
func parseSet(data []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%w: not a JWK set", errKeys)
	}
	var keys []key
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the set has no key for signatures", errKeys)
	}
	return keys, nil
}

// parseKey parses a key that may verify signatures. With Private set to false the library never
// makes a private key, whatever the set contains.
func parseKey(raw json.RawMessage) (key, bool) {
	jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{Private: false}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, false
	}
	m := jwk.Marshal()
	forSignatures := (m.USE == "" || m.USE == jwkset.UseSig) && (len(m.KEYOPS) == 0 || slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify))
	if !forSignatures || !strong(jwk.Key()) {
		return key{}, false
	}
	return key{kid: m.KID, alg: algorithm(m.ALG.String()), public: jwk.Key()}, true
}

// strong reports whether a key is a public key of a kind that fits supports, and strong enough:
// RSA with at least minRSA bits, or a point on its curve.
func strong(public crypto.PublicKey) bool {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return p.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		_, err := p.ECDH() // it fails for a point that is not on the curve
		return err == nil
	case ed25519.PublicKey:
		return true
	}
	return false
}
