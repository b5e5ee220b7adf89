package faasmcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
)

// call is the handler of one tool.
type call struct {
	shape

	tools *Tools
	name  string
}

func (c *call) handle(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	payload, err := c.payload(req.Params.Arguments)
	if err != nil {
		return misfit(err), nil
	}
	tenant, ok := c.tenant(ctx, req)
	if !ok {
		return failed(Failure{Outcome: Refused, Reason: faas.ReasonDenied}, "this call of "+c.name+" is not permitted"), nil
	}
	out, err := c.tools.router.Invoke(faas.WithTenant(ctx, tenant), c.name, payload)
	if err != nil {
		return c.failure(err)
	}
	return c.result(out), nil
}

// payload makes the function's input of a tool's arguments.
func (c *call) payload(arguments json.RawMessage) ([]byte, error) {
	if len(bytes.TrimSpace(arguments)) == 0 || string(arguments) == "null" { // they are optional
		arguments = json.RawMessage("{}")
	}
	if err := validate(c.inSchema, arguments); err != nil {
		return nil, err
	}
	if !c.wrapIn {
		return arguments, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &members); err != nil {
		return nil, err
	}
	return members[inputName], nil
}

// tenant fails closed: a call that belongs to nobody would have no limits.
func (c *call) tenant(ctx context.Context, req *mcp.CallToolRequest) (tenant string, ok bool) {
	defer func() {
		if recover() != nil {
			tenant, ok = "", false
		}
	}()
	return c.tools.tenant(ctx, req), true
}

// misfit tells a model what it has to do better: the text is about the schema,
// which it knows.
func misfit(err error) *mcp.CallToolResult {
	return failed(Failure{Outcome: Refused, Reason: faas.ReasonInput}, "the arguments don't fit the tool's input schema: "+err.Error())
}

// result makes a tool's result of the function's output.
func (c *call) result(out []byte) *mcp.CallToolResult {
	switch c.out {
	case outNone:
		return &mcp.CallToolResult{Content: []mcp.Content{}}
	case outRaw:
		return &mcp.CallToolResult{Content: []mcp.Content{contentOf(c.name, out)}}
	case outText, outJSON:
	}
	text := string(out)
	if c.out == outText {
		if err := json.Unmarshal(out, &text); err != nil {
			return c.broken()
		}
	}
	res := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	switch {
	case c.wrapOut:
		out = fmt.Appendf(nil, `{%q:%s}`, outputName, out)
	case string(out) == "null": // a nil map
		out = []byte("{}")
	}
	if c.outSchema != nil {
		if validate(c.outSchema, out) != nil {
			return c.broken()
		}
		res.StructuredContent = json.RawMessage(out)
	} else if len(out) > 0 && out[0] == '{' {
		res.StructuredContent = json.RawMessage(out)
	}
	return res
}

// broken is an output that its own schema does not allow: the function's bug,
// whose detail is not the agent's.
func (c *call) broken() *mcp.CallToolResult {
	return failed(Failure{Outcome: faas.OutputInvalid.String()}, c.name+" answered what its output schema does not allow")
}

// contentOf says in MCP's words what bytes are.
func contentOf(name string, data []byte) mcp.Content {
	kind := http.DetectContentType(data)
	switch {
	case utf8.Valid(data):
		return &mcp.TextContent{Text: string(data)}
	case strings.HasPrefix(kind, "image/"):
		return &mcp.ImageContent{Data: data, MIMEType: kind}
	case strings.HasPrefix(kind, "audio/"):
		return &mcp.AudioContent{Data: data, MIMEType: kind}
	}
	return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "fn:" + name, MIMEType: kind, Blob: data}}
}

// validate checks JSON against a schema. The library may panic on a schema that
// is odd enough; what can't be checked does not pass.
func validate(s *jsonschema.Resolved, data []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it can't be checked")
		}
	}()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	return s.Validate(v)
}
