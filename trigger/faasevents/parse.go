package faasevents

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxDepth is how deep a pattern may nest: what walks it is recursive.
const maxDepth = 64

// parse reads a pattern's JSON. encoding/json by itself would keep the last of
// two equal keys, and so drop a condition that somebody wrote.
func parse(text string) (any, error) {
	p := parser{dec: json.NewDecoder(strings.NewReader(text))}
	p.dec.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, wrong("", "something follows the pattern's end")
	}
	return v, nil
}

type parser struct{ dec *json.Decoder }

func (p parser) value(path string, depth int) (any, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, wrong(path, "not JSON: %v", err)
	}
	d, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxDepth {
		return nil, wrong(path, "nested more than %d deep", maxDepth)
	}
	if d == '{' {
		return p.object(path, depth)
	}
	return p.array(path, depth)
}

func (p parser) object(path string, depth int) (any, error) {
	fields := map[string]any{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return nil, wrong(path, "not JSON: %v", err)
		}
		key, _ := t.(string) // the decoder sees to that
		at := path + "/" + pointer(key)
		if _, twice := fields[key]; twice {
			return nil, wrong(at, "the key is there twice; write one array with the values of both, or an $or")
		}
		if fields[key], err = p.value(at, depth+1); err != nil {
			return nil, err
		}
	}
	return fields, p.end(path)
}

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

func (p parser) end(path string) error {
	if _, err := p.dec.Token(); err != nil {
		return wrong(path, "not JSON: %v", err)
	}
	return nil
}

// pointer escapes a key for a JSON pointer.
func pointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// decodeJSON reads the JSON of an event, which nobody here has written: of two
// equal keys the last wins, as it does for the function that gets it.
func decodeJSON(data []byte) (any, error) {
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

// sorted makes errors and tests the same every time.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
