// Package plainjson decodes and encodes JSON of plain types. Its results are those of
// encoding/json, which takes two to three times as long for a small document.
// For example, encoding/json scans a document twice, and calls a func for each byte.
//
// The package does only what it can do exactly as encoding/json does, and leaves all else to
// encoding/json. For example, it leaves types with an UnmarshalJSON method, keys that match a
// field only if the case is ignored, and every document with an error.
package plainjson

import (
	"reflect"
	"sync"
)

// Codec decodes and encodes values, and keeps what it has found out about each type. The zero
// value is ready to use. A Codec must not be copied. Its methods may be called concurrently.
type Codec struct {
	decoders plans[decoder]
	encoders plans[encoder]
}

// Decode decodes data into *v, as json.Unmarshal(data, v) does. v is a pointer to a value of any
// type, and must not be nil. Decode does not keep data.
//
// If done is false, *v is as it was. The caller then calls json.Unmarshal, which decodes data or
// returns the error. done is always false if *v is not zero: json.Unmarshal keeps the parts of *v
// that data does not have, and Decode could not restore them.
func (c *Codec) Decode(data []byte, v any) (done bool) {
	to := reflect.ValueOf(v).Elem()
	decode := c.decoders.of(to.Type(), decoderOf)
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

// Append appends the JSON of v to b: as a json.Encoder writes it that does not escape for HTML, but
// without the newline at the end. It returns nil if encoding/json has to encode v, or has to say
// why v can't be encoded.
func (c *Codec) Append(b []byte, v any) []byte {
	from := reflect.ValueOf(v)
	if !from.IsValid() {
		return nil
	}
	encode := c.encoders.of(from.Type(), encoderOf)
	if encode == nil {
		return nil
	}
	return encode(b, from)
}

// plans has the decoder, or the encoder, of each type that was asked for: reflect.Type → D. It is
// nil for a type that is not plain.
type plans[D any] struct{ known sync.Map }

// of returns the entry of a type. At the first use of a type it calls build.
func (p *plans[D]) of(t reflect.Type, build func(t reflect.Type, outer []reflect.Type) D) D {
	known, ok := p.known.Load(t)
	if !ok {
		known, _ = p.known.LoadOrStore(t, build(t, nil))
	}
	d, _ := known.(D)
	return d
}
