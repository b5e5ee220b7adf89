package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// errTrailing is the error for data after the JSON value.
var errTrailing = errors.New("more data follows the JSON value")

// maxDepth bounds how deep a pattern may nest, because compiling it and matching with it
// recurse.
const maxDepth = 64

// parse parses a pattern's JSON, token by token. If a key occurs twice, json.Unmarshal would
// keep the last value without an error, and so drop a condition of the pattern.
func parse(text string) (any, error) {
	p := parser{dec: json.NewDecoder(strings.NewReader(text))}
	p.dec.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, errorAt("", "more data follows the pattern")
	}
	return v, nil
}

// parser parses values from the tokens of dec. Numbers stay text.
type parser struct{ dec *json.Decoder }

func (p parser) value(path string, depth int) (any, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, errorAt(path, "not JSON: %v", err)
	}
	d, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxDepth {
		return nil, errorAt(path, "nested more than %d deep", maxDepth)
	}
	if d == '{' {
		return p.object(path, depth)
	}
	return p.array(path, depth)
}

// object reads the fields of an object, up to its closing brace.
func (p parser) object(path string, depth int) (any, error) {
	fields := map[string]any{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return nil, errorAt(path, "not JSON: %v", err)
		}
		key, _ := t.(string) // the decoder accepts only strings as keys
		at := path + "/" + pointer(key)
		if _, twice := fields[key]; twice {
			return nil, errorAt(at, "the key occurs twice; write one array with the values of both, or an $or")
		}
		if fields[key], err = p.value(at, depth+1); err != nil {
			return nil, err
		}
	}
	return fields, p.end(path)
}

// array reads the elements of an array, up to its closing bracket.
func (p parser) array(path string, depth int) (any, error) {
	all := []any{}
	for p.dec.More() {
		v, err := p.value(path+"/"+strconv.Itoa(len(all)), depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, p.end(path)
}

// end reads a closing brace or bracket.
func (p parser) end(path string) error {
	if _, err := p.dec.Token(); err != nil {
		return errorAt(path, "not JSON: %v", err)
	}
	return nil
}

// Decode decodes JSON for [Pattern.Match]. Its numbers are json.Number, with all their digits.
// If a key occurs twice, the last value is used: the function that gets the event decodes it in
// the same way, and a pattern must not match another value than the function gets.
func Decode(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return v, nil
}
