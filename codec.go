package faas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Codec turns payloads into inputs and outputs into payloads. Both methods are
// called by many goroutines at once; a panic in them counts as an error. Data
// given to Unmarshal belongs to the caller of Invoke and must not be kept; what
// Marshal returns must not be changed afterwards.
//
// A codec is never handed a pointer to a pointer. What it is handed for a handler's
// input or output of type T depends on T:
//
//	T                           Marshal is handed        Unmarshal is handed
//	a pointer, *Order           the output, an *Order    a new *Order, which is not nil
//	an interface                what is in the output    a pointer to the interface
//	any other, Order or int     a pointer to the output  a pointer to the input
//	[]byte                      nothing: the payload is the value itself
//
// So a codec of protocol buffers asserts proto.Message in both. A nil output of a
// pointer or interface type is handed on as such. An empty payload for an input of
// struct{} is not handed on.
//
// A codec may also have a method
//
//	ContentType() string
//
// which says the media type of what Marshal makes, application/x-protobuf for one,
// in [Signature] and in what front doors answer. It is asked at registration. Without
// it, or where it is empty, the type is application/octet-stream.
//
// The default is encoding/json, whose media type is application/json, with "<", ">"
// and "&" as they are: outputs are answers, not parts of pages. So null leaves the
// zero value, a nil pointer for one; unknown fields are ignored, the last of two
// equal keys wins, invalid UTF-8 is replaced, and trailing data, NaN, numbers out of
// range and nesting over 10,000 are errors.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// jsonCodec is the default. Each router has its own.
type jsonCodec struct {
	encoders sync.Pool // of *jsonEncoder: json.Marshal can't leave HTML alone, and a new encoder costs two objects
}

// jsonEncoder encodes into a slice of its own for each value.
type jsonEncoder struct {
	json *json.Encoder
	out  []byte
}

// Write takes what the encoder has made.
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
	out := bytes.TrimSuffix(e.out, []byte("\n")) // which the encoder adds
	e.out = nil                                  // it is the caller's
	c.encoders.Put(e)
	return out, nil
}

// Unmarshal decodes into v.
func (*jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// ContentType is that of JSON.
func (*jsonCodec) ContentType() string { return "application/json" }

const octets = "application/octet-stream"

// contentType asks a codec for the media type of what it makes.
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
		return "", fmt.Errorf("ContentType() is %.40q, which is no media type; one looks like application/x-protobuf", kind)
	}
	return kind, nil
}

// isMediaType tells whether s can stand in a Content-Type header: a type, a subtype,
// and perhaps parameters, in printable ASCII.
func isMediaType(s string) bool {
	slash := strings.IndexByte(s, '/')
	printable := !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
	return printable && len(s) <= 255 && slash > 0 && slash < len(s)-1 && !strings.Contains(s[:slash], " ")
}

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
	in := reflect.ValueOf(v).Elem()
	if _, own := c.(*jsonCodec); own || in.Kind() != reflect.Pointer { // null is nil to JSON
		return c.Unmarshal(data, v)
	}
	fresh := reflect.New(in.Type().Elem())
	in.Set(fresh)
	return c.Unmarshal(data, fresh.Interface())
}

// encode is the reverse of decode; v is a pointer to the handler's output.
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
