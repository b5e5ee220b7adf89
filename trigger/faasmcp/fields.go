package faasmcp

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is a struct's field in JSON.
type field struct {
	name          string
	typ           reflect.Type
	tag           *string // jsonschema; nil: none
	optional      bool
	quoted        bool // it has the option ",string"
	behindPointer bool // of a struct that is embedded as a pointer
	settable      bool // by a decoder, which can't make what an unexported pointer points to

	depth  int  // how many structs it is embedded in
	tagged bool // its name is from a tag
}

// fieldsOf returns the fields of a struct as encoding/json has them, in order: of
// several of one name the one that is embedded least deeply counts, among those the
// one that was named by a tag, and if there are still two of them, none.
func fieldsOf(t reflect.Type) []field {
	var all []field
	collect(t, field{settable: true}, map[reflect.Type]bool{t: true}, func(f field) { all = append(all, f) })
	rank := func(f, g field) int {
		if c := cmp.Compare(f.depth, g.depth); c != 0 || f.tagged == g.tagged {
			return c
		} else if f.tagged {
			return -1
		}
		return 1
	}
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool {
		rivals := 0
		for _, g := range all {
			if g.name == f.name && rank(g, f) <= 0 {
				rivals++ // f itself is one
			}
		}
		return rivals > 1
	})
}

// collect adds the fields of t, which is embedded as outer says.
func collect(t reflect.Type, outer field, above map[reflect.Type]bool, add func(field)) {
	for sf := range t.Fields() {
		base := follow(sf.Type)
		if !sf.IsExported() && (!sf.Anonymous || base.Kind() != reflect.Struct) || sf.Tag.Get("json") == "-" {
			continue
		}
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !isName(name) {
			name = ""
		}
		pointer := base != sf.Type
		if name != "" || !sf.Anonymous || base.Kind() != reflect.Struct {
			add(newField(sf, outer, name, strings.Split(options, ",")))
			continue
		}
		if above[base] {
			continue
		}
		above[base] = true
		collect(base, field{
			optional: outer.optional || pointer, behindPointer: outer.behindPointer || pointer,
			settable: outer.settable && (sf.IsExported() || !pointer), depth: outer.depth + 1,
		}, above, add)
		delete(above, base)
	}
}

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

// isName tells whether encoding/json takes a name from a tag.
func isName(s string) bool {
	strange := func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	return s != "" && !strings.ContainsFunc(s, strange)
}

// isScalar tells whether the option ",string" says anything about a kind.
func isScalar(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64
}
