package faasjwt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/inproc/faas/access"
)

// token is a JSON web token (RFC 7519) that has been taken apart. Nothing of it is
// proven. Names in it are compared as they are written: header and claims are maps
// for that reason, since encoding/json lets "ISS" through to a field "iss".
type token struct {
	alg       string // by the name that it has here, see algorithm
	kid       string // empty: none
	critical  bool   // it has a critical extension
	claims    jwt.MapClaims
	signed    string // what the signature is of
	signature []byte
}

// read takes apart a token of the issuer, as far as it says so itself: nothing is
// believed of it but that it is none of ours. What is no JSON web token, or of
// another issuer, is access.ErrNoCredentials: others may be asked about it.
func read(raw, issuer string) (token, error) {
	if strings.Count(raw, ".") != 2 {
		return token{}, fmt.Errorf("%w: not a JSON web token", access.ErrNoCredentials)
	}
	parts := strings.SplitN(raw, ".", 3)
	claims, err := object(parts[1])
	if err != nil {
		return token{}, fmt.Errorf("%w: not a JSON web token", access.ErrNoCredentials)
	}
	if iss, _ := claims["iss"].(string); iss != issuer {
		return token{}, fmt.Errorf("%w: a token of another issuer", access.ErrNoCredentials)
	}
	header, err := object(parts[0])
	if err != nil {
		return token{}, explain(err)
	}
	t := token{claims: claims, signed: raw[:len(parts[0])+1+len(parts[1])]}
	if t.signature, err = segment(parts[2]); err != nil {
		return token{}, explain(err)
	}
	alg, _ := header["alg"].(string)
	t.alg = algorithm(alg)
	_, t.critical = header["crit"]
	kid, named := header["kid"]
	var isText bool
	if t.kid, isText = kid.(string); named && !isText {
		return token{}, explain(errNoKey)
	}
	return t, nil
}

// segment decodes base64url as RFC 7515 has it: there is one text for each value.
func segment(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }

var errNoObject = errors.New("not an object")

// object decodes one. Numbers stay text: one that float64 can't hold is a matter
// of the claim that it is in.
func object(s string) (map[string]any, error) {
	data, err := segment(s)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); o == nil || !errors.Is(err, io.EOF) {
		return nil, errNoObject
	}
	return o, nil
}

// algorithm is the name of a signature algorithm here. Ed25519 is RFC 9864's for
// what RFC 8037 calls EdDSA with a key of that curve, and we have no other.
func algorithm(name string) string {
	if name == "Ed25519" {
		return jwt.SigningMethodEdDSA.Alg()
	}
	return name
}

func (t token) signedBy(method jwt.SigningMethod, keys []key) bool {
	for _, k := range keys {
		if method.Verify(t.signed, t.signature, k.public) == nil {
			return true
		}
	}
	return false
}
