// Package redact removes from JSON the values that must not be kept, such as passwords.
package redact

import (
	"encoding/json"
	"slices"
)

// Text stands in place of a value that is not shown.
const Text = "[redacted]"

// JSON returns data, a JSON text, in which some values are replaced by the string [Text]: the
// values of the keys for which blank returns true. blank is called with the decoded key, for the
// keys of all objects at every depth, in their order, but not inside a value that is replaced.
// All other bytes stay as they are. The contents of strings, such as JSON that was encoded
// twice, are not searched. ok is false if data is not exactly one valid JSON text (see
// [json.Valid]), because keys can't be found with certainty in such data. JSON does not change
// data, and does not keep it.
func JSON(data []byte, blank func(key string) bool) (out []byte, ok bool) {
	if !json.Valid(data) {
		return nil, false
	}
	out = make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] != '"' {
			out = append(out, data[i])
			i++
			continue
		}
		end := stringEnd(data, i)
		value := skipSpace(data, end)
		if value == len(data) || data[value] != ':' || !blank(decoded(data[i:end])) { // not a key, or a key whose value may be shown
			out = append(out, data[i:end]...)
			i = end
			continue
		}
		value = skipSpace(data, value+1)
		out = append(out, data[i:value]...)
		out = append(out, `"`+Text+`"`...)
		i = valueEnd(data, value)
	}
	return slices.Clip(out), true
}

// decoded returns the text of a string of valid JSON.
func decoded(quoted []byte) (text string) {
	_ = json.Unmarshal(quoted, &text)
	return text
}

// stringEnd returns where the string that begins at i ends, in valid JSON.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns where the value that begins at i ends, in valid JSON.
func valueEnd(data []byte, i int) int {
	for depth := 0; i < len(data); {
		switch data[i] {
		case '"':
			i = stringEnd(data, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r': // between the parts of an object or an array
			i++
			continue
		default:
			i = wordEnd(data, i)
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// wordEnd returns where the number, true, false or null that begins at i ends.
func wordEnd(data []byte, i int) int {
	for i < len(data) && !slices.Contains([]byte(",:]} \t\n\r"), data[i]) {
		i++
	}
	return i
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && slices.Contains([]byte(" \t\n\r"), data[i]) {
		i++
	}
	return i
}
