package faasmcp

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// walk walks through a type and makes the schema of its JSON: of the JSON that encoding/json
// writes if writing is set, otherwise of the JSON that it reads. The two may differ.
//
// It is used instead of jsonschema.ForType, which looks at the kinds of types and not at their
// methods. For example, uuid.UUID is an array and writes itself as text: by ForType's schema no
// answer that contains one would be valid.
type walk struct {
	writing bool
	above   map[reflect.Type]bool // the named types that the walk is inside of
}

// described is the schema of a type, and the edit that a value needs before encoding/json reads
// it.
type described struct {
	schema *jsonschema.Schema
	edit   *edit // nil if a value needs none
}

var (
	bytesType  = reflect.TypeFor[[]byte]()      //nolint:gochecknoglobals // never written; Go has no constants of this type
	numberType = reflect.TypeFor[json.Number]() //nolint:gochecknoglobals // see bytesType

	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()           //nolint:gochecknoglobals // see bytesType
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()         //nolint:gochecknoglobals // see bytesType
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()   //nolint:gochecknoglobals // see bytesType
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]() //nolint:gochecknoglobals // see bytesType
)

// known has the types of the standard library with methods for JSON that always write the same
// type of JSON.
var known = map[reflect.Type]string{ //nolint:gochecknoglobals // never written
	reflect.TypeFor[time.Time]():  "string",
	reflect.TypeFor[slog.Level](): "string",
	reflect.TypeFor[big.Int]():    "integer",
}

// anything returns the schema that allows any JSON. It has a description because an empty
// schema is written as true, which some clients reject for a property.
func anything() *jsonschema.Schema { return &jsonschema.Schema{Description: "any JSON"} }

// of describes t. addressable says whether encoding/json gets an addressable value. It calls a
// method with a pointer receiver only then. For example, a value in a map is not addressable.
func (w *walk) of(t reflect.Type, addressable bool) (described, error) {
	if t.Kind() == reflect.Pointer {
		d, err := w.of(t.Elem(), true)
		orNull(d.schema)
		return d, err
	}
	if t.Name() != "" {
		if w.above[t] {
			return described{}, fmt.Errorf("%v is recursive", t)
		}
		w.above[t] = true
		defer delete(w.above, t)
	}
	switch w.methodOf(t, addressable) {
	case byJSON:
		return w.custom(t), nil
	case byText:
		return described{schema: &jsonschema.Schema{Type: "string"}}, nil
	case byKind:
	}
	return w.plain(t, addressable)
}

// orNull changes a schema so that it also allows null. A schema without a type allows null
// already.
func orNull(s *jsonschema.Schema) {
	switch {
	case s == nil:
	case s.Type != "":
		s.Types, s.Type = []string{"null", s.Type}, ""
	case s.Types != nil && !slices.Contains(s.Types, "null"):
		s.Types = append([]string{"null"}, s.Types...)
	}
}

// method says how a type is written to or read from JSON.
type method uint8

const (
	byKind method = iota // by the rules for its kind
	byJSON               // by MarshalJSON or UnmarshalJSON
	byText               // by MarshalText or UnmarshalText
)

// methodOf returns the method by which encoding/json writes or reads a value of the type. It
// checks them in the order of encoding/json.
func (w *walk) methodOf(t reflect.Type, addressable bool) method {
	p := reflect.PointerTo(t)
	switch {
	case w.writing && (t.Implements(jsonMarshaler) || addressable && p.Implements(jsonMarshaler)):
		return byJSON
	case w.writing && (t.Implements(textMarshaler) || addressable && p.Implements(textMarshaler)):
		return byText
	case w.writing, t.Name() == "": // the decoder ignores methods of unnamed types
		return byKind
	case p.Implements(jsonUnmarshaler):
		return byJSON
	case p.Implements(textUnmarshaler):
		return byText
	}
	return byKind
}

