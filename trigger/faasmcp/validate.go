package faasmcp

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/google/jsonschema-go/jsonschema"
)

// resolve takes a schema in any of the forms that the SDK takes: a *Schema, raw
// JSON, or a map.
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

// validateValue checks a value of withNumbers. The library may panic for an odd
// schema, which a user can give. The value then counts as one that does not fit.
func validateValue(s *jsonschema.Resolved, v any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it can't be checked")
		}
	}()
	return s.Validate(v)
}

// withNumbers returns v with each json.Number as an int64 or a float64, which are
// what the validator knows. It changes v. A number beyond float64 becomes the
// largest float64: the decoder, and not the validator, decides whether it fits its
// type.
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
		f, _ := v.Float64() // out of range it is infinite
		return max(min(f, math.MaxFloat64), -math.MaxFloat64)
	}
	return v
}
