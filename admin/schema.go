package admin

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// Schema is a JSON Schema, of draft 2020-12.
type Schema map[string]any

// schemas makes schemas of Go types, as encoding/json encodes them.
type schemas struct {
	prefix string         // of references to defs
	defs   map[string]any // of named structs, by name
	types  map[string]reflect.Type
}

func newSchemas(prefix string) *schemas {
	return &schemas{prefix: prefix, defs: map[string]any{}, types: map[string]reflect.Type{}}
}

// schemaOfInput is the schema of a function's input, as far as its Go type tells: a codec of
// another kind, or a type that encodes itself, may take something else. It is nil for bytes.
func schemaOfInput(t reflect.Type) Schema {
	if t == nil || t == reflect.TypeFor[[]byte]() {
		return nil
	}
	s := newSchemas("#/$defs/")
	root := s.of(t)
	if len(s.defs) > 0 {
		root["$defs"] = s.defs
	}
	return root
}

// of is the schema of a type.
func (s *schemas) of(t reflect.Type) Schema {
	if own := known(t); own != nil {
		return own
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		return s.ofStruct(t)
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Slice, reflect.Array:
		return Schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.String:
		return Schema{"type": "string"}
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return Schema{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Schema{"type": "integer"}
	case reflect.Interface, reflect.Invalid, reflect.Complex64, reflect.Complex128, reflect.Chan, reflect.Func, reflect.UnsafePointer:
	}
	return Schema{} // anything
}

// known are the types whose JSON is not that of their kind.
func known(t reflect.Type) Schema {
	switch t {
	case reflect.TypeFor[Count]():
		return exactInteger(Schema{"type": "integer", "minimum": 0, "maximum": int64(exact)}, "^[0-9]+$")
	case reflect.TypeFor[Int]():
		return exactInteger(Schema{"type": "integer", "minimum": int64(-exact), "maximum": int64(exact)}, "^-?[0-9]+$")
	case reflect.TypeFor[time.Time]():
		return Schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[Schema]():
		return Schema{}
	case reflect.TypeFor[[]byte]():
		return Schema{"type": "string", "contentEncoding": "base64"}
	}
	return encodesItself(t)
}

// encodesItself is the schema of a type with a method that encodes it; nil: it has none.
func encodesItself(t reflect.Type) Schema {
	pointer := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Interface:
		return nil
	case pointer.Implements(reflect.TypeFor[json.Marshaler]()), pointer.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return Schema{}
	case pointer.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return Schema{"type": "string"}
	}
	return nil
}

// exactInteger is a number, or a string of digits where a number would be rounded.
func exactInteger(number Schema, digits string) Schema {
	return Schema{"oneOf": []any{number, Schema{"type": "string", "pattern": digits}}}
}

// ofStruct refers to the struct's definition, which it makes when it comes first. A struct
// without a name, and one with the name of another type, stands where it is.
func (s *schemas) ofStruct(t reflect.Type) Schema {
	name := t.Name()
	if strings.ContainsAny(name, "[/") { // an instance of a generic type
		name = ""
	}
	if was, taken := s.types[name]; name == "" || taken && was != t {
		return s.object(t)
	}
	if _, made := s.types[name]; !made {
		s.types[name] = t // first: the type may contain itself
		s.defs[name] = s.object(t)
	}
	return Schema{"$ref": s.prefix + name}
}

func (s *schemas) object(t reflect.Type) Schema {
	properties, required := map[string]any{}, []string{}
	s.fields(t, properties, &required)
	out := Schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// fields adds the fields of a struct, with those of structs that are embedded in it.
func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			if inner := f.Type; inner.Kind() == reflect.Struct && known(inner) == nil {
				s.fields(inner, properties, required)
				continue
			}
		}
		if !f.IsExported() || name == "-" && options == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		field := s.of(f.Type)
		if strings.Contains(options, "string") {
			field = Schema{"type": "string"}
		}
		optional := strings.Contains(options, "omit")
		if f.Type.Kind() == reflect.Pointer && !optional {
			field = Schema{"anyOf": []any{field, Schema{"type": "null"}}}
		}
		if !optional {
			*required = append(*required, name)
		}
		properties[name] = field
	}
}
