package faasmcp

import (
	"encoding/json"
	"reflect"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// SetInferred sets an output schema for type t in the same way as an inferred one.
func SetInferred(t reflect.Type, schema string) error {
	return new(shape).setInferred(t, json.RawMessage(schema), new(mcp.Tool))
}
