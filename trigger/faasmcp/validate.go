package faasmcp

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/google/jsonschema-go/jsonschema"
)

// resolve resolves a schema in any of the forms that the SDK accepts: a *Schema, raw JSON, or a
// map.
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

// validate checks JSON against a schema.
func validate(s *jsonschema.Resolved, data []byte) error {
	v, err := parse(data)
	if err != nil {
		return err
	}
	return validateValue(s, withNumbers(v))
}

// validateValue checks a value that withNumbers has returned. The library may panic for an
// unusual schema, which WithTool can set. Then the value counts as not fitting.
func validateValue(s *jsonschema.Resolved, v any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the schema can't be applied to it")
		}
	}()
	return s.Validate(v)
}

// withNumbers replaces each json.Number in v by an int64 or a float64, because the validator
// supports only these. It changes v in place. A number beyond float64 becomes the largest
// float64: the decoder, and not the validator, decides whether a number fits its type.
func withNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = withNumbers(member)
		}
	case []any:
		for i, item := range v {
			v[i] = withNumbers(item)
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // f is infinite if the number is out of range
		return max(min(f, math.MaxFloat64), -math.MaxFloat64)
	}
	return v
}
