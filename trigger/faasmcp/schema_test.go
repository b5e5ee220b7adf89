package faasmcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faasmcp"
)

// echo offers func(T) T as a tool, and calls it with arguments.
type echo func(t *testing.T, arguments string) *mcp.CallToolResult

func echoOf[T any]() echo {
	return func(t *testing.T, arguments string) *mcp.CallToolResult {
		t.Helper()
		r := faastest.New(t)
		faas.Register(r, "echo", func(_ context.Context, v T) (T, error) { return v, nil })
		server, _ := newServer(t, r)
		return ask(t, connect(t, server, "agent", nil), "echo", json.RawMessage(arguments))
	}
}

type (
	blob   []byte
	octet  byte
	level  int
	name   string
	inner  struct{ A int }
	Outer  struct{ B int }
	Word   string
	hidden struct{ C int }

	// upper has methods with pointer receivers, for text.
	upper struct{ s string }
	// optional writes its value, or null if it is empty.
	optional struct {
		value int
		ok    bool
	}
	// defaults reads the JSON of its own fields, and fills in the absent ones.
	defaults struct {
		Text  string `json:"text"`
		Limit int    `json:"limit"`
	}
	// color reads text, although it is a struct.
	color struct{ R, G, B uint8 }
	// picky can't write JSON for its zero value.
	picky int
)

func (u *upper) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(u.s)), nil }
func (u *upper) UnmarshalText(b []byte) error { u.s = string(b); return nil }
func (o optional) MarshalJSON() ([]byte, error) {
	if !o.ok {
		return []byte("null"), nil
	}
	return json.Marshal(o.value)
}

func (o *optional) UnmarshalJSON(b []byte) error {
	o.ok = string(b) != "null"
	return json.Unmarshal(b, &o.value)
}

func (d *defaults) UnmarshalJSON(b []byte) error {
	type plain defaults
	p := plain{Limit: 10}
	err := json.Unmarshal(b, &p)
	*d = defaults(p)
	return err
}

func (c *color) UnmarshalJSON(b []byte) error {
	if string(b) != `"red"` {
		return errors.New("no color")
	}
	c.R = 255
	return nil
}

func (p picky) MarshalText() ([]byte, error) {
	if p == 0 {
		return nil, errors.New("nothing")
	}
	return []byte("picky"), nil
}

func (p *picky) UnmarshalText([]byte) error { *p = 1; return nil }

