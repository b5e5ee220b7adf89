package pattern

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Error is a mistake in a pattern.
type Error struct {
	Path    string // to the place, a JSON pointer (RFC 6901): /data/total/0/numeric/1
	Problem string // what is wrong there, and the cure
}

// Error describes the mistake on one line.
func (e *Error) Error() string { return "pattern: " + e.Place() + ": " + e.Problem }

// Place is the path, or "the pattern" for the whole of it.
func (e *Error) Place() string {
	if e.Path == "" {
		return "the pattern"
	}
	return e.Path
}

// errorAt makes a Error. It returns the concrete type: callers return it as
// an error at once and never compare it with nil.
func errorAt(path, format string, args ...any) *Error {
	return &Error{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// pointer escapes a key for a JSON pointer.
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// kindOf names the kind of a JSON value in an error, and shows a short value.
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
