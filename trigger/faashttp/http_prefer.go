package faashttp

import (
	"net/http"
	"strings"
)

// prefersAsync reports whether a request prefers respond-async (RFC 7240, section 4.1).
// Nearly no request has the header.
func prefersAsync(h http.Header) bool {
	for _, line := range h["Prefer"] {
		for more := true; more; {
			var one string
			one, line, more = cutUnquoted(line, ',')
			if isAsync(one) {
				return true
			}
		}
	}
	return false
}

// isAsync reads one preference: a name, a value perhaps, and parameters. respond-async has
// no value, or, as section 2 has it, an empty one.
func isAsync(preference string) bool {
	preference, _, _ = cutUnquoted(preference, ';')
	name, value, _ := strings.Cut(preference, "=")
	value = strings.Trim(value, " \t")
	return strings.EqualFold(strings.Trim(name, " \t"), "respond-async") && (value == "" || value == `""`)
}

// cutUnquoted is [strings.Cut] at the first sep that is in no quoted string (RFC 9110,
// section 5.6.4). One that is not closed goes to the end.
func cutUnquoted(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
