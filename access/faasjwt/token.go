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

// token is a parsed JSON web token (RFC 7519). Nothing in it is verified yet. Names of claims
// and header fields must be compared exactly. Therefore both are decoded to maps: for a struct,
// encoding/json would accept "ISS" for the field "iss".
type token struct {
	alg       string // the name that function algorithm returns
	kid       string // empty if the header has none
	critical  bool   // it has a critical extension
	claims    jwt.MapClaims
	signed    string // the part of the text that is signed
	signature []byte
}

// errOther returns the error for a token that another authenticator may accept.
func errOther(why string) error { return fmt.Errorf("%w: %s", access.ErrNoCredentials, why) }

// read parses a token of the issuer. It reads iss before anything is verified, and uses it only
// to leave other tokens to other authenticators: for a text that is not a JSON web token, and
// for a token of another issuer, the error is access.ErrNoCredentials. For a token that names
// this issuer and is malformed, the error is access.ErrCredentials.
func read(raw, issuer string) (token, error) {
	if strings.Count(raw, ".") != 2 {
		return token{}, errOther("not a JSON web token")
	}
	parts := strings.SplitN(raw, ".", 3)
	claims, err := object(parts[1])
	if err != nil {
		return token{}, errOther("not a JSON web token")
	}
	if iss, _ := claims["iss"].(string); iss != issuer {
		return token{}, errOther("a token of another issuer")
	}
	t := token{claims: claims, signed: raw[:len(parts[0])+1+len(parts[1])]}
	if t.signature, err = segment(parts[2]); err != nil {
		return token{}, explain(err)
	}
	err = t.readHeader(parts[0])
	return t, err
}

// readHeader reads the header fields that this package uses. It ignores the fields that say
// where to find a key (jku, x5u, jwk).
func (t *token) readHeader(part string) error {
	header, err := object(part)
	if err != nil {
		return explain(err)
	}
	alg, _ := header["alg"].(string)
	t.alg = algorithm(alg)
	_, t.critical = header["crit"]
	kid, named := header["kid"]
	var isText bool
	if t.kid, isText = kid.(string); named && !isText {
		return explain(errNoKey)
	}
	return nil
}

// segment decodes base64url by the rules of RFC 7515. It is strict, so that only one text
// decodes to a value.
func segment(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }

var errNoObject = errors.New("not an object")

// object decodes a JSON object in base64url. It keeps numbers as text, because validate checks
// dates that float64 can't represent.
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
