package faasevents

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/types"
)

// object is a compiled pattern, or a part of one.
type object struct {
	fields []field
	or     []object // nil: no $or
}

type field struct {
	name  string
	below *object // nil: tests
	tests []test
}

// names tells whether the pattern asks for a field, so that what is costly to
// make is made only then.
func (o object) names(name string) bool {
	return slices.ContainsFunc(o.fields, func(f field) bool { return f.name == name }) ||
		slices.ContainsFunc(o.or, func(o object) bool { return o.names(name) })
}

// match matches the fields of an object; nil are those of none.
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

func (f *field) match(v any, there bool) bool {
	if f.below == nil {
		return f.matchLeaf(v, there)
	}
	return f.matchBelow(v)
}

// matchBelow goes into an object, or into one of an array. Anything else has no
// fields, and may be asked for their absence.
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

func (f *field) matchLeaf(v any, there bool) bool {
	if there && f.matchValues(v) {
		return true
	}
	return f.wantsAbsent() && (!there || !hasValue(v))
}

// matchValues matches what is a value, or one in an array.
func (f *field) matchValues(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		return slices.ContainsFunc(v, f.matchValues)
	}
	return slices.ContainsFunc(f.tests, func(t test) bool { return t.holds(v) })
}

func (f *field) wantsAbsent() bool {
	return slices.ContainsFunc(f.tests, func(t test) bool { e, ok := t.(exists); return ok && !bool(e) })
}

func hasValue(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return false
	case []any:
		return slices.ContainsFunc(v, hasValue)
	}
	return true
}

// test is a condition on a value: nil, a bool, a json.Number, a string or an
// attribute.
type test interface{ holds(v any) bool }

// textTest is one that only a text can meet.
type textTest interface{ test }

// attribute is a value that is text by nature and may read as something else.
type attribute string

func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case attribute:
		return string(v), true
	}
	return "", false
}

func numberOf(v any) (number, bool) {
	switch v := v.(type) {
	case json.Number:
		return parseNumber(string(v))
	case attribute:
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
	wildcard    []string // the texts between the *
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
	case attribute:
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

func (t foldPrefix) holds(v any) bool {
	s, ok := textOf(v)
	n := utf8.RuneCountInString(string(t))
	for i := range s { // a letter's cases may differ in length
		if n == 0 {
			s = s[:i]
			break
		}
		n--
	}
	return ok && strings.EqualFold(s, string(t))
}

func (t foldSuffix) holds(v any) bool {
	s, ok := textOf(v)
	at := len(s)
	for range utf8.RuneCountInString(string(t)) {
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return ok && strings.EqualFold(s[at:], string(t))
}

// holds takes each part at the first place where it fits: a later one would
// leave less room to those that follow, so nothing is tried twice.
func (t wildcard) holds(v any) bool {
	s, ok := textOf(v)
	if !ok {
		return false
	}
	if len(t) == 1 {
		return s == t[0]
	}
	s, ok = strings.CutPrefix(s, t[0])
	if !ok {
		return false
	}
	s, ok = strings.CutSuffix(s, t[len(t)-1])
	if !ok {
		return false
	}
	for _, part := range t[1 : len(t)-1] {
		_, after, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = after
	}
	return true
}

func (t inBlock) holds(v any) bool {
	s, _ := textOf(v)
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	addr = addr.WithZone("")
	return netip.Prefix(t).Contains(addr.Unmap()) || netip.Prefix(t).Contains(addr)
}

// holds is asked about values only; who wants none is asked apart.
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

// fieldsOf makes the fields of an event, with its data if somebody asks for it.
func fieldsOf(e cloudevents.Event, withData bool) map[string]any {
	fields := make(map[string]any, 10)
	if e.Context == nil {
		return fields
	}
	for name, v := range e.Extensions() {
		if text, err := types.Format(v); err == nil {
			fields[name] = attribute(text)
		}
	}
	delete(fields, "data") // no extension can have the name; what the SDK lets pass is not data
	set := func(name, value string) {
		if value != "" {
			fields[name] = attribute(value)
		}
	}
	set("specversion", e.SpecVersion())
	set("id", e.ID())
	set("source", e.Source())
	set("type", e.Type())
	set("subject", e.Subject())
	set("datacontenttype", e.DataContentType())
	set("dataschema", e.DataSchema())
	if t := e.Time(); !t.IsZero() {
		set("time", types.FormatTime(t))
	}
	if withData {
		if v, ok := dataOf(e); ok {
			fields["data"] = v
		}
	}
	return fields
}

func dataOf(e cloudevents.Event) (any, bool) {
	data := e.Data()
	switch {
	case len(data) == 0:
		return nil, false
	case isJSON(e):
		v, err := decodeJSON(data)
		return v, err == nil
	case !utf8.Valid(data):
		return nil, false
	}
	return string(data), true
}
