package plainjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// decoder decodes the next value of a document into v, which can be set and is zero. It returns
// false if encoding/json has to decode the document. Then v may have any value.
type decoder func(s *scanner, v reflect.Value) bool

// decoderOf returns the decoder of a type, or nil if the type is not plain. outer has the types
// that contain this one. A type that contains itself, such as a list, is not plain: so the
// decoders call each other only as deep as types are nested.
func decoderOf(t reflect.Type, outer []reflect.Type) decoder {
	if decodesItself(t) || decodesItself(reflect.PointerTo(t)) || t == reflect.TypeFor[json.Number]() || slices.Contains(outer, t) {
		return nil
	}
	outer = append(slices.Clip(outer), t)
	switch t.Kind() {
	case reflect.Bool:
		return decodeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return decodeInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return decodeUint
	case reflect.Float32, reflect.Float64:
		return decodeFloat
	case reflect.String:
		return decodeString
	case reflect.Pointer:
		return decoderOfPointer(t, outer)
	case reflect.Slice:
		return decoderOfSlice(t, outer)
	case reflect.Map:
		return decoderOfMap(t, outer)
	case reflect.Struct:
		return decoderOfStruct(t, outer)
	default:
		return nil
	}
}

// decodesItself reports whether encoding/json decodes a type by a method of the type.
func decodesItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func decoderOfPointer(t reflect.Type, outer []reflect.Type) decoder {
	decode := decoderOf(t.Elem(), outer)
	if decode == nil {
		return nil
	}
	return func(s *scanner, v reflect.Value) bool {
		if s.takeNull() {
			return true
		}
		v.Set(reflect.New(v.Type().Elem()))
		return decode(s, v.Elem())
	}
}

// firstElements is the room of a slice for its first element. A larger element gets room for
// itself only.
const firstElements, largeElement = 4, 64

// decoderOfSlice returns the decoder of a slice. Bytes are not plain, since their JSON is base64.
func decoderOfSlice(t reflect.Type, outer []reflect.Type) decoder {
	decode := decoderOf(t.Elem(), outer)
	if decode == nil || t.Elem().Kind() == reflect.Uint8 {
		return nil
	}
	first := firstElements
	if t.Elem().Size() > largeElement {
		first = 1
	}
	return func(s *scanner, v reflect.Value) bool {
		if s.takeNull() {
			return true
		}
		more, ok := s.open('[', ']')
		if ok && !more {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := 0; ok && more; i++ {
			if i == v.Cap() {
				v.Grow(max(first, i))
			}
			v.SetLen(i + 1)
			if !decode(s, v.Index(i)) {
				return false
			}
			more, ok = s.more(']')
		}
		return ok
	}
}

// decoderOfMap returns the decoder of a map. Only maps with keys of a string kind are plain.
func decoderOfMap(t reflect.Type, outer []reflect.Type) decoder {
	decode := decoderOf(t.Elem(), outer)
	if decode == nil || t.Key().Kind() != reflect.String || decoderOf(t.Key(), outer) == nil {
		return nil
	}
	return func(s *scanner, v reflect.Value) bool {
		if s.takeNull() {
			return true
		}
		more, ok := s.open('{', '}')
		m, key, value := reflect.MakeMap(t), reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		for ok && more {
			value.SetZero()
			if s.peek() != '"' || !decodeString(s, key) || !s.take(':') || !decode(s, value) {
				return false
			}
			m.SetMapIndex(key, value)
			more, ok = s.more('}')
		}
		v.Set(m)
		return ok
	}
}

// field is a field of a struct, and its decoder.
type field struct {
	name   string
	index  int
	decode decoder
}

// structure decodes a struct. It has at most 64 fields, see its decode.
type structure []field

func decoderOfStruct(t reflect.Type, outer []reflect.Type) decoder {
	named, plain := fieldsOf(t)
	if !plain || len(named) > 64 {
		return nil
	}
	fields := make(structure, len(named))
	for i, f := range named {
		fields[i] = field{name: f.name, index: f.index, decode: decoderOf(f.kind, outer)}
		if fields[i].decode == nil {
			return nil
		}
	}
	return fields.decode
}

// decode decodes an object. A key that occurs twice is left to encoding/json, because the second
// value is decoded over the first.
func (fields structure) decode(s *scanner, v reflect.Value) bool {
	if s.takeNull() {
		return true
	}
	seen, next := uint64(0), 0 // seen has a bit for each field; next is the field that is likely to come
	more, ok := s.open('{', '}')
	for ok && more {
		key, simple := s.key()
		if !simple || !s.take(':') {
			return false
		}
		switch i := fields.find(key, next); {
		case i < 0 && fields.resembles(key), i < 0 && !s.skip(0):
			return false
		case i >= 0:
			if seen&(1<<i) != 0 || !fields[i].decode(s, v.Field(fields[i].index)) {
				return false
			}
			seen |= 1 << i
			next = i + 1
		}
		more, ok = s.more('}')
	}
	return ok
}

// find returns the index of the field with that name, or -1.
func (fields structure) find(name []byte, next int) int {
	if next < len(fields) && fields[next].name == string(name) {
		return next
	}
	return slices.IndexFunc(fields, func(f field) bool { return f.name == string(name) })
}

// resembles reports whether a field has that name if the case is ignored. encoding/json decodes
// such a key into the field. Both the key and the names of the fields are ASCII.
func (fields structure) resembles(key []byte) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return strings.EqualFold(f.name, string(key)) })
}
