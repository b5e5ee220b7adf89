package faasmcp

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is a field of a struct as encoding/json sees it.
type field struct {
	name          string
	typ           reflect.Type
	tag           *string // the tag "jsonschema", or nil
	optional      bool
	quoted        bool // the tag has the option ",string"
	behindPointer bool // the field belongs to a struct that is embedded as a pointer
	settable      bool // a decoder can set the field: no embedded pointer to an unexported struct is above it

	depth  int  // how many embedded structs are above the field
	tagged bool // the name is from a tag
}

// follow returns the element of an unnamed pointer type, and any other type unchanged.
func follow(t reflect.Type) reflect.Type {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// fieldsOf returns the fields of a struct that encoding/json uses, in order. If several fields
// have the same name, the one that is embedded least deeply is used; at the same depth, the one
// whose name comes from a tag. If that leaves two, none is used.
func fieldsOf(t reflect.Type) []field {
	var all []field
	collect(t, field{settable: true}, map[reflect.Type]bool{t: true}, func(f field) { all = append(all, f) })
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool {
		rivals := 0
		for _, g := range all {
			if g.name == f.name && g.rank(f) <= 0 {
				rivals++ // f is always one of them
			}
		}
		return rivals > 1
	})
}

// rank compares two fields of the same name. It is negative if f is used and g is not, and 0 if
// neither is used.
func (f field) rank(g field) int {
	switch c := cmp.Compare(f.depth, g.depth); {
	case c != 0 || f.tagged == g.tagged:
		return c
	case f.tagged:
		return -1
	}
	return 1
}

// collect calls add for each field of t, and for each field of the structs that t embeds. outer
// describes how t itself is embedded. above has the structs that the walk is inside of, so that
// a struct that embeds itself adds its fields once.
func collect(t reflect.Type, outer field, above map[reflect.Type]bool, add func(field)) {
	for sf := range t.Fields() {
		base := follow(sf.Type)
		isStruct := base.Kind() == reflect.Struct
		if !sf.IsExported() && (!sf.Anonymous || !isStruct) || sf.Tag.Get("json") == "-" {
			continue
		}
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !isName(name) {
			name = ""
		}
		switch {
		case name != "" || !sf.Anonymous || !isStruct:
			add(newField(sf, outer, name, strings.Split(options, ",")))
		case !above[base]:
			above[base] = true
			collect(base, embedded(sf, outer), above, add)
			delete(above, base)
		}
	}
}

// embedded describes how the struct of sf is embedded. outer describes how the struct around sf
// is embedded.
func embedded(sf reflect.StructField, outer field) field {
	pointer := follow(sf.Type) != sf.Type
	return field{
		optional: outer.optional || pointer, behindPointer: outer.behindPointer || pointer,
		settable: outer.settable && (sf.IsExported() || !pointer), depth: outer.depth + 1,
	}
}

// newField describes a field; outer describes how its struct is embedded.
func newField(sf reflect.StructField, outer field, name string, options []string) field {
	f := outer
	f.name, f.typ, f.tagged = cmp.Or(name, sf.Name), sf.Type, name != ""
	f.optional = f.optional || slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero")
	f.quoted = slices.Contains(options, "string") && isScalar(follow(sf.Type).Kind())
	if tag, ok := sf.Tag.Lookup("jsonschema"); ok {
		f.tag = &tag
	}
	return f
}

// isName reports whether encoding/json accepts s as a name in a tag.
func isName(s string) bool {
	other := func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	return s != "" && !strings.ContainsFunc(s, other)
}

// isScalar reports whether the option ",string" has an effect on fields of a kind.
func isScalar(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64
}
