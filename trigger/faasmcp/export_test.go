package faasmcp

import (
	"encoding/json"
	"reflect"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// SetInferred sets a schema for an output of type t as set-up does, as if it had
// been inferred.
func SetInferred(t reflect.Type, schema string) error {
	return new(shape).setInferred(t, json.RawMessage(schema), new(mcp.Tool))
}
