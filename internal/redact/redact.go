// Package redact takes from JSON what must not be kept.
package redact

import (
	"encoding/json"
	"slices"
)

// Text is what stands in the place of a value that is not shown.
const Text = "[redacted]"

// JSON returns data, a JSON text, with the value of each key for which blank is true
// replaced by the string [Text], whatever that value is. Keys of objects are asked about at
// every depth outside of such values, decoded, in their order; all else stays byte for byte.
// What stands inside of a string, such as JSON that was encoded twice, is not looked at. It
// is false if data is not exactly one valid JSON text, as [json.Valid] has it: nothing in
// such data can be found with certainty. data is not changed, and not kept.
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
		if value == len(data) || data[value] != ':' || !blank(decoded(data[i:end])) { // not a key, or one that may be shown
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

// decoded is the text of a string of valid JSON.
func decoded(quoted []byte) (text string) {
	_ = json.Unmarshal(quoted, &text)
	return text
}

// stringEnd is where the string that begins at i ends in valid JSON.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is where the value that begins at i ends in valid JSON.
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

// wordEnd is where the number, true, false or null that begins at i ends.
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
