package faasmcp

import (
	"encoding/json"
	"reflect"
)

// CheckZero tries a type's zero value with a schema, as at set-up.
func CheckZero(t reflect.Type, schema string) error {
	resolved, err := resolve(json.RawMessage(schema))
	if err != nil {
		return err
	}
	return (&shape{outSchema: resolved}).checkZero(t)
}
