package faashttp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// urlResponse is the HTTP response that a function's output describes.
type urlResponse struct {
	status  int
	headers http.Header
	body    []byte
}

// parseURLResponse parses a function's output. It returns false for a structured response that
// can't be sent.
func parseURLResponse(out []byte) (a urlResponse, ok bool) {
	var s structuredResponse
	if !isObject(out) || json.Unmarshal(out, &s) != nil || !s.has("statusCode") {
		return plainResponse(out), true
	}
	if a.status, a.headers, ok = s.head("application/json"); !ok {
		return a, false
	}
	a.body, ok = s.body()
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		a.body = nil
	}
	return a, ok
}

func isObject(out []byte) bool {
	trimmed := bytes.TrimLeft(out, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// plainResponse returns the response for an output that is not structured: the output is the
// body.
func plainResponse(out []byte) urlResponse {
	if len(out) == 0 {
		out = []byte("null")
	}
	return urlResponse{status: http.StatusOK, headers: http.Header{"Content-Type": {"application/json"}}, body: out}
}

// structuredResponse is an output with the key statusCode. It is a map and not a struct,
// because package json decodes keys of a struct in any case, so that the StatusCode of any
// output would count.
type structuredResponse map[string]json.RawMessage

// has reports whether a key has a value other than null.
func (s structuredResponse) has(key string) bool {
	raw, ok := s[key]
	return ok && string(raw) != "null"
}

// head checks the status, headers and cookies. It leaves out headers that concern only one
// connection, because the server sets those itself.
func (s structuredResponse) head(contentType string) (status int, h http.Header, ok bool) {
	var (
		headers map[string]json.RawMessage
		cookies []string
	)
	if status, ok = s.status(); !ok || !s.read("headers", &headers) || !s.read("cookies", &cookies) {
		return 0, nil, false
	}
	h = http.Header{"Content-Type": {contentType}}
	for name, raw := range headers {
		value, ok := scalar(raw)
		if !ok || !isHeaderName(name) || !isHeaderValue(value) {
			return 0, nil, false
		}
		if !isHopByHop(name) {
			h.Set(name, value)
		}
	}
	for _, c := range cookies {
		if !isHeaderValue(c) {
			return 0, nil, false
		}
		h.Add("Set-Cookie", c)
	}
	return status, h, true
}

// status accepts a number, or the text of an integer. Without a statusCode, which the head of a
// stream may leave out, it returns 200.
func (s structuredResponse) status() (int, bool) {
	if !s.has("statusCode") {
		return http.StatusOK, true
	}
	text, ok := scalar(s["statusCode"])
	n, err := strconv.Atoi(text)
	if err != nil && s["statusCode"][0] != '"' { // a number that is an integer may be written as 200.0
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		ok = ok && f == math.Trunc(f) && f < 1000
		n = int(f)
	}
	return n, ok && err == nil && n >= 200 && n <= 599
}

// read decodes the value of a key into v. It leaves v unchanged if the key is absent or null.
func (s structuredResponse) read(key string, v any) bool {
	return !s.has(key) || json.Unmarshal(s[key], v) == nil
}

// body returns the body, decoded if it is base64.
func (s structuredResponse) body() (data []byte, ok bool) {
	inBase64 := false
	if !s.read("isBase64Encoded", &inBase64) {
		return nil, false
	}
	if !s.has("body") {
		return nil, true
	}
	text, ok := scalar(s["body"])
	switch {
	case !ok && !inBase64: // some handlers return the body as a JSON object instead of its text
		return s["body"], true
	case !ok:
		return nil, false
	case inBase64:
		data, err := base64.StdEncoding.DecodeString(text)
		return data, err == nil
	}
	return []byte(text), true
}

// scalar returns the text of a JSON string, and the JSON of a number or boolean.
func scalar(raw json.RawMessage) (string, bool) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number, bool:
		return fmt.Sprint(v), true
	case nil:
		return "", true
	}
	return "", false
}

// isHeaderName reports whether s is a token of RFC 9110, section 5.6.2.
func isHeaderName(s string) bool { return isToken(s, "!#$%&'*+-.^_`|~") }

// isHeaderValue reports whether s can be the value of a header. It refuses control characters,
// because a line end could begin another header.
func isHeaderValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isHopByHop(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length":
		return true
	}
	return false
}

// head copies the response's headers to h.
func (a *urlResponse) head(h http.Header) {
	maps.Copy(h, a.headers)
}