// custom describes a type with a method for JSON. Such a method may write or read any JSON. But
// a struct often has UnmarshalJSON only to fill in defaults, and reads the JSON of its fields.
// Then the schema has the fields, which helps an agent more than "any JSON".
func (w *walk) custom(t reflect.Type) described {
	if name := known[t]; name != "" {
		d := described{schema: &jsonschema.Schema{Type: name}}
		if name == "integer" {
			d.edit = &edit{integer: true}
		}
		return d
	}
	if !w.writing && t.Kind() == reflect.Struct {
		if d, err := w.plain(t, true); err == nil && readsFields(t, d.schema) {
			return d
		}
	}
	return described{schema: anything()}
}

// readsFields reports whether UnmarshalJSON of a type reads the JSON of its fields. It tests
// this: the zero value must be written in that form, and a sample must be read without an
// error. The methods are foreign code; if one panics, readsFields returns false.
func readsFields(t reflect.Type, s *jsonschema.Schema) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	resolved, err := s.CloneSchemas().Resolve(nil)
	if err != nil {
		return false
	}
	zero, err := zeroOf(t)
	if err != nil || validate(resolved, zero) != nil {
		return false
	}
	data, err := json.Marshal(sample(s))
	return err == nil && json.Unmarshal(data, reflect.New(t).Interface()) == nil
}

// sample returns the smallest value that fits a schema made by walk.
func sample(s *jsonschema.Schema) any {
	switch s.Type {
	case "object":
		o := map[string]any{}
		for _, name := range s.Required {
			o[name] = sample(s.Properties[name])
		}
		return o
	case "array":
		a := []any{}
		for s.MinItems != nil && len(a) < *s.MinItems {
			a = append(a, sample(s.Items))
		}
		return a
	}
	return map[string]any{"string": "", "integer": 0, "number": 0, "boolean": false}[s.Type]
}

// plain describes a type by its kind and ignores its methods.
func (w *walk) plain(t reflect.Type, addressable bool) (described, error) {
	switch k := t.Kind(); {
	case t == numberType && w.writing:
		return ofType("number"), nil
	case t == numberType:
		return described{schema: &jsonschema.Schema{Types: []string{"number", "string"}}}, nil
	case k == reflect.Bool:
		return ofType("boolean"), nil
	case k == reflect.String:
		return ofType("string"), nil
	case k == reflect.Float32 || k == reflect.Float64:
		return ofType("number"), nil
	case k >= reflect.Int && k <= reflect.Uintptr:
		return integer(k), nil
	case k == reflect.Interface:
		return described{schema: anything()}, nil
	}
	return w.composite(t, addressable)
}

// composite describes a type that contains other types.
func (w *walk) composite(t reflect.Type, addressable bool) (described, error) {
	switch t.Kind() {
	case reflect.Map:
		return w.mapping(t)
	case reflect.Slice, reflect.Array:
		return w.list(t, addressable)
	case reflect.Struct:
		return w.object(t, addressable)
	default:
		return described{}, fmt.Errorf("%v has no JSON", t)
	}
}

// ofType describes a type by the name of a JSON type and nothing more.
func ofType(name string) described { return described{schema: &jsonschema.Schema{Type: name}} }

// integer describes a kind of integer with its bounds. Kinds of 64 bits have no bounds other
// than 0, because the bounds of JSON Schema are float64, which would round them.
func integer(k reflect.Kind) described {
	bounds := map[reflect.Kind][2]float64{
		reflect.Int8: {math.MinInt8, math.MaxInt8}, reflect.Int16: {math.MinInt16, math.MaxInt16}, reflect.Int32: {math.MinInt32, math.MaxInt32},
		reflect.Uint8: {0, math.MaxUint8}, reflect.Uint16: {0, math.MaxUint16}, reflect.Uint32: {0, math.MaxUint32},
	}
	s := &jsonschema.Schema{Type: "integer"}
	if b, ok := bounds[k]; ok {
		s.Minimum, s.Maximum = &b[0], &b[1]
	} else if k >= reflect.Uint {
		s.Minimum = new(float64)
	}
	return described{s, &edit{integer: true}}
}

