package plainjson

import (
	"reflect"
	"slices"
	"strings"
)

// namedField is a field of a struct that JSON has.
type namedField struct {
	name      string // in JSON
	index     int
	kind      reflect.Type
	omitEmpty bool
}

// fieldsOf returns the fields of a struct that JSON has. plain is false if the struct has an
// embedded field, two fields of one name, or a field whose option or name has rules of its own.
func fieldsOf(t reflect.Type) (fields []namedField, plain bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if !f.IsExported() && !f.Anonymous || tag == "-" {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		isTwice := slices.ContainsFunc(fields, func(other namedField) bool { return other.name == name })
		if f.Anonymous || isTwice || !isSimple(name) || option != "" && option != "omitempty" {
			return nil, false
		}
		fields = append(fields, namedField{name: name, index: i, kind: f.Type, omitEmpty: option != ""})
	}
	return fields, true
}

// isSimple reports whether a name is ASCII, is written without escapes, and may be in a tag.
func isSimple(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.$") == ""
}
