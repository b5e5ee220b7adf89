package faasmcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// shape describes how a tool's arguments become its function's input, and how the output
// becomes a result. It is made when the tool is added and not changed after that.
type shape struct {
	wrapIn  bool // the input is the value of the argument "input"
	wrapOut bool // the output becomes {"output": …}
	out     outKind

	edit      *edit // the edit of the arguments, or nil
	inSchema  *jsonschema.Resolved
	outSchema *jsonschema.Resolved // nil if the output has no schema
}

// outKind is the form in which a result has the output.
type outKind uint8

const (
	outJSON outKind = iota // structured, and as text
	outText                // a string: the text is its value, without quotes
	outRaw                 // bytes, which become text, an image, audio or a resource
	outNone                // struct{}: no content
)

// These are the names of the one property of an object that wraps a value of another type.
const (
	inputName  = "input"
	outputName = "output"
)

// shapeOf makes the shape of a function with these types. It sets the schemas that the tool
// does not have yet.
func shapeOf(in, out reflect.Type, t *mcp.Tool) (shape, error) {
	var s shape
	if err := s.describeInput(in, t); err != nil {
		return s, err
	}
	return s, s.describeOutput(out, t)
}

// describeInput sets the tool's input schema if WithTool has not set one, and decides whether
// the input has to be wrapped. It looks at the element of a pointer type: the arguments are
// always an object, if only {}, and never null.
func (s *shape) describeInput(t reflect.Type, tool *mcp.Tool) error {
	for t.Kind() == reflect.Pointer {
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
	return s.setInputSchema(tool)
}

func (s *shape) setInputSchema(tool *mcp.Tool) (err error) {
	if s.inSchema, err = resolve(tool.InputSchema); err != nil {
		return fmt.Errorf("its input schema: %w", err)
	}
	if s.inSchema.Schema().Type != "object" {
		return errors.New(`its input schema has to be of type "object"`)
	}
	return nil
}

// describeOutput decides how the output becomes a result. It sets the tool's output schema if
// the output is JSON and WithTool has not set one.
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
		d.schema = wrapper(outputName, d.schema)
	}
	return s.setInferred(t, d.schema, tool)
}

// setInferred sets an output schema that was inferred from t, and checks it with the zero
// value.
func (s *shape) setInferred(t reflect.Type, schema any, tool *mcp.Tool) error {
	tool.OutputSchema = schema
	if err := s.setOutputSchema(tool); err != nil {
		return err
	}
	return s.checkZero(t)
}

// setOutputSchema resolves the tool's output schema, if there is one.
func (s *shape) setOutputSchema(tool *mcp.Tool) (err error) {
	if tool.OutputSchema == nil {
		return nil
	}
	if s.outSchema, err = resolve(tool.OutputSchema); err != nil {
		return fmt.Errorf("its output schema: %w", err)
	}
	return nil
}

// checkZero validates the type's zero value by the inferred schema. An error at set-up is
// better than a later one: then an agent would get a failure from a function that has run, and
// would call it again. A type whose zero value has no JSON passes, because that shows nothing
// about other values. A schema of WithTool is not checked in this way: it may well forbid empty
// values.
func (s *shape) checkZero(t reflect.Type) error {
	zero, err := zeroOf(t)
	if err != nil {
		return nil //nolint:nilerr // a zero value without JSON shows nothing about other values
	}
	if err := validate(s.outSchema, s.structured(zero)); err != nil {
		return fmt.Errorf("the zero value of its output %v is %.80s, which does not fit the inferred schema; give a schema by WithTool: %w", t, zero, err)
	}
	return nil
}

// structured returns the JSON object that is sent for an output.
func (s *shape) structured(out []byte) []byte {
	switch {
	case s.wrapOut:
		return fmt.Appendf(nil, `{%q:%s}`, outputName, out)
	case string(out) == "null": // a nil map
		return []byte("{}")
	}
	return out
}

// describe describes the type of an input or an output. For such a type itself, a map is an
// object and never null, because MCP requires objects: null is read and written as {}.
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

// takesAnything reports whether a type can hold any JSON, so that a schema would add nothing.
func takesAnything(t reflect.Type) bool {
	return t == bytesType || t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface
}

// isObject reports whether the JSON of a type's values is an object. Its schema decides this.
// The kind of the type decides if there is no schema (for example for a recursive type), or if
// the schema allows any JSON and WithTool has set another one.
func isObject(t reflect.Type, d described, given bool) bool {
	if d.schema == nil || given && d.schema.Type == "" && d.schema.Types == nil {
		return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
	}
	return d.schema.Type == "object"
}

// wrapper returns the schema of an object with one property.
func wrapper(name string, s *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{name: s}, Required: []string{name},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
}
