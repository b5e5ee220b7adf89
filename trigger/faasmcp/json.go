package faasmcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// parse decodes JSON and keeps numbers as text, so that none of their digits is lost.
func parse(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more data follows the JSON value")
	}
	return v, nil
}

// unparse encodes JSON without escaping <, > and &, because a model reads it and not a browser.
func unparse(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// zeroOf returns the JSON of a type's zero value. It returns an error if a method of the type
// panics, as some do for a zero value.
func zeroOf(t reflect.Type) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return json.Marshal(reflect.New(t).Interface())
}
