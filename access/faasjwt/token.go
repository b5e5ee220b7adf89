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

// token is a JSON web token (RFC 7519) that was taken apart. Nothing in it is
// verified yet. Names of claims and header fields are compared to the letter. This
// is why both are decoded to maps: for a struct encoding/json would take "ISS" for
// the field "iss".
type token struct {
	alg       string // by its name in this package, see algorithm
	kid       string // empty: none
	critical  bool   // it has a critical extension
	claims    jwt.MapClaims
	signed    string // the part of the text that is signed
	signature []byte
}

// errOther is for a token that another authenticator may know.
func errOther(why string) error { return fmt.Errorf("%w: %s", access.ErrNoCredentials, why) }

// read takes apart a token of the issuer. It looks at iss before anything is
// verified, and only to leave other tokens alone: a text that is no JSON web token,
// and a token of another issuer, are access.ErrNoCredentials, so that other
// authenticators are asked. A token that is the issuer's by its own word and is
// malformed is access.ErrCredentials.
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

// readHeader reads the fields of the header that this package knows. What the
// header says about where to find a key (jku, x5u, jwk) is not among them.
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

// segment decodes base64url as RFC 7515 has it. It is strict, so that each value has
// one text only.
func segment(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }

var errNoObject = errors.New("not an object")

// object decodes a JSON object in base64url. Numbers stay text: validate looks at
// dates that float64 can't hold.
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