// A tool accepts and returns the same JSON as encoding/json does for its function's types. A function
// that has run is not reported as failed. For each type there is a value that both the schema and the
// decoder accept.
func TestATypeHasTheSchemaOfTheJSONThatItReadsAndWrites(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0b989ba4-242f-11e5-81e1-c7b6966d2516")
	for _, c := range []struct {
		what       string
		call       echo
		give, want string // members of an object; an empty want means the same as give
	}{
		{"text of an array", echoOf[struct{ ID uuid.UUID }](), `{"ID": "` + id.String() + `"}`, ``},
		{"text by itself", echoOf[uuid.UUID](), `{"input": "` + id.String() + `"}`, `{"output": "` + id.String() + `"}`},
		{"text of a struct", echoOf[struct{ At netip.Addr }](), `{"At": "::1"}`, ``},
		{"text of a slice", echoOf[struct{ At net.IP }](), `{"At": "10.0.0.1"}`, ``},
		{"slices of text", echoOf[struct{ At []netip.Prefix }](), `{"At": ["10.0.0.0/8", "::/0"]}`, ``},
		{"pointer to text", echoOf[struct{ ID *uuid.UUID }](), `{"ID": null}`, ``},
		{"text with pointer receivers", echoOf[struct{ U upper }](), `{"U": "loud"}`, `{"U": "LOUD"}`},
		{"a map has no address", echoOf[map[string]*upper](), `{"U": "loud"}`, `{"U": "LOUD"}`},
		{"text without a zero value", echoOf[struct{ P picky }](), `{"P": "x"}`, `{"P": "picky"}`},
		{"keys that are text", echoOf[map[netip.Addr]int](), `{"::1": 1}`, ``},
		{"keys that are numbers", echoOf[map[int]string](), `{"7": "seven"}`, ``},
		{"a number as text", echoOf[struct{ N json.Number }](), `{"N": 1e300}`, ``},
		{"a number as quoted text", echoOf[struct{ N json.Number }](), `{"N": "5"}`, `{"N": 5}`},
		{"a big number", echoOf[struct{ N *big.Int }](), `{"N": 1` + strings.Repeat("0", 300) + `}`, ``},
		{"a big number by itself", echoOf[big.Int](), `{"input": 5}`, `{"output": 5}`},
		{"a big fraction", echoOf[struct{ N *big.Float }](), `{"N": "1.5"}`, ``},
		{"a level", echoOf[struct{ L slog.Level }](), `{"L": "WARN"}`, ``},
		{"a time", echoOf[struct{ T time.Time }](), `{"T": "2026-05-17T12:00:00Z"}`, ``},
		{"a duration", echoOf[struct{ D time.Duration }](), `{"D": 5}`, ``},
		{"a number of a named kind", echoOf[struct{ L level }](), `{"L": -5}`, ``},
		{"the largest numbers", echoOf[struct {
			I int64
			U uint64
			F float64
		}](), `{"I": 9223372036854775807, "U": 18446744073709551615, "F": 1.7976931348623157e308}`, ``},
		{"option string", echoOf[struct {
			N int64   `json:"n,string"`
			F float64 `json:"f,string"`
			B bool    `json:"b,string"`
			U *uint8  `json:"u,string"`
		}](), `{"n": "5", "f": "1.5", "b": "true", "u": "7"}`, ``},
		{"option string, sent without", echoOf[struct {
			N int64   `json:"n,string"`
			F float64 `json:"f,string"`
			B bool    `json:"b,string"`
			U *uint8  `json:"u,string"`
		}](), `{"n": 5.0, "f": 1.5, "b": true, "u": null}`, `{"n": "5", "f": "1.5", "b": "true", "u": null}`},
		{"option string of text", echoOf[struct {
			S string `json:"s,string"`
		}](), `{"s": "5"}`, `{"s": "\"5\""}`},
		{"option string of text, quoted already", echoOf[struct {
			S string `json:"s,string"`
		}](), `{"s": "\"x\""}`, ``},
		{"option string of what it says nothing about", echoOf[struct {
			S []int `json:"s,string"` //nolint:staticcheck // what the case is about
		}](), `{"s": [1]}`, ``},
		{"named bytes", echoOf[struct{ B blob }](), `{"B": "aGk="}`, ``},
		{"no bytes", echoOf[struct{ B blob }](), `{"B": null}`, ``},
		{"bytes of a named kind", echoOf[struct{ B []octet }](), `{"B": "aGk="}`, ``},
		{"named bytes by themselves", echoOf[blob](), `{"input": "aGk="}`, `{"output": "aGk="}`},
		{"an array of bytes", echoOf[struct{ B [2]byte }](), `{"B": [1, 2]}`, ``},
		{"a map that is nil", echoOf[struct{ M map[string]int }](), `{"M": null}`, ``},
		{"an embedded struct", echoOf[struct{ Outer }](), `{"B": 1}`, ``},
		{"an embedded struct with a name", echoOf[struct {
			Outer `json:"o"`
		}](), `{"o": {"B": 1}}`, ``},
		{"an embedded pointer that is nil", echoOf[struct {
			*Outer
			A int
		}](), `{"A": 1}`, ``},
		{"an embedded pointer", echoOf[struct {
			*Outer
			A int
		}](), `{"A": 1, "B": 2}`, ``},
		{"an embedded struct that is not exported", echoOf[struct{ hidden }](), `{"C": 1}`, ``},
		{"an embedded text", echoOf[struct{ Word }](), `{"Word": "x"}`, ``},
		{"the nearer of two names", echoOf[struct {
			Outer
			Far string `json:"B"`
		}](), `{"B": "near"}`, ``},
		{"neither of two names as near", echoOf[struct {
			Outer
			Other struct{ B int }
			hidden
			inner
		}](), `{"A": 1, "B": 2, "C": 3, "Other": {"B": 4}}`, ``},
		{"text with a name", echoOf[name](), `{"input": "x"}`, `{"output": "x"}`},
		{"any JSON of its own", echoOf[struct{ O optional }](), `{"O": 5}`, ``},
		{"any JSON of its own, null", echoOf[struct{ O optional }](), `{"O": null}`, ``},
		{"any JSON of its own by itself", echoOf[optional](), `{"input": 5}`, `{"output": 5}`},
		{"fields that are read by a method", echoOf[defaults](), `{"text": "x", "limit": 3}`, ``},
		{"text that is read by a method", echoOf[color](), `{"input": "red"}`, `{"R": 255, "G": 0, "B": 0}`},
		{"a struct without methods", echoOf[url.Userinfo](), `{}`, ``},
		{"JSON as it is", echoOf[struct {
			R json.RawMessage
			A any
		}](), `{"R": {"a": [1.0]}, "A": "x"}`, ``},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			res := c.call(t, c.give)
			require.False(t, res.IsError, asJSON(t, res.Content))
			want := c.want
			if want == "" {
				want = c.give
			}
			require.Equal(t, exactly(t, want), exactly(t, asJSON(t, res.StructuredContent)))
		})
	}
}

