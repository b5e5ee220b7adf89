package plainjson

import (
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encoder appends the JSON of v to b, or returns nil if encoding/json has to encode the value.
type encoder func(b []byte, v reflect.Value) []byte

// encoderOf returns the encoder of a type, or nil if the type is not plain. outer has the types
// that contain this one; see decoderOf.
func encoderOf(t reflect.Type, outer []reflect.Type) encoder {
	if encodesItself(t) || encodesItself(reflect.PointerTo(t)) || t == reflect.TypeFor[json.Number]() || slices.Contains(outer, t) {
		return nil
	}
	outer = append(slices.Clip(outer), t)
	switch t.Kind() {
	case reflect.Bool:
		return func(b []byte, v reflect.Value) []byte { return strconv.AppendBool(b, v.Bool()) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(b []byte, v reflect.Value) []byte { return strconv.AppendInt(b, v.Int(), 10) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(b []byte, v reflect.Value) []byte { return strconv.AppendUint(b, v.Uint(), 10) }
	case reflect.Float32, reflect.Float64:
		return appendFloat
	case reflect.String:
		return func(b []byte, v reflect.Value) []byte { return appendString(b, v.String()) }
	case reflect.Pointer:
		return encoderOfPointer(t, outer)
	case reflect.Slice:
		return encoderOfSlice(t, outer)
	case reflect.Map:
		return encoderOfMap(t, outer)
	case reflect.Struct:
		return encoderOfStruct(t, outer)
	default:
		return nil
	}
}

// encodesItself reports whether encoding/json encodes a type by a method of the type.
func encodesItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// appendFloat leaves numbers with an exponent, and those that JSON does not have, to encoding/json.
func appendFloat(b []byte, v reflect.Value) []byte {
	f := v.Float()
	// The smallest and the largest number without an exponent are 1e-6 and 1e21, rounded to the
	// type. The numbers that rounding could add or take away are left out.
	if abs := math.Abs(f); f != 0 && !(abs > 1.001e-6 && abs < 0.999e21) {
		return nil
	}
	return strconv.AppendFloat(b, f, 'f', -1, v.Type().Bits())
}

// appendString escapes what JSON requires, and U+2028 and U+2029, as encoding/json does if
// it does not escape for HTML. Bytes that are not UTF-8 are replaced.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if !isVerbatim(s) {
		return append(appendEscaped(b, s), '"')
	}
	return append(append(b, s...), '"')
}

// isVerbatim reports whether a string is ASCII, and has nothing to escape.
func isVerbatim(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendEscaped(b []byte, s string) []byte {
	begin := 0 // of what is not yet appended
	for i, r := range s {
		size := utf8.RuneLen(r)
		switch r {
		case '"', '\\', '\u2028', '\u2029':
		case utf8.RuneError:
			if _, size = utf8.DecodeRuneInString(s[i:]); size > 1 { // the character itself, and not a byte that is no UTF-8
				continue
			}
		default:
			if r >= ' ' {
				continue
			}
		}
		b = appendEscape(append(b, s[begin:i]...), r)
		begin = i + size
	}
	return append(b, s[begin:]...)
}

func appendEscape(b []byte, r rune) []byte {
	if i := strings.IndexRune("\"\\\b\f\n\r\t", r); i >= 0 {
		return append(b, '\\', `"\bfnrt`[i])
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&0xf], digits[r>>8&0xf], digits[r>>4&0xf], digits[r&0xf])
}

func encoderOfPointer(t reflect.Type, outer []reflect.Type) encoder {
	encode := encoderOf(t.Elem(), outer)
	if encode == nil {
		return nil
	}
	return func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, "null"...)
		}
		return encode(b, v.Elem())
	}
}

// encoderOfSlice returns the encoder of a slice. Bytes are not plain, since their JSON is base64.
func encoderOfSlice(t reflect.Type, outer []reflect.Type) encoder {
	encode := encoderOf(t.Elem(), outer)
	if encode == nil || t.Elem().Kind() == reflect.Uint8 {
		return nil
	}
	return func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, "null"...)
		}
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b = encode(b, v.Index(i)); b == nil {
				return nil
			}
		}
		return append(b, ']')
	}
}

// encoderOfMap returns the encoder of a map. Only maps with keys of a string kind are plain.
func encoderOfMap(t reflect.Type, outer []reflect.Type) encoder {
	encode := encoderOf(t.Elem(), outer)
	if encode == nil || t.Key().Kind() != reflect.String || encoderOf(t.Key(), outer) == nil {
		return nil
	}
	return func(b []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(b, "null"...)
		}
		b = append(b, '{')
		for i, e := range sorted(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, e.key), ':')
			if b = encode(b, e.value); b == nil {
				return nil
			}
		}
		return append(b, '}')
	}
}

// entry is a key of a map, and its value.
type entry struct {
	key   string
	value reflect.Value
}

// sorted returns the entries of a map in the order of their keys.
func sorted(m reflect.Value) []entry {
	entries := make([]entry, 0, m.Len())
	for it := m.MapRange(); it.Next(); {
		entries = append(entries, entry{it.Key().String(), it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries
}

func encoderOfStruct(t reflect.Type, outer []reflect.Type) encoder {
	fields, plain := fieldsOf(t)
	if !plain {
		return nil
	}
	encoders, keys := make([]encoder, len(fields)), make([]string, len(fields))
	for i, f := range fields {
		keys[i] = `"` + f.name + `":`
		if encoders[i] = encoderOf(f.kind, outer); encoders[i] == nil {
			return nil
		}
	}
	return func(b []byte, v reflect.Value) []byte {
		next := byte('{')
		for i := range fields {
			value := v.Field(fields[i].index)
			if fields[i].omitEmpty && isEmpty(value) {
				continue
			}
			b = append(append(b, next), keys[i]...)
			if b = encoders[i](b, value); b == nil {
				return nil
			}
			next = ','
		}
		if next == '{' {
			b = append(b, next)
		}
		return append(b, '}')
	}
}

// isEmpty reports whether the option omitempty omits a value.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}
