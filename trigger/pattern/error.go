package pattern

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Error is a mistake in a pattern.
type Error struct {
	Path    string // the place, as a JSON pointer (RFC 6901): /data/total/0/numeric/1
	Problem string // what is wrong there, and how to correct it
}

// Error describes the mistake on one line.
func (e *Error) Error() string { return "pattern: " + e.Place() + ": " + e.Problem }

// Place returns the path, or "the pattern" if the mistake is about the whole pattern.
func (e *Error) Place() string {
	if e.Path == "" {
		return "the pattern"
	}
	return e.Path
}

// errorAt makes an Error. It returns the concrete type, so callers must return it as an error
// at once and never compare it with nil.
func errorAt(path, format string, args ...any) *Error {
	return &Error{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// pointer escapes a key for a JSON pointer.
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// kindOf returns a text for errors that names the kind of a JSON value. A short value is
// included.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case json.Number:
		return fmt.Sprintf("the number %.40s", v)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "an array"
	}
	return "an object"
}