// mapping describes a map. encoding/json accepts keys that are strings, integers, or have
// methods for text. A nil map is null.
func (w *walk) mapping(t reflect.Type) (described, error) {
	asText := t.Key().Implements(textMarshaler)
	if !w.writing {
		asText = reflect.PointerTo(t.Key()).Implements(textUnmarshaler)
	}
	if k := t.Key().Kind(); !asText && k != reflect.String && (k < reflect.Int || k > reflect.Uintptr) {
		return described{}, fmt.Errorf("%v has no JSON: its keys are not text", t)
	}
	d, err := w.of(t.Elem(), !w.writing)
	return described{
		&jsonschema.Schema{Types: []string{"null", "object"}, AdditionalProperties: d.schema},
		(&edit{rest: d.edit}).orNil(),
	}, err
}

// list describes a slice or an array. A slice of bytes is a base64 string, unless its elements
// have methods. A nil slice is null.
func (w *walk) list(t reflect.Type, addressable bool) (described, error) {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && w.methodOf(t.Elem(), true) == byKind {
		return described{schema: &jsonschema.Schema{Types: []string{"null", "string"}, ContentEncoding: "base64"}}, nil
	}
	d, err := w.of(t.Elem(), addressable || t.Kind() == reflect.Slice)
	s := &jsonschema.Schema{Type: "array", Items: d.schema}
	if t.Kind() == reflect.Array {
		n := t.Len()
		s.MinItems, s.MaxItems = &n, &n
	} else {
		orNull(s)
	}
	return described{s, (&edit{items: d.edit}).orNil()}, err
}

// object describes a struct. For reading, it leaves out the fields that no decoder can set. The
// properties are in the order of the fields.
func (w *walk) object(t reflect.Type, addressable bool) (described, error) {
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}}
	e := &edit{fields: map[string]*edit{}}
	for _, f := range fieldsOf(t) {
		if !w.writing && !f.settable {
			continue
		}
		d, err := w.field(f, addressable)
		if err != nil {
			return described{}, fmt.Errorf("%s: %w", f.name, err)
		}
		addProperty(s, f, d.schema)
		if d.edit != nil {
			e.fields[f.name] = d.edit
		}
	}
	return described{s, e.orNil()}, nil
}

func addProperty(s *jsonschema.Schema, f field, property *jsonschema.Schema) {
	if s.Properties == nil {
		s.Properties = map[string]*jsonschema.Schema{}
	}
	s.Properties[f.name] = property
	s.PropertyOrder = append(s.PropertyOrder, f.name)
	if !f.optional {
		s.Required = append(s.Required, f.name)
	}
}

// field describes one field of a struct, with its tags. The element of a pointer is
// addressable.
func (w *walk) field(f field, addressable bool) (d described, err error) {
	d, err = w.of(f.typ, addressable || f.behindPointer)
	if err != nil {
		return d, err
	}
	if base := follow(f.typ); f.quoted && w.methodOf(base, true) == byKind {
		d = w.quoted(base, f.typ != base)
	}
	if f.tag == nil {
		return d, nil
	}
	if *f.tag == "" || beginsWithWord.MatchString(*f.tag) {
		return d, errors.New(`a jsonschema tag is a description, which is not empty and does not begin with "WORD="`)
	}
	d.schema.Description = *f.tag
	return d, nil
}

// beginsWithWord matches the tags that github.com/google/jsonschema-go reserves for later use.
var beginsWithWord = regexp.MustCompile("^[^ \t\n]*=")

// quoted describes a field with the option ",string": a number, a boolean or a text that is
// written inside of a JSON string. Agents send it with and without the quotes, and both are
// accepted. null says whether the field is a pointer.
func (w *walk) quoted(base reflect.Type, null bool) described {
	s, e := &jsonschema.Schema{Type: "string"}, &edit{twice: true}
	if base.Kind() != reflect.String || base == numberType {
		e = &edit{quoted: true, integer: base.Kind() != reflect.Bool && base.Kind() < reflect.Float32}
		if !w.writing {
			s.Type, s.Types = "", []string{"string", scalar(base)}
		}
	}
	if null {
		orNull(s)
	}
	return described{s, e}
}

// scalar returns the JSON type of a kind to which the option ",string" applies.
func scalar(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "boolean"
	case k >= reflect.Int && k <= reflect.Uintptr:
		return "integer"
	}
	return "number"
}
