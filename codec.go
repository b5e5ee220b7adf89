package faas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Codec decodes payloads to inputs and encodes outputs to payloads. Many goroutines call
// both methods at once; a panic in one counts as an error. The data that Unmarshal gets
// belongs to the caller of Invoke and must not be kept. The codec must not change the bytes
// that Marshal has returned.
//
// A codec never gets a pointer to a pointer. What it gets for a handler's input or
// output of type T depends on T:
//
//	T                           Marshal gets                Unmarshal gets
//	a pointer, *Order           the output, an *Order       a new *Order, which is not nil
//	an interface                the value in the interface  a pointer to the interface
//	any other, Order or int     a pointer to the output     a pointer to the input
//	[]byte                      is not called: the payload is the value itself
//
// For example, a codec of protocol buffers asserts proto.Message in both methods. For a
// nil output of a pointer type, Marshal gets that nil pointer; for a nil output of an
// interface type it gets nil. For an empty payload and an input of type struct{}, Unmarshal is
// not called.
//
// A codec may also have a method
//
//	ContentType() string
//
// that returns the media type of Marshal's results, for example application/x-protobuf.
// [Signature] has it, and front doors send it. It is called when a function is
// registered. Without the method, or if it returns "", the media type is
// application/octet-stream.
//
// The default codec is encoding/json with the media type application/json. It does not
// escape "<", ">" and "&", since outputs are not parts of HTML pages. JSON's null leaves
// the zero value, for example a nil pointer. Unknown fields are ignored, the last of two
// equal keys wins, and invalid UTF-8 is replaced. Trailing data, NaN, numbers out of
// range and nesting over 10,000 levels are errors.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// jsonCodec is the default codec. Each router has its own.
type jsonCodec struct {
	encoders sync.Pool // of *jsonEncoder. json.Marshal is not used because it always escapes HTML, and a new encoder would be two allocations a call
}

// jsonEncoder is an encoder together with the writer that it writes to, so that both are reused.
// Each value is encoded to a new slice, which the caller of Invoke may keep.
type jsonEncoder struct {
	json *json.Encoder
	out  []byte
}

// Write implements io.Writer for the encoder.
func (e *jsonEncoder) Write(p []byte) (int, error) {
	e.out = append(e.out, p...)
	return len(p), nil
}

// Marshal encodes v.
func (c *jsonCodec) Marshal(v any) ([]byte, error) {
	e, _ := c.encoders.Get().(*jsonEncoder)
	if e == nil {
		e = &jsonEncoder{}
		e.json = json.NewEncoder(e)
		e.json.SetEscapeHTML(false)
	}
	if err := e.json.Encode(v); err != nil {
		return nil, err
	}
	out := bytes.TrimSuffix(e.out, []byte("\n")) // the encoder adds a newline
	e.out = nil                                  // the caller owns the slice
	c.encoders.Put(e)
	return out, nil
}

// Unmarshal decodes into v.
func (*jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// ContentType returns the media type of JSON.
func (*jsonCodec) ContentType() string { return "application/json" }

const octets = "application/octet-stream"

// contentType returns the media type of c's output, or an error if ContentType panics or
// returns a string that can't stand in a header.
func contentType(c Codec) (kind string, err error) {
	typed, ok := c.(interface{ ContentType() string })
	if !ok {
		return octets, nil
	}
	defer stopPanic(&err)
	if kind = typed.ContentType(); kind == "" {
		return octets, nil
	}
	if !isMediaType(kind) {
		return "", fmt.Errorf("ContentType() is %.40q, which is not a media type; an example is application/x-protobuf", kind)
	}
	return kind, nil
}

// isMediaType reports whether s can stand in a Content-Type header: a type, a subtype,
// and perhaps parameters, in printable ASCII.
func isMediaType(s string) bool {
	slash := strings.IndexByte(s, '/')
	printable := !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
	return printable && len(s) <= 255 && slash > 0 && slash < len(s)-1 && !strings.Contains(s[:slash], " ")
}

// decode decodes a payload into v, a pointer to the handler's input. An input of type
// []byte is the payload itself, and for one of type struct{} the payload may be empty. If the
// input is a pointer, decode allocates the value and calls Unmarshal with that pointer, and not
// with a pointer to it: most codecs assert an interface that a pointer to a pointer does not have.
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
	in := reflect.ValueOf(v).Elem()
	// encoding/json gets the pointer to the pointer, because for null it sets a nil pointer.
	if _, own := c.(*jsonCodec); own || in.Kind() != reflect.Pointer {
		return c.Unmarshal(data, v)
	}
	fresh := reflect.New(in.Type().Elem())
	in.Set(fresh)
	return c.Unmarshal(data, fresh.Interface())
}

// encode is the reverse of decode; v is a pointer to the handler's output. Marshal gets the
// output itself if that is a pointer or an interface.
func encode(c Codec, v any) (data []byte, err error) {
	if v, ok := v.(*[]byte); ok {
		return *v, nil
	}
	defer stopPanic(&err)
	if out := reflect.ValueOf(v).Elem(); out.Kind() == reflect.Pointer || out.Kind() == reflect.Interface {
		v = out.Interface()
	}
	return c.Marshal(v)
}

// copyValue makes a deep copy: it encodes *from and decodes the result into *to. Both are
// pointers of the same type. The result data is *from, encoded.
func copyValue(c Codec, from, to any) (data []byte, err error) {
	if from, ok := from.(*[]byte); ok {
		if to, ok := to.(*[]byte); ok {
			*to = bytes.Clone(*from)
		}
		return *from, nil
	}
	if data, err = encode(c, from); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if err := decode(c, data, to); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return data, nil
}

// stopPanic stores a panic in *err. It must be deferred directly, so that recover works.
func stopPanic(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: stack()}
	}
}
