package pattern

import "fmt"

// Pattern is a condition on JSON objects, here called events. Make one with [Compile]. Its zero
// value, like {}, matches every event. It is immutable: any number of goroutines may use it.
// The result of a match depends only on the event.
type Pattern struct {
	root object
	text string
}

// Compile compiles a pattern in the language of Amazon EventBridge, as far as it is described
// below. The facts are from
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html.
// The error of Compile is a [*Error] with the place of the mistake.
//
// A pattern is a JSON object with the shape of the event. All of its fields must match. The
// value of a field is an array, of which at least one entry must match:
//
//	"x", 5, true, null                          this value
//	{"prefix": "a"}, {"suffix": "z"}            text with this beginning or end
//	{"equals-ignore-case": "x"}                 this text, ignoring the case of letters
//	{"prefix": {"equals-ignore-case": "a"}}     this beginning, ignoring case; also for suffix
//	{"wildcard": "dir/*.png"}                   text, where * means any characters; write \* for * and \\ for \
//	{"numeric": [">", 0, "<=", 5]}              a number in a range: <, <=, =, >=, >
//	{"cidr": "10.0.0.0/24"}                     an IP address, v4 or v6, in a block
//	{"exists": true}, {"exists": false}         any value, or no value
//	{"anything-but": X}                         a value that is not X: text or number, a list of either,
//	                                            or prefix, suffix, equals-ignore-case or wildcard with a text or a list
//	"$or": [{…}, {…}]                           in place of a field: one of at least two patterns
//
// The value of a field may also be an object instead of an array. It is then a pattern for the
// object that the event has in that field.
//
// An array of the event matches if one of its elements matches. An element that is an object
// must match as a whole: one element must meet all conditions on its fields. An object, an
// empty array and a field that is missing have no value, and match only {"exists": false}.
//
// Numbers are compared exactly, with all of their digits, however large. An IPv4-mapped address
// or block is treated as the IPv4 one: ::ffff:10.0.0.0/120 is 10.0.0.0/24.
//
// It differs from EventBridge in four points. Numbers are compared as numbers (in EventBridge,
// 300 and 3.0e2 are different values outside of "numeric"), and without its limit of ±5e9. {}
// is a pattern, and matches everything. "$or" is never the name of a field. An object with the
// same key twice is an error.
//
// In the worst case, the time of a match is proportional to the size of the pattern times the
// size of the event, because nothing in it backtracks.
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

// Match reports whether the pattern matches an object with these fields. The values must be
// those of [Decode], or an [Attribute].
func (p Pattern) Match(fields map[string]any) bool { return p.root.match(fields) }

// Names reports whether the pattern has a field of that name at the top level. If not, Match
// does not use that field, and its value need not be decoded.
func (p Pattern) Names(field string) bool { return p.root.names(field) }

// MatchJSON reports whether the pattern matches a JSON object. It returns false for JSON that
// is not an object, and an error for text that is not JSON.
func (p Pattern) MatchJSON(event []byte) (bool, error) {
	v, err := Decode(event)
	if err != nil {
		return false, fmt.Errorf("pattern: the event is not JSON: %w", err)
	}
	fields, ok := v.(map[string]any)
	return ok && p.root.match(fields), nil
}
