package faasmcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// shape is how a function's input lies in a tool's arguments, and its output in
// a result.
type shape struct {
	wrapIn  bool // the input is the argument "input"
	wrapOut bool // the output becomes {"output": …}
	out     outKind

	inSchema  *jsonschema.Resolved
	outSchema *jsonschema.Resolved // nil: the output has none
}

type outKind uint8

const (
	outJSON outKind = iota
	outText         // a string, which is also the text
	outRaw          // bytes
	outNone
)

const (
	inputName  = "input"
	outputName = "output"
)

// shapeOf completes the tool by the schemas of its function's types.
func shapeOf(in, out reflect.Type, t *mcp.Tool) (shape, error) {
	var s shape
	var err error
	for in.Kind() == reflect.Pointer { // arguments are there, if only as {}
		in = in.Elem()
	}
	if t.InputSchema == nil {
		if t.InputSchema, s.wrapIn, err = inputSchema(in); err != nil {
			return s, fmt.Errorf("its input %v has no schema; give one by WithTool: %w", in, err)
		}
	} else {
		s.wrapIn = !isObject(in) && !takesAnything(in)
	}
	s.out, s.wrapOut = kindOf(out)
	if t.OutputSchema == nil && s.out != outRaw && s.out != outNone && !takesAnything(out) {
		if t.OutputSchema, err = outputSchema(out, s.wrapOut); err != nil {
			return s, fmt.Errorf("its output %v has no schema; give one by WithTool: %w", out, err)
		}
	}
	if s.inSchema, err = resolve(t.InputSchema); err != nil {
		return s, fmt.Errorf("its input schema: %w", err)
	}
	if s.inSchema.Schema().Type != "object" {
		return s, errors.New(`its input schema has to be of type "object"`)
	}
	if t.OutputSchema != nil {
		if s.outSchema, err = resolve(t.OutputSchema); err != nil {
			return s, fmt.Errorf("its output schema: %w", err)
		}
	}
	return s, nil
}

var (
	bytesType = reflect.TypeFor[[]byte]()          //nolint:gochecknoglobals // a constant, but for the language
	rawType   = reflect.TypeFor[json.RawMessage]() //nolint:gochecknoglobals // likewise
)

// takesAnything tells whether a type holds any JSON, so that nothing can be
// said about it.
func takesAnything(t reflect.Type) bool {
	return t == bytesType || t == rawType || t.Kind() == reflect.Interface
}

// isObject tells whether values of a type are objects in JSON.
func isObject(t reflect.Type) bool {
	s, err := schemaOf(t)
	if err != nil { // a recursive struct is one, though it has no schema
		return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
	}
	return s.Type == "object"
}

func inputSchema(t reflect.Type) (s *jsonschema.Schema, wrapped bool, err error) {
	if takesAnything(t) {
		return &jsonschema.Schema{Type: "object"}, false, nil
	}
	if s, err = schemaOf(t); err != nil || s.Type == "object" {
		return s, false, err
	}
	return wrapper(inputName, s), true, nil
}

func outputSchema(t reflect.Type, wrap bool) (*jsonschema.Schema, error) {
	s, err := schemaOf(t)
	if err != nil || !wrap {
		return s, err
	}
	return wrapper(outputName, s), nil
}

func wrapper(name string, s *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{name: s}, Required: []string{name},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
}

// kindOf tells how an output is answered. A pointer to a struct is no object:
// it may be null.
func kindOf(t reflect.Type) (kind outKind, wrap bool) {
	switch {
	case t == bytesType:
		return outRaw, false
	case t == reflect.TypeFor[struct{}]():
		return outNone, false
	case takesAnything(t):
		return outJSON, false
	case t.Kind() == reflect.String:
		return outText, true
	}
	return outJSON, !isObject(t)
}

// schemaOf infers a schema, and knows what encoding/json makes of bytes.
func schemaOf(t reflect.Type) (*jsonschema.Schema, error) {
	return jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		bytesType: {Types: []string{"null", "string"}, ContentEncoding: "base64"},
		rawType:   {},
	}})
}

// resolve takes a schema in any of the forms that the SDK takes.
func resolve(schema any) (*jsonschema.Resolved, error) {
	data, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	s := new(jsonschema.Schema)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	return s.Resolve(nil)
}
