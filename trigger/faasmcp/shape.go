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

	edit      *edit // of the arguments; nil: none
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
	if err := s.describeInput(in, t); err != nil {
		return s, err
	}
	return s, s.describeOutput(out, t)
}

func (s *shape) describeInput(t reflect.Type, tool *mcp.Tool) (err error) {
	for t.Kind() == reflect.Pointer { // arguments are there, if only as {}
		t = t.Elem()
	}
	d, bad := describe(t, false)
	switch {
	case takesAnything(t):
		d = described{schema: &jsonschema.Schema{Type: "object"}}
	case !isObject(t, d, tool.InputSchema != nil):
		s.wrapIn = true
		d = described{wrapper(inputName, d.schema), (&edit{fields: map[string]*edit{inputName: d.edit}}).orNil()}
	}
	s.edit = d.edit
	if tool.InputSchema == nil {
		if bad != nil {
			return fmt.Errorf("its input %v has no schema; give one by WithTool: %w", t, bad)
		}
		tool.InputSchema = d.schema
	}
	if s.inSchema, err = resolve(tool.InputSchema); err != nil {
		return fmt.Errorf("its input schema: %w", err)
	}
	if s.inSchema.Schema().Type != "object" {
		return errors.New(`its input schema has to be of type "object"`)
	}
	return nil
}

func (s *shape) describeOutput(t reflect.Type, tool *mcp.Tool) (err error) {
	switch {
	case t == bytesType:
		s.out = outRaw
	case t == reflect.TypeFor[struct{}]():
		s.out = outNone
	case !takesAnything(t):
		return s.describeJSON(t, tool)
	}
	return s.setOutputSchema(tool)
}

func (s *shape) describeJSON(t reflect.Type, tool *mcp.Tool) error {
	d, bad := describe(t, true)
	if bad == nil && d.schema.Type == "string" && t.Kind() == reflect.String {
		s.out = outText
	}
	s.wrapOut = !isObject(t, d, tool.OutputSchema != nil)
	switch {
	case tool.OutputSchema != nil:
		return s.setOutputSchema(tool)
	case bad != nil:
		return fmt.Errorf("its output %v has no schema; give one by WithTool: %w", t, bad)
	case s.wrapOut:
		tool.OutputSchema = wrapper(outputName, d.schema)
	default:
		tool.OutputSchema = d.schema
	}
	if err := s.setOutputSchema(tool); err != nil {
		return err
	}
	return s.checkZero(t)
}

func (s *shape) setOutputSchema(tool *mcp.Tool) (err error) {
	if tool.OutputSchema == nil {
		return nil
	}
	if s.outSchema, err = resolve(tool.OutputSchema); err != nil {
		return fmt.Errorf("its output schema: %w", err)
	}
	return nil
}

// checkZero tries the schema with the one value of the type that is at hand. A
// tool whose answers don't fit is better found here than by an agent, who would
// call it again. A schema of the user's may well forbid what is empty, and a type
// may have no JSON for its zero value: that tells nothing.
func (s *shape) checkZero(t reflect.Type) error {
	zero, err := zeroOf(t)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	if err := validate(s.outSchema, s.structured(zero)); err != nil {
		return fmt.Errorf("its output %v writes %.80s, which does not fit the schema that was inferred; give one by WithTool: %w", t, zero, err)
	}
	return nil
}

// zeroOf is the JSON of a type's zero value, or an error, also for a panic: the
// methods are foreign code, and some take no zero value.
func zeroOf(t reflect.Type) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return json.Marshal(reflect.New(t).Interface())
}

// structured is the object that an output is answered as.
func (s *shape) structured(out []byte) []byte {
	switch {
	case s.wrapOut:
		return fmt.Appendf(nil, `{%q:%s}`, outputName, out)
	case string(out) == "null": // a nil map
		return []byte("{}")
	}
	return out
}

// describe is walk's description of arguments or of an answer, where a map is an
// object: null stands for one that is empty.
func describe(t reflect.Type, writing bool) (described, error) {
	w := walk{writing: writing, above: map[reflect.Type]bool{}}
	d, err := w.of(t, true)
	if err != nil {
		return described{}, err
	}
	if t.Kind() == reflect.Map && w.methodOf(t, true) == byKind {
		d.schema.Type, d.schema.Types = "object", nil
	}
	return d, nil
}

// takesAnything tells whether a type holds any JSON, so that nothing can be
// said about it.
func takesAnything(t reflect.Type) bool {
	return t == bytesType || t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface
}

// isObject tells whether values of a type are objects in JSON. Of one that walk
// can't describe, such as a recursive one, its kind tells; and so it does of one that
// may have any JSON, if its user has given a schema.
func isObject(t reflect.Type, d described, given bool) bool {
	if d.schema == nil || given && d.schema.Type == "" && d.schema.Types == nil {
		return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
	}
	return d.schema.Type == "object"
}

func wrapper(name string, s *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{name: s}, Required: []string{name},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
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
