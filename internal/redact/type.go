package redact

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// Hides tells whether a value of type t may hold, at any depth, one that hides itself by
// encoding as [Text], as access.Secret does. It looks at the types of fields, elements and
// keys, and asks the zero value of each that encodes itself, on the calling goroutine. What
// an interface holds is not known from its type.
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

// hidesItself encodes the zero value of t, if t encodes itself. Its method is foreign code:
// a panic is a no.
func hidesItself(t reflect.Type) (yes bool) {
	asJSON, asText := reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()
	pointer := reflect.PointerTo(t) // which has the methods of both
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
