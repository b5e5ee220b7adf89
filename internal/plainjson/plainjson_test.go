package plainjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/plainjson"
)

type word string

type leaf struct {
	OK    bool `json:"ok"`
	Words []word
}

type place struct {
	Lat, Lon float64
	Leaf     *leaf `json:"leaf,omitempty"`
}

// plain has a field of each kind that is plain.
type plain struct {
	Name    string            `json:"name"`
	Count   int               `json:"count"`
	Small   int8              `json:"small"`
	Big     uint64            `json:"big"`
	Tiny    uint8             `json:"tiny"`
	Ratio   float64           `json:"ratio"`
	Half    float32           `json:"half"`
	On      bool              `json:"on"`
	Tags    []string          `json:"tags"`
	Grid    [][]int           `json:"grid"`
	Labels  map[string]string `json:"labels"`
	Places  map[word]place    `json:"places"`
	Place   place             `json:"place"`
	Pointer *int              `json:"pointer"`
	List    []*place          `json:"list"`
	K       string
	Hidden  string `json:"-"`
	_       string
}

const document = `{"name":"té\n\u00e9\ud83d\ude00","count":-3,"small":127,"big":18446744073709551615,"tiny":255,"ratio":1.5e-3,"half":0.1,"on":true,` +
	`"tags":["a","","\\\"\/\b\f\r\t"],"grid":[[1,2,3,4,5,6,7,8,9],[],null],"labels":{"x":"y","":null},"places":{"home":{"Lat":1,"Lon":-0}},` +
	` "place" : { "leaf" : { "ok" : false , "Words" : [ "n" ] } } ,"pointer":7,"list":[null,{},{"Lat":2}],"K":"","private":"no",` +
	`"other":[{"a":[1,"\u0000"],"é":"\n"},true,false,null,1e9,{}]}`

// isDone decodes the document into a T by this package, and reports whether it has. If so, the
// result is compared with that of encoding/json.
func isDone[T any](t *testing.T, doc string) bool {
	t.Helper()
	var ours, theirs T
	var d plainjson.Codec
	if !d.Decode([]byte(doc), &ours) {
		assert.True(t, reflect.ValueOf(&ours).Elem().IsZero(), "%s", doc)
		return false
	}
	if assert.NoError(t, json.Unmarshal([]byte(doc), &theirs), "%s", doc) {
		assert.Truef(t, reflect.DeepEqual(theirs, ours), "%s: the result is %#v, that of encoding/json is %#v", doc, ours, theirs)
		isEncoded(t, theirs)
	}
	return true
}

// isEncoded encodes a value by this package, and reports whether it has. If so, the JSON is
// compared with that of encoding/json.
func isEncoded(t *testing.T, v any) bool {
	t.Helper()
	var c plainjson.Codec
	ours := c.Append([]byte("before"), v)
	if ours == nil {
		return false
	}
	var theirs bytes.Buffer
	e := json.NewEncoder(&theirs)
	e.SetEscapeHTML(false)
	if assert.NoError(t, e.Encode(v)) {
		assert.Equal(t, "before"+theirs.String(), string(ours)+"\n")
	}
	return true
}

func TestPlainDocumentsAreDecodedAsByEncodingJSON(t *testing.T) {
	assert.True(t, isDone[plain](t, document))
	assert.True(t, isDone[*plain](t, document))
	assert.True(t, isDone[[]plain](t, "["+document+", {}]"))
	assert.True(t, isDone[map[string]plain](t, `{"a":`+document+`,"a":{},"b\t":null}`))
	for _, doc := range []string{`null`, ` {} `, "{\r\n\t}", `{"count":null,"tags":null,"pointer":null,"place":null,"labels":null,"on":null,"name":null,"ratio":null,"big":null}`} {
		assert.True(t, isDone[plain](t, doc), doc)
	}
	assert.True(t, isDone[int](t, " -0"))
	assert.True(t, isDone[float32](t, "3.4e38"))
	assert.True(t, isDone[string](t, `"\ud83d\ude00"`))
	assert.True(t, isDone[*string](t, `null`))
	assert.True(t, isDone[struct{}](t, `{"a":{"b":[{}]}}`))
}

// A document with one byte changed is either decoded as by encoding/json, or left to it: also if
// the byte makes it invalid.
func TestADocumentWithAChangedByteIsDecodedAsByEncodingJSONOrNotAtAll(t *testing.T) {
	for i := range document {
		isDone[plain](t, document[:i])
		isDone[plain](t, document[:i]+document[i+1:])
		for _, c := range "\x00\x1f \"\\/{}[]:,+-.0159eEuntfKk\u212a\xff" {
			isDone[plain](t, document[:i]+string(c)+document[i+1:])
		}
	}
}

