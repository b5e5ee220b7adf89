package faas_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// message has, in short, the methods that the generated types of protocol buffers have in common.
type message interface {
	Marshal() ([]byte, error)
	Unmarshal(data []byte) error
}

// point stands for a generated type. Its methods are those of *point.
type point struct{ X, Y int32 }

func (p *point) Marshal() ([]byte, error) { return binary.Append(nil, binary.BigEndian, p) }

func (p *point) Unmarshal(data []byte) error {
	_, err := binary.Decode(data, binary.BigEndian, p)
	return err
}

// messages is a codec for message. For protocol buffers, assert proto.Message, and call
// proto.Marshal and proto.Unmarshal.
type messages struct{}

func (messages) Marshal(v any) ([]byte, error) {
	m, ok := v.(message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", v)
	}
	return m.Marshal()
}

func (messages) Unmarshal(data []byte, v any) error {
	m, ok := v.(message)
	if !ok {
		return fmt.Errorf("%T is no message", v)
	}
	return m.Unmarshal(data)
}

func (messages) ContentType() string { return "application/x-points" }

// Handlers of messages, with a codec that asserts them in both directions.
func ExampleCodec() {
	r := faas.New(faas.WithCodec(messages{}))
	defer r.Close()
	faas.Register(r, "mirror", func(_ context.Context, p *point) (*point, error) {
		return &point{X: p.Y, Y: p.X}, nil
	})
	in, _ := (&point{X: 1, Y: 2}).Marshal()
	out, err := r.Invoke(context.Background(), "mirror", in)
	if err != nil {
		fmt.Println(err)
		return
	}
	var p point
	fmt.Println(p.Unmarshal(out), p)
	s, _ := r.Signature("mirror")
	fmt.Println(s.ContentType)
	// Output:
	// <nil> {2 1}
	// application/x-points
}

// spy is a JSON codec that remembers the values that it was called with.
type spy struct {
	mu                     sync.Mutex
	marshaled, unmarshaled string
}

func (s *spy) Marshal(v any) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marshaled = fmt.Sprintf("%T", v)
	return json.Marshal(v)
}

func (s *spy) Unmarshal(data []byte, v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmarshaled = fmt.Sprintf("%T", v)
	return json.Unmarshal(data, v)
}

// handed registers an identity function of T, and returns the types that its codec is called
// with, and the codec's output for the payload. It makes a bytes call and a copied typed call.
func handed[T any](t *testing.T, payload string, in T) (marshaled, unmarshaled, out string) {
	t.Helper()
	c := &spy{}
	r := router(t, faas.WithCodec(c), faas.WithCopy())
	f := faas.Register(r, "f", func(_ context.Context, in T) (T, error) { return in, nil })
	data, err := r.Invoke(t.Context(), "f", []byte(payload))
	require.NoError(t, err)
	m, u := c.marshaled, c.unmarshaled
	_, err = f.Invoke(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, [2]string{m, u}, [2]string{c.marshaled, c.unmarshaled}, "a copy is made likewise")
	return m, u, string(data)
}

func TestACodecIsNeverHandedAPointerToAPointer(t *testing.T) {
	t.Parallel()
	check := func(wantMarshaled, wantUnmarshaled, wantOut string) func(m, u, out string) {
		return func(m, u, out string) {
			assert.Equal(t, [3]string{wantMarshaled, wantUnmarshaled, wantOut}, [3]string{m, u, out})
		}
	}
	check("*faas_test.point", "*faas_test.point", `{"X":1,"Y":0}`)(handed(t, `{"X":1}`, point{X: 1}))
	check("*faas_test.point", "*faas_test.point", `{"X":1,"Y":0}`)(handed(t, `{"X":1}`, &point{X: 1}))
	check("*faas_test.point", "*faas_test.point", `{"X":0,"Y":0}`)(handed(t, `null`, &point{})) // a new pointer, which is not nil
	check("*int", "*int", `1`)(handed(t, `1`, 1))
	check("*[]int", "*[]int", `[1]`)(handed(t, `[1]`, []int{1}))
	check("float64", "*interface {}", `1`)(handed[any](t, `1`, 1.0))
	check("<nil>", "*interface {}", `null`)(handed[any](t, `null`, nil))
}