// exactly decodes JSON and keeps numbers as text. The client decodes the numbers that it receives to
// float64, so large numbers are compared as float64.
func exactly(t *testing.T, s string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v))
	return floats(v)
}

func floats(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return math.Inf(1)
		}
		return f
	}
	return v
}

// ran counts the calls of its function, so that the test can tell whether a function ran that was
// reported as failed.
func TestAToolThatHasRunIsNotReportedAsFailed(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	orders := 0
	type order struct{ ID uuid.UUID }
	faas.Register(r, "order", func(context.Context, struct{}) (order, error) { orders++; return order{uuid.New()}, nil })
	server, _ := newServer(t, r)
	res := ask(t, connect(t, server, "agent", nil), "order", nil)
	require.False(t, res.IsError, asJSON(t, res.Content))
	require.Equal(t, 1, orders)
}

func TestAnIntegerMayBeWrittenWithAFraction(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	type numbers struct {
		N    int8              `json:"n"`
		All  []uint64          `json:"all,omitempty"`
		By   map[string]int    `json:"by,omitempty"`
		In   *numbers2         `json:"in,omitempty"`
		F    float64           `json:"f,omitempty"`
		Raw  json.RawMessage   `json:"raw,omitempty"`
		Any  any               `json:"any,omitempty"`
		Big  *big.Int          `json:"big,omitempty"`
		Num  json.Number       `json:"num,omitempty"`
		Text string            `json:"text,omitempty"`
		Tags map[string]string `json:"tags,omitempty"`
	}
	faas.Register(r, "echo", func(_ context.Context, n numbers) (string, error) { return asJSON(t, n), nil })
	faas.Register(r, "one", func(_ context.Context, n int) (int, error) { return n, nil })
	server, _ := newServer(t, r)
	cs := connect(t, server, "agent", nil)
	for given, want := range map[string]string{
		`{"n": 1.0}`:                        `{"n":1}`,
		`{"n": -1.2e1}`:                     `{"n":-12}`,
		`{"n": 1200E-2}`:                    `{"n":12}`,
		`{"n": -0.0}`:                       `{"n":0}`,
		`{"n": 0e-9}`:                       `{"n":0}`,
		`{"n": 1, "all": [1.0, 1e19]}`:      `{"n":1,"all":[1,10000000000000000000]}`,
		`{"n": 1, "by": {"a": 2.00}}`:       `{"n":1,"by":{"a":2}}`,
		`{"n": 1, "in": {"n": 3.0}}`:        `{"n":1,"in":{"n":3}}`,
		`{"n": 1.0, "raw": 1.0, "f": 2.0}`:  `{"n":1,"f":2,"raw":1.0}`,
		`{"n": 1.0, "big": 2e30}`:           `{"n":1,"big":2000000000000000000000000000000}`,
		`{"n": 1.0, "num": 1.0}`:            `{"n":1,"num":1.0}`,
		`{"n": 1.0, "text": "<1.0>"}`:       `{"n":1,"text":"\u003c1.0\u003e"}`,
		`{"n": 1.0, "any": {"x": [1.5e0]}}`: `{"n":1,"any":{"x":[1.5]}}`,
	} {
		res := ask(t, cs, "echo", json.RawMessage(given))
		require.False(t, res.IsError, "%s: %s", given, asJSON(t, res.Content))
		require.Equal(t, want, text(t, res), given)
	}
	require.Equal(t, "5", text(t, ask(t, cs, "one", json.RawMessage(`{"input": 5.0}`))))
	for _, bad := range []string{`{"n": 1.5}`, `{"n": 1e99}`, `{"n": 1e400}`, `{"n": 200.0}`, `{"n": 1e-999999999}`, `{"n": 1, "all": [-1.0]}`} {
		res := ask(t, cs, "echo", json.RawMessage(bad))
		f, _ := faasmcp.FailureOf(res)
		require.Equal(t, faas.ReasonInput, f.Reason, "%s: %s", bad, asJSON(t, res.Content))
	}
}

