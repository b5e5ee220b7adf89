package faasmcp

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is a field of a struct as it is in JSON.
type field struct {
	name          string
	typ           reflect.Type
	tag           *string // the tag "jsonschema"; nil: none
	optional      bool
	quoted        bool // it has the option ",string"
	behindPointer bool // it belongs to a struct that is embedded as a pointer
	settable      bool // a decoder reaches it; not behind an unexported pointer that is nil

	depth  int  // how many structs it is embedded in, for fieldsOf
	tagged bool // its name is from a tag
}

// follow returns what an unnamed pointer type points to, and other types as they
// are.
func follow(t reflect.Type) reflect.Type {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// fieldsOf returns the fields of a struct as encoding/json has them, in order. Of
// several fields of one name, the one that is embedded least deeply counts. Among
// those of one depth, the one that a tag names counts. If two are left, neither
// counts.
func fieldsOf(t reflect.Type) []field {
	var all []field
	collect(t, field{settable: true}, map[reflect.Type]bool{t: true}, func(f field) { all = append(all, f) })
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool {
		rivals := 0
		for _, g := range all {
			if g.name == f.name && g.rank(f) <= 0 {
				rivals++ // f itself is one
			}
		}
		return rivals > 1
	})
}

// rank is negative if f counts and g does not, where both have the same name; 0
// means that neither counts.
func (f field) rank(g field) int {
	switch c := cmp.Compare(f.depth, g.depth); {
	case c != 0 || f.tagged == g.tagged:
		return c
	case f.tagged:
		return -1
	}
	return 1
}

// collect calls add for each field of t, and for those of the structs that t
// embeds. outer says how t itself is embedded. above has the structs that the walk
// is inside of: one that embeds itself adds its fields once.
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

// embedded says how the struct of sf is embedded, in a struct that is embedded as
// outer says.
func embedded(sf reflect.StructField, outer field) field {
	pointer := follow(sf.Type) != sf.Type
	return field{
		optional: outer.optional || pointer, behindPointer: outer.behindPointer || pointer,
		settable: outer.settable && (sf.IsExported() || !pointer), depth: outer.depth + 1,
	}
}

// newField describes a field of a struct that is embedded as outer says.
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

// isName reports whether encoding/json takes s for a name in a tag.
func isName(s string) bool {
	other := func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	return s != "" && !strings.ContainsFunc(s, other)
}

// isScalar reports whether the option ",string" has an effect on a kind.
func isScalar(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64
}
