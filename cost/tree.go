package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

// bookReader reads a book, and collects its mistakes with their positions. json.Unmarshal
// would not do, since it drops the positions of values.
type bookReader struct {
	file string
	data []byte
	errs []error
}

// node is a JSON value with its position.
type node struct {
	at      int    // offset of its first byte
	field   string // its path
	kind    kind
	text    string // the text of a string, number or boolean
	members []member
	items   []*node
}

type member struct {
	at    int // of the key
	key   string
	value *node
}

type kind uint8

const (
	kindNull kind = iota
	kindObject
	kindArray
	kindString
	kindNumber
	kindBool
)

// maxNesting is deeper than any book, and shallow enough for the stack.
const maxNesting = 8

// tree reads all of the data. If the data is not JSON, it adds the mistake to r.errs and returns
// nil.
func (r *bookReader) tree() *node {
	if i := invalidUTF8(r.data); i >= 0 {
		r.failAt(i, "", "not UTF-8")
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(r.data))
	dec.UseNumber()
	root := r.value(dec, "", 0)
	if root == nil {
		return nil
	}
	end := r.next(dec)
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		r.failAt(end, "", "something follows after the book's end")
		return nil
	}
	return root
}

// value reads one value with everything inside it. It returns nil if it has reported a
// mistake. depth bounds the recursion, so that a book of brackets alone can't exhaust the
// stack.
func (r *bookReader) value(dec *json.Decoder, field string, depth int) *node {
	n := &node{at: r.next(dec), field: field}
	if depth > maxNesting {
		r.failAt(n.at, field, "nested too deeply")
		return nil
	}
	token, ok := r.token(dec, field)
	if !ok {
		return nil
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			n.kind = kindObject
			return r.fields(dec, n, depth)
		}
		n.kind = kindArray
		return r.elements(dec, n, depth)
	case string:
		n.kind, n.text = kindString, t
	case json.Number:
		n.kind, n.text = kindNumber, t.String()
	case bool:
		n.kind, n.text = kindBool, strconv.FormatBool(t)
	}
	return n
}

// fields reads the members of an object. A key that occurs twice is a mistake; encoding/json
// would silently take the last one.
func (r *bookReader) fields(dec *json.Decoder, n *node, depth int) *node {
	for dec.More() {
		at := r.next(dec)
		token, ok := r.token(dec, n.field)
		if !ok {
			return nil
		}
		key, _ := token.(string) // the decoder returns only strings here
		if n.get(key) != nil {
			r.failAt(at, join(n.field, key), "is there twice")
		}
		v := r.value(dec, join(n.field, key), depth+1)
		if v == nil {
			return nil
		}
		n.members = append(n.members, member{at, key, v})
	}
	_, ok := r.token(dec, n.field) // the closing brace
	return n.where(ok)
}

// elements reads the items of an array.
func (r *bookReader) elements(dec *json.Decoder, n *node, depth int) *node {
	for dec.More() {
		v := r.value(dec, n.field+"["+strconv.Itoa(len(n.items))+"]", depth+1)
		if v == nil {
			return nil
		}
		n.items = append(n.items, v)
	}
	_, ok := r.token(dec, n.field) // the closing bracket
	return n.where(ok)
}

func (n *node) where(ok bool) *node {
	if !ok {
		return nil
	}
	return n
}

// get returns a member, or nil if there is none.
func (n *node) get(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// token reads the next token. If the data is not JSON, it reports the mistake and returns false.
func (r *bookReader) token(dec *json.Decoder, field string) (json.Token, bool) {
	at := r.next(dec)
	token, err := dec.Token()
	if err == nil {
		return token, true
	}
	text := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, text = len(r.data), "the book ends too early"
	}
	r.failAt(at, field, "not JSON: %s", text)
	return nil, false
}

// next returns the offset of the next token. The decoder itself only has the end of the last
// one.
func (r *bookReader) next(dec *json.Decoder) int {
	at := int(dec.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[at]) >= 0 {
		at++
	}
	return at
}

// fieldsOf is an object with keys that have been checked.
type fieldsOf struct {
	r *bookReader
	n *node // nil if it is not an object, which has been reported
}

// object checks that n is an object that has only these keys.
func (r *bookReader) object(n *node, name string, keys ...string) fieldsOf {
	if n == nil {
		return fieldsOf{r, nil}
	}
	if n.kind != kindObject {
		r.fail(n, "write an object, {…}")
		return fieldsOf{r, nil}
	}
	for _, m := range n.members {
		if !slices.Contains(keys, m.key) {
			r.failAt(m.at, join(name, m.key), "no such field; there are %q", keys)
		}
	}
	return fieldsOf{r, n}
}

// maybe returns an optional field, or nil if it is missing.
func (o fieldsOf) maybe(key string) *node {
	if o.n == nil {
		return nil
	}
	return o.n.get(key)
}

// need returns a required field. It reports a mistake if the field is missing.
func (o fieldsOf) need(key string) *node {
	n := o.maybe(key)
	if n == nil && o.n != nil {
		o.r.failAt(o.n.at, join(o.n.field, key), "is missing")
	}
	return n
}

// list returns the items of a list that must not be empty.
func (r *bookReader) list(n *node) []*node {
	switch {
	case n == nil:
	case n.kind != kindArray || len(n.items) == 0:
		r.fail(n, "write a list, [ … ], that is not empty")
	default:
		return n.items
	}
	return nil
}

func (r *bookReader) text(n *node) string {
	switch {
	case n == nil:
	case n.kind != kindString || n.text == "":
		r.fail(n, "write a string that is not empty")
	default:
		return n.text
	}
	return ""
}

func (r *bookReader) flag(n *node) bool {
	if n != nil && n.kind != kindBool {
		r.fail(n, "write true or false")
	}
	return n != nil && n.text == "true"
}

func (r *bookReader) whole(n *node) int64 {
	if n == nil {
		return 0
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if n.kind != kindNumber || err != nil {
		r.fail(n, "write a whole number")
	}
	return v
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1 if there is none.
// encoding/json would replace such a byte silently.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// position turns an offset into a line and a column, both from 1.
func position(data []byte, offset int) (line, column int) {
	before := data[:min(max(offset, 0), len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// fail reports a mistake at a value.
func (r *bookReader) fail(n *node, format string, args ...any) {
	r.failAt(n.at, n.field, format, args...)
}

// failAt reports a mistake at an offset.
func (r *bookReader) failAt(offset int, field, format string, args ...any) {
	line, column := position(r.data, offset)
	r.errs = append(r.errs, &BookError{r.file, line, column, field, fmt.Sprintf(format, args...)})
}
