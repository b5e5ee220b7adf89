package redact

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// Hides reports whether a value of type t may contain, at any depth, a value that hides itself.
// Such a value encodes as [Text], for example an access.Secret. Hides looks at the types of
// fields, elements and keys. If a type has its own method to encode, Hides calls that method of
// the type's zero value, on the calling goroutine. Hides can't see into interfaces: a type does
// not show which values they hold.
func Hides(t reflect.Type) bool { return hides(t, map[reflect.Type]bool{}) }

func hides(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if hidesItself(t) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return hides(t.Elem(), seen)
	case reflect.Map:
		return hides(t.Key(), seen) || hides(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if hides(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// hidesItself reports whether t encodes itself, and its zero value encodes as [Text]. The method
// is foreign code: if it panics, the result is false.
func hidesItself(t reflect.Type) (yes bool) {
	asJSON, asText := reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()
	pointer := reflect.PointerTo(t) // *t has the methods of t and of *t
	if t.Kind() == reflect.Interface || !pointer.Implements(asJSON) && !pointer.Implements(asText) {
		return false
	}
	defer func() { _ = recover() }()
	var text []byte
	switch v := reflect.New(t).Interface().(type) {
	case json.Marshaler:
		text, _ = v.MarshalJSON()
	case encoding.TextMarshaler:
		text, _ = v.MarshalText()
	}
	return strings.Trim(string(text), `"`) == Text
}