type numbers2 struct {
	N int `json:"n"`
}

func TestAnAgentIsToldTheFieldsOfWhatIsReadByAMethod(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "defaults", func(_ context.Context, d defaults) (string, error) { return d.Text, nil })
	faas.Register(r, "color", func(_ context.Context, c color) (int, error) { return int(c.R), nil })
	faas.Register(r, "anything", func(_ context.Context, in struct {
		Any  any             `json:"any" jsonschema:"what you like"`
		Raw  json.RawMessage `json:"raw,omitempty"`
		List []any           `json:"list,omitempty"`
	},
	) (struct{ Any any }, error) {
		return struct{ Any any }{in.Any}, nil
	})
	server, _ := newServer(t, r)
	list, err := connect(t, server, "agent", nil).ListTools(t.Context(), nil)
	require.NoError(t, err)
	schemas := map[string]string{}
	for _, tool := range list.Tools {
		schemas[tool.Name] = asJSON(t, tool.InputSchema)
		require.NotContains(t, strings.ReplaceAll(schemas[tool.Name]+asJSON(t, tool.OutputSchema), `"additionalProperties":false`, ""), "true",
			"clients want an object where a property's schema is")
	}
	require.JSONEq(t, `{"type": "object", "additionalProperties": false, "required": ["text", "limit"],
		"properties": {"text": {"type": "string"}, "limit": {"type": "integer"}}}`, schemas["defaults"])
	require.JSONEq(t, `{"type": "object", "additionalProperties": false, "required": ["input"], "properties": {"input": {"description": "any JSON"}}}`, schemas["color"])
	require.JSONEq(t, `{"type": "object", "additionalProperties": false, "required": ["any"], "properties": {
		"any": {"description": "what you like"}, "raw": {"description": "any JSON"},
		"list": {"type": ["null", "array"], "items": {"description": "any JSON"}}}}`, schemas["anything"])
}

// embeds has the methods of time.Time, which panic while the pointer is nil.
type embeds struct{ *time.Time }

func TestAZeroValueThatFitsNoSchemaIsFoundAtSetUp(t *testing.T) {
	t.Parallel()
	object := `{"type": "object", "required": ["At"], "properties": {"At": {"type": "array"}}}`
	err := faasmcp.SetInferred(reflect.TypeFor[struct{ At netip.Addr }](), object)
	require.ErrorContains(t, err, `is {"At":""}, which does not fit`)
	require.ErrorContains(t, err, "WithTool")
	require.NoError(t, faasmcp.SetInferred(reflect.TypeFor[struct{ At []int8 }](), strings.ReplaceAll(object, `"array"`, `["array", "null"]`)))
	require.NoError(t, faasmcp.SetInferred(reflect.TypeFor[picky](), object), "it has no JSON yet, which tells nothing")

	r := faastest.New(t)
	faas.Register(r, "now", func(context.Context, struct{}) (embeds, error) { now := time.Now(); return embeds{&now}, nil })
	server, _ := newServer(t, r)
	res := ask(t, connect(t, server, "agent", nil), "now", nil)
	require.False(t, res.IsError, asJSON(t, res.Content))
}