func TestWhatNeedsTheRulesOfEncodingJSONIsLeftToIt(t *testing.T) {
	for _, doc := range []string{
		``, `{}x`, `{},`, `[]`, `"a"`, `{"name":1}`, `{"count":1.0}`, `{"count":1e2}`, `{"small":128}`, `{"tiny":-1}`, `{"big":18446744073709551616}`,
		`{"half":1e39}`, `{"count":01}`, `{"count":-}`, `{"ratio":1.}`, `{"ratio":.5}`, `{"ratio":1e}`, `{"on":tru}`, `{"on":"true"}`,
		`{"name":"a","name":"b"}`, `{"NAME":"a"}`, `{"k":"a"}`, "{\"\u212a\":\"a\"}", `{"n\u0061me":"a"}`, `{"place":{"lat":1}}`,
		"{\"name\":\"\xff\"}", `{"name":"\ud800"}`, `{"name":"\ud800\u0041"}`, `{"name":"\udc00"}`, `{"name":"\x"}`, `{"name":"\u00g0"}`, "{\"name\":\"\n\"}",
		`{"labels":{null:"a"}}`, `{"labels":{"a" "b"}}`, `{"tags":[1]}`, `{"tags":["a",]}`, `{"grid":[[1],[2]`, `{"other":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
	} {
		assert.False(t, isDone[plain](t, doc), doc)
	}
}

type list struct{ Next *list }

type crowd struct {
	F1, F2, F3, F4, F5, F6, F7, F8, F9, F10, F11, F12, F13, F14, F15, F16, F17, F18, F19, F20, F21, F22, F23, F24, F25, F26, F27, F28, F29, F30, F31, F32,
	G1, G2, G3, G4, G5, G6, G7, G8, G9, G10, G11, G12, G13, G14, G15, G16, G17, G18, G19, G20, G21, G22, G23, G24, G25, G26, G27, G28, G29, G30, G31, G32,
	H int
}

func TestTypesWithRulesOfTheirOwnAreNotPlain(t *testing.T) {
	type embedded struct{ leaf }
	assert.False(t, isDone[time.Time](t, `"2026-01-02T03:04:05Z"`), "it has UnmarshalJSON")
	assert.False(t, isDone[struct{ At *time.Time }](t, `{}`))
	assert.False(t, isDone[map[string]big.Int](t, `{"a":1}`), "its pointer has UnmarshalJSON")
	assert.False(t, isDone[json.Number](t, `1`))
	assert.False(t, isDone[json.RawMessage](t, `1`))
	assert.False(t, isDone[[]byte](t, `"YQ=="`))
	assert.False(t, isDone[[2]int](t, `[1]`))
	assert.False(t, isDone[any](t, `1`))
	assert.False(t, isDone[map[int]string](t, `{"1":"a"}`))
	assert.False(t, isDone[embedded](t, `{"ok":true}`))
	assert.False(t, isDone[list](t, `{"Next":null}`))
	assert.False(t, isDone[crowd](t, `{}`))
	assert.False(t, isDone[struct {
		A int `json:",string"`
	}](t, `{"A":"1"}`))
	assert.False(t, isDone[struct {
		A int `json:"é"`
	}](t, `{"é":1}`))
	assert.False(t, isDone[struct {
		A int
		B int `json:"A"`
	}](t, `{"A":1}`), "the field with the tag has the name")
}

func TestPlainValuesAreEncodedAsByEncodingJSON(t *testing.T) {
	var all plain
	assert.NoError(t, json.Unmarshal([]byte(document), &all))
	assert.True(t, isEncoded(t, all))
	assert.True(t, isEncoded(t, &all))
	for _, v := range []any{
		plain{},
		(*plain)(nil),
		[]*place{nil, {}},
		map[word][]int{"b": nil, "a": {}, "": {1}},
		map[string]int(nil),
		struct{}{},
		"<>&\x7f\x00\x1f\b\f\n\r\t\"\\/ \u2028\u2029\ufffd\xff\xe2\x80é😀\xed\xa0\x80", int64(math.MinInt64), uint64(math.MaxUint64), true,
		0.0, math.Copysign(0, -1), 1.5, -1e20, 0.1, float32(0.1), float32(16777216), 123456789.125, 0.00001,
		struct {
			A string            `json:",omitempty"`
			B *int              `json:",omitempty"`
			C []int             `json:",omitempty"`
			D map[string]string `json:",omitempty"`
			F float32           `json:",omitempty"`
			G bool              `json:"g,omitempty"`
		}{C: []int{}, D: map[string]string{}},
	} {
		assert.True(t, isEncoded(t, v), "%#v", v)
	}
}

func TestWhatHasRulesOfItsOwnIsNotEncoded(t *testing.T) {
	for _, v := range []any{
		nil, math.NaN(), math.Inf(1), 1e21, 1e-7, float32(1e-6),
		[]float64{1, 1e300},
		map[string]float64{"a": math.NaN()},
		&struct{ A float64 }{math.Inf(-1)},
		time.Time{},
		&time.Time{}, big.NewInt(1),
		struct{ At time.Time }{},
		[]byte("a"),
		[1]int{},
		map[int]int{},
		map[word]any{},
		any(nil), make(chan int),
		list{},
		json.Number("1"), json.RawMessage("1"),
		struct {
			A int `json:",string"`
		}{},
		struct {
			A int `json:",omitzero"`
		}{},
		struct{ leaf }{},
	} {
		assert.False(t, isEncoded(t, v), "%#v", v)
	}
}

func TestAValueThatIsNotZeroIsLeftAsItIs(t *testing.T) {
	was, d := leaf{OK: true}, plainjson.Codec{}
	assert.False(t, d.Decode([]byte(`{"Words":["a"]}`), &was))
	assert.Equal(t, leaf{OK: true}, was)
}

func TestTheResultDoesNotShareTheDocumentsMemory(t *testing.T) {
	doc := []byte(`{"name":"tea","labels":{"a":"b"},"tags":["c"]}`)
	var got plain
	var d plainjson.Codec
	assert.True(t, d.Decode(doc, &got))
	copy(doc, bytes.Repeat([]byte("x"), len(doc)))
	assert.Equal(t, plain{Name: "tea", Labels: map[string]string{"a": "b"}, Tags: []string{"c"}}, got)
}

func TestManyGoroutinesMayUseADecoder(t *testing.T) {
	var d plainjson.Codec
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				var got leaf
				assert.True(t, d.Decode([]byte(`{"ok":true,"Words":["a","b"]}`), &got))
				assert.Equal(t, leaf{OK: true, Words: []word{"a", "b"}}, got)
				assert.False(t, d.Decode([]byte(`{}`), new(time.Time)))
			}
		})
	}
	wg.Wait()
}

func FuzzAValueIsEncodedAsByEncodingJSONOrNotAtAll(f *testing.F) {
	f.Add("té\u2028\xff\n<", 1.5, float32(0.1), int64(-1), uint8(3))
	f.Fuzz(func(t *testing.T, s string, f64 float64, f32 float32, i int64, u uint8) {
		isEncoded(t, s)
		isEncoded(t, f64)
		isEncoded(t, []float32{f32, -f32})
		isEncoded(t, plain{Name: s, Count: int(i), Tiny: u, Ratio: f64, Labels: map[string]string{s: s, "a": s}, Tags: []string{s}})
	})
}

func FuzzADocumentIsDecodedAsByEncodingJSONOrNotAtAll(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(`["\u00e9",null,-0.5e+3]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		isDone[plain](t, string(doc))
		isDone[[]place](t, string(doc))
		isDone[map[word][]*float32](t, string(doc))
		isDone[string](t, string(doc))
		isDone[int16](t, string(doc))
	})
}

