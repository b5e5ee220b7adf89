package faashttp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// answer is what a function's output makes of the response.
type answer struct {
	status  int
	headers http.Header
	body    []byte
}

// structured is an answer as handlers write it.
type structured struct {
	StatusCode *int                       `json:"statusCode"`
	Headers    map[string]json.RawMessage `json:"headers"`
	Cookies    []string                   `json:"cookies"`
	Body       *json.RawMessage           `json:"body"`
	IsBase64   bool                       `json:"isBase64Encoded"`
}

// parseAnswer reads a function's output. It is false for one that claims to be
// structured and can't be sent.
func parseAnswer(out []byte) (a answer, ok bool) {
	var s structured
	if !isObject(out) {
		return plain(out), true
	}
	if err := json.Unmarshal(out, &s); err != nil && hasStatus(out) {
		return a, false
	} else if err != nil || s.StatusCode == nil {
		return plain(out), true
	}
	if a.headers, ok = s.head("application/json"); !ok {
		return a, false
	}
	a.status = *s.StatusCode
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

// hasStatus tells whether an object means to be structured, whatever else is
// wrong with it.
func hasStatus(out []byte) bool {
	var s struct {
		StatusCode json.RawMessage `json:"statusCode"`
	}
	return json.Unmarshal(out, &s) == nil && s.StatusCode != nil
}

// plain is an output that is no structured answer: the body itself.
func plain(out []byte) answer {
	if len(out) == 0 {
		out = []byte("null")
	}
	return answer{status: http.StatusOK, headers: http.Header{"Content-Type": {"application/json"}}, body: out}
}

// head checks the status, headers and cookies. What a header means between two
// machines, and not to a reader, is the server's own.
func (s *structured) head(contentType string) (h http.Header, ok bool) {
	if *s.StatusCode < 200 || *s.StatusCode > 599 {
		return nil, false
	}
	h = http.Header{"Content-Type": {contentType}}
	for name, raw := range s.Headers {
		value, ok := scalar(raw)
		if !ok || !isHeaderName(name) || !isHeaderValue(value) {
			return nil, false
		}
		if !isHopByHop(name) {
			h.Set(name, value)
		}
	}
	for _, c := range s.Cookies {
		if !isHeaderValue(c) {
			return nil, false
		}
		h.Add("Set-Cookie", c)
	}
	return h, true
}

func (s *structured) body() ([]byte, bool) {
	if s.Body == nil {
		return nil, true
	}
	text, ok := scalar(*s.Body)
	switch {
	case !ok && !s.IsBase64: // some handlers put the object itself there
		return *s.Body, true
	case !ok:
		return nil, false
	case s.IsBase64:
		data, err := base64.StdEncoding.DecodeString(text)
		return data, err == nil
	}
	return []byte(text), true
}

// scalar is a JSON string's text, or a number or truth value as it stands.
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

// isHeaderName is the token of RFC 9110, section 5.6.2.
func isHeaderName(s string) bool { return isToken(s, "!#$%&'*+-.^_`|~") }

// isHeaderValue tells whether s can stand in a header and end none: a control
// character would begin a header of its own.
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

func (a *answer) head(h http.Header) {
	maps.Copy(h, a.headers)
}
