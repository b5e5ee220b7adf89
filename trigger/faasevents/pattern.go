package faasevents

import (
	"encoding/json"
	"fmt"
	"strconv"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// Pattern is a condition on events. Make one with [Compile]. Its zero value,
// like {}, holds for every event. It is immutable: any number of goroutines may
// use it, and matching changes nothing and depends on the event alone.
type Pattern struct {
	root object
	text string
}

// Compile reads a pattern in the language of Amazon EventBridge, or a subset
// of it: facts from
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html.
// The error is a [*PatternError], which names the place.
//
// A pattern is a JSON object with the shape of the event. Its fields have to
// match all; a field's value is an array, of which one entry has to match:
//
//	"x", 5, true, null                          this value
//	{"prefix": "a"}, {"suffix": "z"}            text that begins or ends so
//	{"equals-ignore-case": "x"}                 text, the case of letters aside
//	{"prefix": {"equals-ignore-case": "a"}}     both; suffix likewise
//	{"wildcard": "dir/*.png"}                   text, where * stands for any run; \* and \\ are themselves
//	{"numeric": [">", 0, "<=", 5]}              a number in a range: <, <=, =, >=, >
//	{"cidr": "10.0.0.0/24"}                     an IP address, v4 or v6, in a block
//	{"exists": true}, {"exists": false}         a value of whatever kind is there, or none is
//	{"anything-but": X}                         a value that is not X: text or number, a list of either,
//	                                            or prefix, suffix, equals-ignore-case or wildcard with a text or a list
//	"$or": [{…}, {…}]                           in place of a field: one of the patterns, two at least
//
// An object in place of the array goes one level down.
//
// The top level are the event's attributes, extensions too, and "data". An
// attribute is matched as text in its canonical form, and also as a number or
// boolean where it reads as one, so that a binary event, whose attributes are
// all text, matches like the structured one. Data is looked into if it is JSON
// (by its datacontenttype, or without one); other data is one text, if it is
// text.
//
// Where the event has an array, it matches if one of its elements does: objects
// as a whole, so that two conditions on the fields of an element are not met by
// two elements. An object, an empty array and what is missing are no value, to
// which only "exists": false applies.
//
// Numbers are compared exactly, with all of their digits, however large. An
// IPv4-mapped address or block (::ffff:10.0.0.0/120) is the one of IPv4 that it
// maps.
//
// It differs from EventBridge in this: numbers are compared as numbers (there,
// 300 and 3.0e2 are different values outside of "numeric") and without its
// limit of ±5e9; {} is a pattern, and holds for everything; "$or" is never the
// name of a field; and an object with the same key twice is an error.
//
// Matching takes time in proportion to the size of the pattern times that of
// the event, at worst: there is no backtracking to be provoked.
func Compile(pattern string) (Pattern, error) {
	raw, err := parse(pattern)
	if err != nil {
		return Pattern{}, err
	}
	fields, ok := raw.(map[string]any)
	if !ok {
		return Pattern{}, wrong("", "a pattern is an object of fields, this is %s", kindOf(raw))
	}
	root, err := compileObject("", fields)
	if err != nil {
		return Pattern{}, err
	}
	return Pattern{root: root, text: pattern}, nil
}

// MustCompile is [Compile] for patterns that stand in the source: it panics
// where Compile returns an error.
func MustCompile(pattern string) Pattern {
	p, err := Compile(pattern)
	if err != nil {
		panic(err)
	}
	return p
}

// String returns what was compiled.
func (p Pattern) String() string {
	if p.text == "" {
		return "{}"
	}
	return p.text
}

// Match tells whether the pattern holds for e. Data that is not the JSON that
// it claims to be is no value.
func (p Pattern) Match(e cloudevents.Event) bool {
	return p.root.match(fieldsOf(e, p.root.names("data")))
}

// MatchJSON tells whether the pattern holds for a JSON object of any kind,
// whose fields take the place of the attributes. It is false for other JSON,
// and an error for what is none.
func (p Pattern) MatchJSON(event []byte) (bool, error) {
	v, err := decodeJSON(event)
	if err != nil {
		return false, fmt.Errorf("faasevents: the event is not JSON: %w", err)
	}
	fields, ok := v.(map[string]any)
	return ok && p.root.match(fields), nil
}

// PatternError is a mistake in a pattern.
type PatternError struct {
	Path    string // to the place, a JSON pointer (RFC 6901): /data/total/0/numeric/1
	Problem string // what is wrong there, and the cure
}

// Error describes the mistake on one line.
func (e *PatternError) Error() string {
	place := e.Path
	if place == "" {
		place = "the pattern"
	}
	return "faasevents: " + place + ": " + e.Problem
}

func wrong(path, format string, args ...any) *PatternError {
	return &PatternError{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// kindOf names a JSON value's kind in an error.
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