func TestAMistakeInATagIsNamed(t *testing.T) {
	t.Parallel()
	server := mcp.NewServer(&mcp.Implementation{Name: "tools"}, nil)
	for name, register := range map[string]func(*faas.Router){
		"empty": func(r *faas.Router) {
			faas.Register(r, "f", func(context.Context, struct {
				A int `jsonschema:""`
			},
			) (struct{}, error) {
				return struct{}{}, nil
			})
		},
		"reserved": func(r *faas.Router) {
			faas.Register(r, "f", func(context.Context, struct {
				A int `jsonschema:"minimum=5"`
			},
			) (struct{}, error) {
				return struct{}{}, nil
			})
		},
		"keys": func(r *faas.Router) {
			faas.Register(r, "f", func(context.Context, struct{ A map[[2]int]int }) (struct{}, error) { return struct{}{}, nil })
		},
	} {
		r := faastest.New(t)
		register(r)
		_, err := faasmcp.TryAddTools(server, r)
		require.ErrorIs(t, err, faas.ErrInput, name)
		require.ErrorContains(t, err, "A: ", name)
	}
}

func TestAResultThatIsTooLongIsAFailureThatSaysHowLong(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "text", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })
	faas.Register(r, "raw", func(_ context.Context, in struct{ N int }) ([]byte, error) {
		return bytes.Repeat([]byte{0xff}, in.N), nil
	})
	faas.Register(r, "fails", func(_ context.Context, n int) (string, error) { return "", errors.New(strings.Repeat("é", n)) })
	server, _ := newServer(t, r, faasmcp.WithResultLimit(100_000))
	cs := connect(t, server, "agent", nil)
	args := func(n int) any { return map[string]any{"input": n} }

	require.False(t, ask(t, cs, "text", args(49_000)).IsError, "it is sent twice")
	res := ask(t, cs, "text", args(51_000))
	f, _ := faasmcp.FailureOf(res)
	require.Equal(t, faasmcp.Failure{Outcome: "OutputInvalid"}, f)
	require.Regexp(t, `^text has run, but its answer is 102\d\d\d bytes long when it is sent, and at most 100000 are allowed; ask it for less$`, text(t, res))
	res = ask(t, cs, "raw", struct{ N int }{70_000})
	require.False(t, res.IsError, asJSON(t, res.Content))
	require.True(t, ask(t, cs, "raw", struct{ N int }{80_000}).IsError, "bytes are sent in base64")

	res = ask(t, cs, "fails", args(60_000))
	f, _ = faasmcp.FailureOf(res)
	require.Equal(t, "Failed", f.Outcome, "how it failed is still said")
	require.Less(t, len(asJSON(t, res)), 4096)
	require.Contains(t, text(t, res), "é… (120000 bytes)")
	res = ask(t, cs, "text", map[string]any{"input": strings.Repeat("x", 200_000)})
	f, _ = faasmcp.FailureOf(res)
	require.Equal(t, faas.ReasonInput, f.Reason)
	require.Less(t, len(asJSON(t, res)), 4096, "arguments are not sent back at length")

	byDefault, _ := newServer(t, r)
	cs = connect(t, byDefault, "agent", nil)
	require.False(t, ask(t, cs, "text", args(51_000)).IsError)
	require.Contains(t, text(t, ask(t, cs, "text", args(2_100_000))), "and at most 4194304 are allowed")
	_, err := faasmcp.TryAddTools(byDefault, r, faasmcp.WithResultLimit(4095))
	require.ErrorIs(t, err, faas.ErrInput)
	unbounded, _ := newServer(t, r, faasmcp.WithResultLimit(math.MaxInt))
	require.False(t, ask(t, connect(t, unbounded, "agent", nil), "text", args(51_000)).IsError)
}