type item struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	Tags  []string `json:"tags"`
}

const itemJSON = `{"name":"tea","count":3,"tags":["green","loose","organic"]}`

// BenchmarkDecode compares the two decoders for a small document.
func BenchmarkDecode(b *testing.B) {
	var ours plainjson.Codec
	theirs := func(doc []byte, v any) bool { return json.Unmarshal(doc, v) == nil }
	for name, decode := range map[string]func(doc []byte, v any) bool{"plainjson": ours.Decode, "encoding": theirs} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var in item
				if !decode([]byte(itemJSON), &in) {
					b.Fatal("not decoded")
				}
			}
		})
	}
}

// BenchmarkEncode compares the two encoders for a small value. Both write to memory that is used again.
func BenchmarkEncode(b *testing.B) {
	var ours plainjson.Codec
	var room []byte
	var out bytes.Buffer
	theirs := json.NewEncoder(&out)
	for name, encode := range map[string]func(v any) int{
		"plainjson": func(v any) int { room = ours.Append(room[:0], v); return len(room) },
		"encoding":  func(v any) int { out.Reset(); _ = theirs.Encode(v); return out.Len() - 1 },
	} {
		b.Run(name, func(b *testing.B) {
			v := &item{Name: "tea", Count: 3, Tags: []string{"green", "loose", "organic"}}
			b.ReportAllocs()
			for b.Loop() {
				if encode(v) != len(itemJSON) {
					b.Fatal("not encoded")
				}
			}
		})
	}
}
