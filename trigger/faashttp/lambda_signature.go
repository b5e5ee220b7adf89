package faashttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signature is the parsed Authorization header of AWS Signature Version 4.
type signature struct {
	keyID  string
	date   string // yyyymmdd
	region string
	signed []string // the names of the headers, sorted
	value  []byte
}

const (
	algorithm = "AWS4-HMAC-SHA256"
	amzTime   = "20060102T150405Z"
	maxSkew   = 5 * time.Minute
)

// parseSignature parses the header: the algorithm, followed by Credential, SignedHeaders and
// Signature, each once, separated by commas.
func parseSignature(s string) (g signature, ok bool) {
	rest, ok := strings.CutPrefix(s, algorithm+" ")
	if !ok || len(s) > 4096 {
		return g, false
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(field), "=")
		if _, twice := fields[name]; !found || twice {
			return g, false
		}
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	g.value, _ = hex.DecodeString(fields["Signature"])
	g.signed = strings.Split(fields["SignedHeaders"], ";")
	if len(fields) != 3 || len(scope) != 5 || len(g.value) != sha256.Size {
		return g, false
	}
	g.keyID, g.date, g.region = scope[0], scope[1], scope[2]
	ok = isToken(g.keyID, "") && len(g.date) == 8 && strings.Trim(g.date, "0123456789") == "" &&
		scope[3] == "lambda" && scope[4] == "aws4_request" && areSigned(g.signed)
	return g, ok
}

// areSigned reports whether the header names have the form that AWS requires: lower case,
// sorted, and none twice.
func areSigned(names []string) bool {
	for i, n := range names {
		if !isToken(n, "-_.") || n != strings.ToLower(n) || i > 0 && names[i-1] >= n {
			return false
		}
	}
	return true
}

// These errors say what the sender must correct. They never contain the right value.
func unsigned() *apiError {
	return forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
}

func presigned() *apiError {
	return forbidden("IncompleteSignatureException", "Presigned requests are not accepted: the signature must be in the Authorization header.")
}

func incomplete() *apiError {
	return forbidden("IncompleteSignatureException", "The Authorization header is not a complete signature of version 4 for this service and region.")
}

func expired() *apiError {
	return forbidden("InvalidSignatureException", "The signature's date is more than five minutes away.")
}

func unknownKey() *apiError {
	return forbidden("UnrecognizedClientException", "The security token included in the request is invalid.")
}

func mismatch() *apiError {
	return forbidden("InvalidSignatureException", "The signature does not match the request.")
}

// verifier checks the signatures of requests. It is only read, and may be used concurrently.
type verifier struct {
	region string
	secret func(keyID string) (key string, ok bool)
}

// precheck makes all checks that do not need the body, so that the body is not read if the
// sender has no key.
func (v verifier) precheck(r *http.Request) *apiError {
	switch {
	case len(r.Header["Authorization"]) > 0:
	case r.URL.Query().Has("X-Amz-Signature"):
		return presigned()
	default:
		return unsigned()
	}
	g, ok := parseSignature(r.Header.Get("Authorization"))
	if !ok || len(r.Header["Authorization"]) != 1 || g.region != v.region || !coversAll(r, g.signed) {
		return incomplete()
	}
	at, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
	if err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Date"), g.date) {
		return incomplete()
	}
	if time.Since(at).Abs() > maxSkew {
		return expired()
	}
	if _, ok := v.secret(g.keyID); !ok {
		return unknownKey()
	}
	return nil
}

// coversAll reports whether the signature covers the host and every header that this wire uses.
// A header that is not signed could have been added or changed on its way.
func coversAll(r *http.Request, signed []string) bool {
	if !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date") {
		return false
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return false
		}
	}
	return true
}

// verify checks the signature of a request that has passed precheck. It compares in constant
// time, because otherwise the time would show how many bytes of a guessed signature are right.
func (v verifier) verify(r *http.Request, body []byte) *apiError {
	g, _ := parseSignature(r.Header.Get("Authorization"))
	secret, ok := v.secret(g.keyID)
	if !ok {
		return unknownKey()
	}
	hash := sha256.Sum256(body)
	sum := hex.EncodeToString(hash[:])
	if said := r.Header.Get("X-Amz-Content-Sha256"); said != "" && said != sum {
		return mismatch()
	}
	if !hmac.Equal(g.value, sign(secret, g, r.Header.Get("X-Amz-Date"), canonical(r, g.signed, sum))) {
		return mismatch()
	}
	return nil
}

// sign derives the key for the day, the region and the service, and signs request with it (AWS,
// "Create a signed AWS API request").
func sign(secret string, g signature, at, request string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{g.date, g.region, "lambda", "aws4_request"} {
		key = mac(key, part)
	}
	hash := sha256.Sum256([]byte(request))
	scope := g.date + "/" + g.region + "/lambda/aws4_request"
	return mac(key, strings.Join([]string{algorithm, at, scope, hex.EncodeToString(hash[:])}, "\n"))
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// canonical returns the canonical form of the request, which the client and the server sign.
// The path is encoded once more than in the request, as for all services but S3.
func canonical(r *http.Request, signed []string, bodyHash string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(requestedPath(r), "/") + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range signed {
		b.WriteString(name + ":" + signedValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + bodyHash)
	return b.String()
}

// signedValue returns the canonical value of a header: its values joined by commas, with each run
// of spaces replaced by one space. net/http removes Host from the headers. Content-Length may
// also be missing there, for example behind a proxy; then signedValue uses r.ContentLength.
func signedValue(r *http.Request, name string) string {
	values := slices.Clone(r.Header.Values(name))
	switch {
	case name == "host":
		return r.Host
	case name == "content-length" && len(values) == 0:
		return strconv.FormatInt(r.ContentLength, 10)
	}
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

// canonicalQuery sorts the pairs of the query by name, then by value, both in encoded form. To
// sort whole name=value texts would be wrong: a-b would come before a, because "-" sorts before
// "=".
func canonicalQuery(raw string) string {
	var pairs [][2]string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, [2]string{escape(unescape(name), ""), escape(unescape(value), "")})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	sorted := make([]string, len(pairs))
	for i, pair := range pairs {
		sorted[i] = pair[0] + "=" + pair[1]
	}
	return strings.Join(sorted, "&")
}

// escape percent-encodes s. It leaves the unreserved characters of RFC 3986 and the characters
// of others unchanged.
func escape(s, others string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("-._~"+others, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