func TestNullIsANilPointerToTheDefaultCodec(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "f", func(_ context.Context, p *point) (*point, error) { return p, nil })
	for in, want := range map[string]string{"null": "null", `{"X":1}`: `{"X":1,"Y":0}`} {
		out, err := r.Invoke(t.Context(), "f", []byte(in))
		require.NoError(t, err)
		assert.Equal(t, want, string(out))
	}
}

// Outputs are not parts of HTML pages.
func TestJSONIsNotEscapedForHTML(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "any", func(_ context.Context, in any) (any, error) { return in, nil })
	faas.Register(r, "raw", func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	faas.Register(r, "bad", func(context.Context, any) (any, error) { return make(chan int), nil })
	for _, in := range []string{`"<a href='x'>&</a>"`, `{"<&>":["<"]}`, `"\u003c"`, `"a\nb"`, `"\\u003c"`, `1`, `null`, `""`} {
		var v any
		require.NoError(t, json.Unmarshal([]byte(in), &v))
		var want strings.Builder
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		require.NoError(t, e.Encode(v))
		out, err := r.Invoke(t.Context(), "any", []byte(in))
		require.NoError(t, err)
		assert.Equal(t, strings.TrimSuffix(want.String(), "\n"), string(out))
		out, err = r.Invoke(t.Context(), "raw", []byte(in))
		require.NoError(t, err)
		assert.Equal(t, in, string(out), "as it came")
		_, err = r.Invoke(t.Context(), "bad", []byte(in))
		require.ErrorIs(t, err, faas.ErrOutput)
	}
}

// Encoders are used again, but the slices that they have made are not.
func TestAnOutputIsItsCallersAlone(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "echo", func(_ context.Context, in string) (string, error) { return in, nil })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var kept [][]byte
			want := fmt.Sprintf("%q", strings.Repeat(string(rune('a'+i)), 10*(i+1)))
			for range 200 {
				out, err := r.Invoke(t.Context(), "echo", []byte(want))
				if assert.NoError(t, err) {
					kept = append(kept, out)
				}
			}
			for _, out := range kept {
				assert.Equal(t, want, string(out))
			}
		})
	}
	wg.Wait()
}

// typed is a codec with a media type.
type typed struct {
	messages
	kind func() string
}

func (c typed) ContentType() string { return c.kind() }

func TestAFunctionsContentTypeIsItsCodecs(t *testing.T) {
	t.Parallel()
	of := func(r *faas.Router) string {
		s, err := r.Signature("f")
		require.NoError(t, err)
		return s.ContentType
	}
	handler := func(_ context.Context, p *point) (*point, error) { return p, nil }
	says := func(kind string) faas.Option { return faas.WithCodec(typed{kind: func() string { return kind }}) }
	for _, c := range []struct {
		want string
		opts []faas.FunctionOption
	}{
		{"application/json", nil},
		{"application/octet-stream", []faas.FunctionOption{faas.WithCodec(&spy{})}},
		{"application/octet-stream", []faas.FunctionOption{says("")}},
		{"application/x-points", []faas.FunctionOption{faas.WithCodec(messages{})}},
		{`text/csv; charset="utf-8"`, []faas.FunctionOption{says(`text/csv; charset="utf-8"`)}},
	} {
		r := router(t)
		faas.Register(r, "f", handler, c.opts...)
		assert.Equal(t, c.want, of(r))
	}
	r := router(t, says("application/x-points"))
	faas.Register(r, "f", func(context.Context, *point) ([]byte, error) { return nil, nil })
	assert.Equal(t, "application/octet-stream", of(r), "bytes are no codec's")

	for _, bad := range []string{"text", "/", "text/", "/csv", "text/csv\r\nX: y", "text/\x00", "a b/c", "text/ü", "text/" + strings.Repeat("x", 300)} {
		_, err := faas.TryRegister(router(t), "f", handler, says(bad))
		require.ErrorIs(t, err, faas.ErrInput, bad)
		assert.Panics(t, func() { faas.New(says(bad)) })
	}
	boom := errors.New("boom")
	_, err := faas.TryRegister(router(t), "f", handler, faas.WithCodec(typed{kind: func() string { panic(boom) }}))
	require.ErrorIs(t, err, faas.ErrInput)
	require.ErrorIs(t, err, boom)
}
