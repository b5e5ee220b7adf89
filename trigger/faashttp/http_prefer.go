package faashttp

import (
	"net/http"
	"strings"
)

// prefersAsync reports whether a request has the preference respond-async (RFC 7240, section
// 4.1). Nearly no request has a Prefer header, so the common case costs one look-up.
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

// isAsync reports whether one preference is respond-async. A preference is a name, an optional
// value and parameters. respond-async has no value or an empty one, which section 2 treats
// alike.
func isAsync(preference string) bool {
	preference, _, _ = cutUnquoted(preference, ';')
	name, value, _ := strings.Cut(preference, "=")
	value = strings.Trim(value, " \t")
	return strings.EqualFold(strings.Trim(name, " \t"), "respond-async") && (value == "" || value == `""`)
}

// cutUnquoted is [strings.Cut] at the first sep outside of quoted strings (RFC 9110, section
// 5.6.4). A quoted string that is not closed reaches to the end of s.
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
