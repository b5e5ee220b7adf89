// Package plainjson decodes JSON into values of plain types. Its results are those of
// encoding/json, which takes about three times as long for a small document: encoding/json scans a
// document twice, and calls a func for each byte.
//
// The package decodes only what it can decode exactly as encoding/json does, and leaves all else
// to encoding/json. For example, it leaves types with an UnmarshalJSON method, keys that
// match a field only if the case is ignored, and every document with an error.
package plainjson

import (
	"reflect"
	"sync"
)

// Decoder decodes documents, and keeps what it has found out about each type. The zero value is
// ready to use. A Decoder must not be copied. Its methods may be called concurrently.
type Decoder struct {
	plans sync.Map // reflect.Type → decoder, which is nil for a type that is not plain; one entry for each type that Decode was called with
}

// Decode decodes data into *v, as json.Unmarshal(data, v) does. v is a pointer to a value of any
// type, and must not be nil. Decode does not keep data.
//
// If done is false, *v is as it was. The caller then calls json.Unmarshal, which decodes data or
// returns the error. done is always false if *v is not zero: json.Unmarshal keeps the parts of *v
// that data does not have, and Decode could not restore them.
func (d *Decoder) Decode(data []byte, v any) (done bool) {
	to := reflect.ValueOf(v).Elem()
	decode := d.planOf(to.Type())
	if decode == nil || !to.IsZero() {
		return false
	}
	s := scanner{data: data}
	if decode(&s, to) && s.isAtEnd() {
		return true
	}
	to.SetZero()
	return false
}

// planOf returns the decoder of a type, or nil if the type is not plain.
func (d *Decoder) planOf(t reflect.Type) decoder {
	if known, ok := d.plans.Load(t); ok {
		decode, _ := known.(decoder)
		return decode
	}
	decode := compile(t, nil)
	d.plans.Store(t, decode)
	return decode
}
