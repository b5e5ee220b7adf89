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

// schemas makes JSON Schemas of Go types, as encoding/json encodes them.
type schemas struct {
	prefix string         // of references to defs
	defs   map[string]any // the schemas of named structs, by name
	types  map[string]reflect.Type
}

func newSchemas(prefix string) *schemas {
	return &schemas{prefix: prefix, defs: map[string]any{}, types: map[string]reflect.Type{}}
}

// schemaOfInput returns the schema of a function's input, derived from its Go type. The real
// input may differ if the function has another codec, or if a type encodes itself. It is nil
// for bytes.
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

// of returns the schema of a type.
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
	return Schema{} // any JSON
}

// known returns the schema of a type whose JSON is not that of its kind, or nil.
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

// encodesItself returns the schema of a type that has a method to encode itself, or nil.
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

// exactInteger returns the schema of an integer, or of a string of digits in place of an
// integer that might be rounded.
func exactInteger(number Schema, digits string) Schema {
	return Schema{"oneOf": []any{number, Schema{"type": "string", "pattern": digits}}}
}

// ofStruct returns a reference to the definition of a struct, and makes the definition at its
// first use. If the struct has no name, or another type has the same name, its schema is
// inlined.
func (s *schemas) ofStruct(t reflect.Type) Schema {
	name := t.Name()
	if strings.ContainsAny(name, "[/") { // an instance of a generic type
		name = ""
	}
	if was, taken := s.types[name]; name == "" || taken && was != t {
		return s.object(t)
	}
	if _, made := s.types[name]; !made {
		s.types[name] = t // before object, since the type may contain itself
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

// fields adds the fields of a struct, and those of structs that it embeds.
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
