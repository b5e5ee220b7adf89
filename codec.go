package faas

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Codec turns payloads into inputs and outputs into payloads. Both methods are
// called by many goroutines at once; a panic in them counts as an error. Data
// given to Unmarshal belongs to the caller of Invoke and must not be kept.
//
// The default is encoding/json as it stands. So null leaves the zero value,
// unknown fields are ignored, the last of two equal keys wins, invalid UTF-8
// is replaced, and trailing data, NaN, numbers out of range and nesting over
// 10,000 are errors.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// decode reads a payload into v, a pointer to the handler's input. []byte
// takes the payload as it is, and struct{} takes an empty one.
func decode(c Codec, data []byte, v any) (err error) {
	switch v := v.(type) {
	case *[]byte:
		*v = data
		return nil
	case *struct{}:
		if len(data) == 0 {
			return nil
		}
	}
	defer stopPanic(&err)
	return c.Unmarshal(data, v)
}

// encode is the reverse of decode; v is a pointer to the handler's output.
func encode(c Codec, v any) (data []byte, err error) {
	if v, ok := v.(*[]byte); ok {
		return *v, nil
	}
	defer stopPanic(&err)
	return c.Marshal(v)
}

// copyValue copies from one value to another of the same type through the
// codec; both are pointers.
func copyValue(c Codec, from, to any) error {
	if from, ok := from.(*[]byte); ok {
		if to, ok := to.(*[]byte); ok {
			*to = bytes.Clone(*from)
		}
		return nil
	}
	data, err := encode(c, from)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := decode(c, data, to); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// stopPanic, deferred, makes a panic the error at err.
func stopPanic(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: stack()}
	}
}
