package faasevents

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// attributePrefix begins the headers of attributes, in Go's spelling.
const attributePrefix = "Ce-"

// contentType is where an event's datacontenttype lies in the binary mode.
const contentType = "Content-Type"

// decodeHeader undoes how section 3.1.3.2 of the HTTP binding 1.0.2 writes
// attributes into headers: quoted strings, then percent-encoding. The SDK takes
// the values as they are.
func decodeHeader(header http.Header) (http.Header, error) {
	decoded := make(http.Header, len(header))
	for name, values := range header {
		if !strings.HasPrefix(name, attributePrefix) {
			decoded[name] = values
			continue
		}
		attribute := strings.ToLower(name[len(attributePrefix):])
		if !isAttributeName(attribute) {
			return nil, fmt.Errorf("%.40q: names of attributes are of a–z and 0–9", attribute)
		}
		if attribute == "datacontenttype" { // some send it besides Content-Type, which is what it is in HTTP
			continue
		}
		if attribute == "data" {
			return nil, errors.New("data: has no header of that name; the body is the data")
		}
		if len(values) != 1 { // which of them the sender means is anybody's guess, and guesses can be played against each other
			return nil, fmt.Errorf("%s: there is more than one header", attribute)
		}
		value := decodeValue(values[0])
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("%s: not UTF-8", attribute)
		}
		decoded[name] = []string{value}
	}
	return decoded, nil
}

// decodeValue does a single round of each. A % that begins no code stands for
// itself.
func decodeValue(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// encodeValue is the reverse: what is not printable ASCII, and space, quote and
// percent.
func encodeValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// encodingWriter encodes the attributes that the SDK has written into the
// header, when it is sent.
type encodingWriter struct{ http.ResponseWriter }

// WriteHeader also says that what has no content type gets none: net/http would
// look at the data and guess one, which the receiver takes for the event's
// datacontenttype. A header without values, unlike one that is absent, stops it.
func (w encodingWriter) WriteHeader(status int) {
	if _, there := w.Header()[contentType]; !there {
		w.Header()[contentType] = nil
	}
	for name, values := range w.Header() {
		if strings.HasPrefix(name, attributePrefix) {
			for i := range values {
				values[i] = encodeValue(values[i])
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}
