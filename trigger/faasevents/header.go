package faasevents

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// attributePrefix is the prefix of the headers that contain attributes, as net/http spells it.
const attributePrefix = "Ce-"

// contentType is the header that contains datacontenttype in the binary mode.
const contentType = "Content-Type"

// isAttributeName reports whether the specification allows the name: it consists of the letters
// a to z and digits.
func isAttributeName(name string) bool {
	other := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }
	return name != "" && !strings.ContainsFunc(name, other)
}

// decodeHeader returns a copy of header in which the attributes are decoded. By section 3.1.3.2
// of the HTTP binding 1.0.2 they are quoted strings with percent-encoding. The SDK does not
// decode them.
func decodeHeader(header http.Header) (http.Header, error) {
	decoded := make(http.Header, len(header))
	for name, values := range header {
		if !strings.HasPrefix(name, attributePrefix) {
			decoded[name] = values
			continue
		}
		attribute := strings.ToLower(name[len(attributePrefix):])
		if attribute == "datacontenttype" {
			continue // some senders send it in addition to Content-Type, which is the valid one
		}
		value, err := decodeAttribute(attribute, values)
		if err != nil {
			return nil, err
		}
		decoded[name] = []string{value}
	}
	return decoded, nil
}

// decodeAttribute decodes the value of an attribute's header, which must occur once.
func decodeAttribute(name string, values []string) (string, error) {
	switch {
	case !isAttributeName(name):
		return "", fmt.Errorf("%.40q: the name of an attribute must consist of a–z and 0–9", name)
	case name == "data":
		return "", errors.New("data: must not be a header; the body is the data")
	case len(values) != 1:
		// With two values, a proxy in front might read one and the function the other: so the
		// sender could show a different event to each of them.
		return "", fmt.Errorf("%s: there is more than one header", name)
	}
	value := decodeValue(values[0])
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("%s: not UTF-8", name)
	}
	return value, nil
}

// decodeValue removes the quotes, then the percent-encoding, each once: "%2541" becomes "%41"
// and not "A". A % without two hexadecimal digits after it is kept, as in "100%".
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

// unquote removes the backslash in front of each escaped byte.
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

// unhex returns the value of a hexadecimal digit, or -1.
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

// encodeValue is the reverse of decodeValue. It encodes the space, the quote, the percent sign,
// and every byte that is not printable ASCII. These include CR and LF, so an attribute can't
// add a header line to the response.
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

// encodingWriter encodes the attributes that the SDK has put into the header. It does this in
// WriteHeader, when all of them are set.
type encodingWriter struct{ http.ResponseWriter }

// WriteHeader encodes the attributes and sends the header.
//
// A reply without datacontenttype must not have a Content-Type. If that header is absent,
// net/http guesses a type from the first bytes, and the receiver would take the guess for the
// event's datacontenttype. If the header is present without values, net/http does not guess.
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
