package pattern

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a compiled pattern, or a part of one. It matches if all of its fields match and, if
// it has an $or, one of the patterns of the $or.
type object struct {
	fields []field
	or     []object // nil if there is no $or
}

// field is one name in a pattern. It has either tests of the value or a pattern of the object
// below, never both.
type field struct {
	name  string
	below *object // nil if the field has tests
	tests []test
}

// names reports whether the pattern has a field of that name. A handler calls it to learn
// whether any pattern uses an event's data; if none does, the data is not decoded.
func (o object) names(name string) bool {
	return slices.ContainsFunc(o.fields, func(f field) bool { return f.name == name }) ||
		slices.ContainsFunc(o.or, func(o object) bool { return o.names(name) })
}

// match reports whether the pattern matches an object with these fields. nil means a value that
// is not an object, and so has no fields.
func (o object) match(fields map[string]any) bool {
	for i := range o.fields {
		f := &o.fields[i]
		v, there := fields[f.name]
		if !f.match(v, there) {
			return false
		}
	}
	if o.or == nil {
		return true
	}
	return slices.ContainsFunc(o.or, func(o object) bool { return o.match(fields) })
}

// match reports whether the field matches v. there is false if the event has no field of this
// name.
func (f *field) match(v any, there bool) bool {
	if f.below == nil {
		return f.matchLeaf(v, there)
	}
	return f.matchBelow(v)
}

// matchBelow matches an object, or an array in which one element matches as a whole. Any other
// value has no fields. It can still match a pattern that requires fields to be absent, for
// example {"a": {"b": [{"exists": false}]}} for {"a": 5}.
func (f *field) matchBelow(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return f.below.match(v)
	case []any:
		if len(v) > 0 {
			return slices.ContainsFunc(v, f.matchBelow)
		}
	}
	return f.below.match(nil)
}

// matchLeaf applies the tests to v. An object and an empty array count as absent, because they
// contain no value for a test.
func (f *field) matchLeaf(v any, there bool) bool {
	if there && f.matchValues(v) {
		return true
	}
	return f.wantsAbsent() && (!there || !hasValue(v))
}

// matchValues reports whether one of the tests holds for v or, if v is an array, for a value in
// it at any depth.
func (f *field) matchValues(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		return slices.ContainsFunc(v, f.matchValues)
	}
	return slices.ContainsFunc(f.tests, func(t test) bool { return t.holds(v) })
}

// wantsAbsent reports whether {"exists": false} is among the tests.
func (f *field) wantsAbsent() bool {
	return slices.ContainsFunc(f.tests, func(t test) bool { e, ok := t.(exists); return ok && !bool(e) })
}

// hasValue reports whether v is a value, or an array with a value in it.
func hasValue(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		return slices.ContainsFunc(v, hasValue)
	}
	return true
}

// test is a condition on a value, which is nil, a bool, a json.Number, a string or an
// Attribute. Tests are immutable, because concurrent requests share them.
type test interface{ holds(v any) bool }

// textTest is a test that only text can meet.
type textTest interface{ test }

// Attribute is a text that also matches as a number or a boolean if its text is one. It is for
// values from headers, which can't distinguish "5" from 5.
type Attribute string

// textOf returns the text of v, and false if v is of another kind.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Attribute:
		return string(v), true
	}
	return "", false
}

// numberOf returns the number in v, a json.Number or the text of an Attribute. It returns false
// if there is none.
func numberOf(v any) (number, bool) {
	switch v := v.(type) {
	case json.Number:
		return parseNumber(string(v))
	case Attribute:
		return parseNumber(string(v))
	}
	return number{}, false
}

type (
	isNull      struct{}
	equalText   string
	equalNumber number
	equalBool   bool
	equalFold   string
	hasPrefix   string
	hasSuffix   string
	foldPrefix  string
	foldSuffix  string
	wildcard    []string // the texts before, between and after each *
	inBlock     netip.Prefix
	exists      bool
	anythingBut []test
	inRange     []comparison
	comparison  struct {
		op   string
		than number
	}
)

func (isNull) holds(v any) bool { return v == nil }

func (t equalText) holds(v any) bool { s, ok := textOf(v); return ok && s == string(t) }

func (t equalNumber) holds(v any) bool {
	n, ok := numberOf(v)
	return ok && n.compare(number(t)) == 0
}

func (t equalBool) holds(v any) bool {
	switch v := v.(type) {
	case bool:
		return v == bool(t)
	case Attribute:
		return v == "true" && bool(t) || v == "false" && !bool(t)
	}
	return false
}

func (t equalFold) holds(v any) bool {
	s, ok := textOf(v)
	return ok && strings.EqualFold(s, string(t))
}

func (t hasPrefix) holds(v any) bool {
	s, ok := textOf(v)
	return ok && strings.HasPrefix(s, string(t))
}

func (t hasSuffix) holds(v any) bool {
	s, ok := textOf(v)
	return ok && strings.HasSuffix(s, string(t))
}

// holds compares as many runes as the prefix has. It can't compare bytes: the two cases of a
// letter may differ in length, for example ſ (two bytes) and S (one).
func (t foldPrefix) holds(v any) bool {
	s, ok := textOf(v)
	n := utf8.RuneCountInString(string(t))
	for i := range s {
		if n == 0 {
			s = s[:i]
			break
		}
		n--
	}
	return ok && strings.EqualFold(s, string(t))
}

// holds counts runes from the end, for the same reason as foldPrefix.
func (t foldSuffix) holds(v any) bool {
	s, ok := textOf(v)
	at := len(s)
	for range utf8.RuneCountInString(string(t)) {
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return ok && strings.EqualFold(s[at:], string(t))
}

func (t wildcard) holds(v any) bool {
	s, ok := textOf(v)
	if !ok {
		return false
	}
	if len(t) == 1 { // the pattern has no *
		return s == t[0]
	}
	if s, ok = strings.CutPrefix(s, t[0]); !ok {
		return false
	}
	if s, ok = strings.CutSuffix(s, t[len(t)-1]); !ok {
		return false
	}
	return inOrder(s, t[1:len(t)-1])
}

// inOrder reports whether s contains the parts one after the other. It takes each part at its
// first occurrence. A later occurrence would leave less of s for the parts that follow, so no
// part has to be tried twice, and the time is linear for every pattern.
func inOrder(s string, parts []string) bool {
	for _, part := range parts {
		_, after, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = after
	}
	return true
}

// holds checks the address both with and without its IPv6 form: an IPv4 block contains
// ::ffff:10.0.0.1, and ::/0 contains it too.
func (t inBlock) holds(v any) bool {
	s, _ := textOf(v)
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	addr = addr.WithZone("")
	return netip.Prefix(t).Contains(addr.Unmap()) || netip.Prefix(t).Contains(addr)
}

// holds is called only if there is a value: {"exists": true} holds and {"exists": false} does
// not. matchLeaf handles a missing value.
func (t exists) holds(any) bool { return bool(t) }

func (t anythingBut) holds(v any) bool {
	return !slices.ContainsFunc(t, func(t test) bool { return t.holds(v) })
}

func (t inRange) holds(v any) bool {
	n, ok := numberOf(v)
	return ok && !slices.ContainsFunc(t, func(c comparison) bool { return !c.holds(n) })
}

func (c comparison) holds(n number) bool {
	d := n.compare(c.than)
	switch c.op {
	case "<":
		return d < 0
	case "<=":
		return d <= 0
	case ">":
		return d > 0
	case ">=":
		return d >= 0
	}
	return d == 0
}
