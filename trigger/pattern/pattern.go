package pattern

import "fmt"

// Pattern is a condition on JSON objects, here called events. Make one with [Compile]. Its zero value,
// like {}, holds for every event. It is immutable: any number of goroutines may
// use it, and matching changes nothing and depends on the event alone.
type Pattern struct {
	root object
	text string
}

// Compile reads a pattern in the language of Amazon EventBridge, or a subset
// of it: facts from
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html.
// The error is a [*Error], which names the place.
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
// An object in place of the array goes one level down: its fields are matched
// with those of the object that the event has there.
//
// An array of the event matches if one of its elements does. Elements that are
// objects match as a whole: one element has to meet all conditions on its fields,
// and two elements can't share them. An object, an empty array and a field that is
// missing have no value: only {"exists": false} holds for them.
//
// Numbers are compared exactly, with all of their digits, however large. An
// IPv4-mapped address or block stands for the one of IPv4 that it maps:
// ::ffff:10.0.0.0/120 is 10.0.0.0/24.
//
// It differs from EventBridge in four points. Numbers are compared as numbers
// (there, 300 and 3.0e2 are different values outside of "numeric") and without its
// limit of ±5e9. {} is a pattern, and holds for everything. "$or" is never the name
// of a field. An object with the same key twice is an error.
//
// At worst, matching takes time in proportion to the size of the pattern times the
// size of the event: nothing in it backtracks.
func Compile(pattern string) (Pattern, error) {
	raw, err := parse(pattern)
	if err != nil {
		return Pattern{}, err
	}
	fields, ok := raw.(map[string]any)
	if !ok {
		return Pattern{}, errorAt("", "a pattern is an object of fields, this is %s", kindOf(raw))
	}
	root, err := compileObject("", fields)
	if err != nil {
		return Pattern{}, err
	}
	return Pattern{root: root, text: pattern}, nil
}

// MustCompile is like [Compile] but panics instead of returning an error, for
// patterns that are constants of the program.
func MustCompile(pattern string) Pattern {
	p, err := Compile(pattern)
	if err != nil {
		panic(err)
	}
	return p
}

// String returns the text that was compiled; {} for the zero value.
func (p Pattern) String() string {
	if p.text == "" {
		return "{}"
	}
	return p.text
}

// Match reports whether the pattern holds for an object with these fields. Values are as
// [Decode] makes them, or an [Attribute].
func (p Pattern) Match(fields map[string]any) bool { return p.root.match(fields) }

// Names reports whether the pattern has a field of that name at the top: if not, Match does not
// look at it, and it need not be decoded.
func (p Pattern) Names(field string) bool { return p.root.names(field) }

// MatchJSON reports whether the pattern holds for a JSON object. It returns false for JSON
// that is no object, and an error for text that is no JSON.
func (p Pattern) MatchJSON(event []byte) (bool, error) {
	v, err := Decode(event)
	if err != nil {
		return false, fmt.Errorf("pattern: the event is not JSON: %w", err)
	}
	fields, ok := v.(map[string]any)
	return ok && p.root.match(fields), nil
}
