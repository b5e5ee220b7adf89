package redact_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/redact"
)

func password(key string) bool { return strings.EqualFold(key, "password") }

func TestTheValueOfAKeyIsBlankedWhateverItIs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"password":"x"}`:                                 `{"password":"[redacted]"}`,
		`{"password":1}`:                                   `{"password":"[redacted]"}`,
		`{"password":-1.5e+3,"a":2}`:                       `{"password":"[redacted]","a":2}`,
		`{"password":null}`:                                `{"password":"[redacted]"}`,
		`{"password":true , "a":2}`:                        `{"password":"[redacted]" , "a":2}`,
		`{"password":{"a":[1,"}",{"b":"]"}]},"c":[]}`:      `{"password":"[redacted]","c":[]}`,
		`{"password":["\"", "\\", [ ] ] }`:                 `{"password":"[redacted]" }`,
		`{"password":{}}`:                                  `{"password":"[redacted]"}`,
		`[{"a":{"b":[{"PassWord" : "x" }]}}]`:              `[{"a":{"b":[{"PassWord" : "[redacted]" }]}}]`,
		`{"password":"x","password":"y"}`:                  `{"password":"[redacted]","password":"[redacted]"}`,
		`{"pass\u0077ord":"x"}`:                            `{"pass\u0077ord":"[redacted]"}`,
		`{"pa\u017f\u017fword":"x"}`:                       `{"pa\u017f\u017fword":"[redacted]"}`, // encoding/json takes ſ for s as well
		`{"a":"password","b":["password",":"],"c":"\":1"}`: `{"a":"password","b":["password",":"],"c":"\":1"}`,
		"\n{ \"a\" :\t1e5 }\r\n":                           "\n{ \"a\" :\t1e5 }\r\n",
		`"password"`:                                       `"password"`,
		`12345678901234567890`:                             `12345678901234567890`,
		`{"a":"{\"password\":\"x\"}"}`:                     `{"a":"{\"password\":\"x\"}"}`,
	} {
		before := strings.Clone(in)
		got, ok := redact.JSON([]byte(in), password)
		require.True(t, ok, in)
		assert.Equal(t, want, string(got), in)
		assert.Equal(t, before, in)
	}
}

func TestWhatIsNotJSONIsNotReturned(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "password=x", `{"password":"x"`, `{"password":"x"} {"password":"y"}`, `{"password":x}`, "{\"password\":\"\x01\"}", strings.Repeat("[", 20000) + strings.Repeat("]", 20000)} {
		got, ok := redact.JSON([]byte(in), password)
		assert.False(t, ok, "%.40q", in)
		assert.Nil(t, got)
	}
}

// blanked does on decoded values what JSON does on texts.
func blanked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if password(k) {
				v[k] = redact.Text
			} else {
				v[k] = blanked(v[k])
			}
		}
	case []any:
		for i := range v {
			v[i] = blanked(v[i])
		}
	}
	return v
}

func values(t *testing.T, data []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	return v
}

func FuzzRedactedJSONHasTheSameShape(f *testing.F) {
	for _, in := range []string{`{"password":[1,{"a":2}],"b":[null,true,"x\\\"",{"Password":{}}]}`, ` [ ] `, `{"a":{"password":"\\"},"":1e-7}`, `{`, "\xff", `{"passſord":1}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		out, ok := redact.JSON(in, password)
		require.Equal(t, before, in)
		require.Equal(t, json.Valid(in), ok)
		if !ok {
			require.Nil(t, out)
			return
		}
		require.True(t, json.Valid(out))
		require.Equal(t, blanked(values(t, in)), values(t, out))
		none, _ := redact.JSON(in, func(string) bool { return false })
		require.Equal(t, string(in), string(none), "all else stays byte for byte")
		again, _ := redact.JSON(out, password)
		require.Equal(t, string(out), string(again))
	})
}
