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

// walk makes a type's schema, of what encoding/json reads or of what it writes:
// the two differ. It is not jsonschema.ForType because that goes by the kinds of
// types, and by none of their methods: a type that writes itself as text (an
// identifier, an address) has the schema of the array or the struct that it is,
// and its answers fit nothing.
type walk struct {
	writing bool
	above   map[reflect.Type]bool // the named types that the walk is inside of
}

// described is a schema, and what has to be done to what fits it before
// encoding/json reads it; nil: nothing.
type described struct {
	schema *jsonschema.Schema
	edit   *edit
}

var (
	bytesType  = reflect.TypeFor[[]byte]()      //nolint:gochecknoglobals // a constant, but for the language
	numberType = reflect.TypeFor[json.Number]() //nolint:gochecknoglobals // likewise

	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()           //nolint:gochecknoglobals // likewise
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()         //nolint:gochecknoglobals // likewise
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()   //nolint:gochecknoglobals // likewise
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]() //nolint:gochecknoglobals // likewise
)

// known are the types of the standard library that have methods for JSON, and
// whose JSON is of one type.
var known = map[reflect.Type]string{ //nolint:gochecknoglobals // never written
	reflect.TypeFor[time.Time]():  "string",
	reflect.TypeFor[slog.Level](): "string",
	reflect.TypeFor[big.Int]():    "integer",
}

// anything is the schema of all JSON. It says so: an empty schema is written as
// true, which clients take for a mistake where it stands for a property.
func anything() *jsonschema.Schema { return &jsonschema.Schema{Description: "any JSON"} }

// of describes t. Where it writes, a method with a pointer receiver is called only
// if the value can be addressed, which one in a map can't.
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

// orNull lets a schema be met by null too.
func orNull(s *jsonschema.Schema) {
	switch {
	case s == nil:
	case s.Type != "":
		s.Types, s.Type = []string{"null", s.Type}, ""
	case s.Types != nil && !slices.Contains(s.Types, "null"):
		s.Types = append([]string{"null"}, s.Types...)
	}
}

type method uint8

const (
	byKind method = iota
	byJSON
	byText
)

// methodOf tells what encoding/json asks a value of the type for its JSON, or
// hands it to.
func (w *walk) methodOf(t reflect.Type, addressable bool) method {
	p := reflect.PointerTo(t)
	switch {
	case w.writing && (t.Implements(jsonMarshaler) || addressable && p.Implements(jsonMarshaler)):
		return byJSON
	case w.writing && (t.Implements(textMarshaler) || addressable && p.Implements(textMarshaler)):
		return byText
	case w.writing, t.Name() == "": // the decoder looks for methods of named types only
		return byKind
	case p.Implements(jsonUnmarshaler):
		return byJSON
	case p.Implements(textUnmarshaler):
		return byText
	}
	return byKind
}

// custom describes a type with a method for JSON, which may be any. One that reads
// a struct is often there for defaults, and takes the struct's fields all the same:
// then these are what an agent is told.
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

// readsFields tries whether a type takes the JSON of its fields, and has no other
// of its own.
func readsFields(t reflect.Type, s *jsonschema.Schema) (ok bool) {
	defer func() { ok = recover() == nil && ok }() // foreign code
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

// sample is a value that fits a schema made by walk, as empty as it may be.
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
	case "string":
		return ""
	case "integer", "number":
		return 0
	case "boolean":
		return false
	}
	return nil
}

// plain describes a type without methods, or as if it had none.
func (w *walk) plain(t reflect.Type, addressable bool) (described, error) {
	if t == numberType && w.writing {
		return ofType("number"), nil
	} else if t == numberType {
		return described{schema: &jsonschema.Schema{Types: []string{"number", "string"}}}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return ofType("boolean"), nil
	case reflect.String:
		return ofType("string"), nil
	case reflect.Float32, reflect.Float64:
		return ofType("number"), nil
	case reflect.Interface:
		return described{schema: anything()}, nil
	case reflect.Map:
		return w.mapping(t)
	case reflect.Slice, reflect.Array:
		return w.list(t, addressable)
	case reflect.Struct:
		return w.object(t, addressable)
	default:
		if k := t.Kind(); k >= reflect.Int && k <= reflect.Uintptr {
			return integer(k), nil
		}
		return described{}, fmt.Errorf("%v has no JSON", t)
	}
}

func ofType(name string) described { return described{schema: &jsonschema.Schema{Type: name}} }

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

func (w *walk) mapping(t reflect.Type) (described, error) {
	asText := t.Key().Implements(textMarshaler)
	if !w.writing {
		asText = reflect.PointerTo(t.Key()).Implements(textUnmarshaler)
	}
	if k := t.Key().Kind(); !asText && k != reflect.String && (k < reflect.Int || k > reflect.Uintptr) {
		return described{}, fmt.Errorf("%v has no JSON: its keys are no text", t)
	}
	d, err := w.of(t.Elem(), !w.writing)
	return described{
		&jsonschema.Schema{Types: []string{"null", "object"}, AdditionalProperties: d.schema},
		(&edit{rest: d.edit}).orNil(),
	}, err
}

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
		if s.Properties == nil {
			s.Properties = map[string]*jsonschema.Schema{}
		}
		s.Properties[f.name] = d.schema
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if !f.optional {
			s.Required = append(s.Required, f.name)
		}
		if d.edit != nil {
			e.fields[f.name] = d.edit
		}
	}
	return described{s, e.orNil()}, nil
}

func (w *walk) field(f field, addressable bool) (d described, err error) {
	// A pointer that is followed leads to what can be addressed.
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

// beginsWithWord is what github.com/google/jsonschema-go has reserved.
var beginsWithWord = regexp.MustCompile("^[^ \t\n]*=")

// quoted describes a field with the option ",string": a number, a boolean or a
// text of a type, as text. Agents send it with and without the quotes, so that both
// are taken.
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

// scalar is the JSON type of what the option ",string" quotes.
func scalar(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "boolean"
	case k >= reflect.Int && k <= reflect.Uintptr:
		return "integer"
	}
	return "number"
}

func follow(t reflect.Type) reflect.Type {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
