package faasmcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
	res, err := c.answer(ctx, req)
	if err != nil {
		return nil, err
	}
	return c.bounded(res), nil
}

func (c *call) answer(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
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
	v, err := parse(arguments)
	if err != nil {
		return nil, err
	}
	v, edited := c.edit.apply(v)
	if edited {
		if arguments, err = unparse(v); err != nil {
			return nil, err
		}
	}
	if err := validateValue(c.inSchema, withNumbers(v)); err != nil {
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
			return c.broken(err)
		}
	}
	res := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	out = c.structured(out)
	if c.outSchema != nil {
		if err := validate(c.outSchema, out); err != nil {
			return c.broken(err)
		}
		res.StructuredContent = json.RawMessage(out)
	} else if len(out) > 0 && out[0] == '{' {
		res.StructuredContent = json.RawMessage(out)
	}
	return res
}

// broken is an output that its own schema does not allow: the function's bug. The
// agent is told what the validator says, which is about an answer meant for it, and
// that the function has run: to call it again would not mend this, and do twice what
// it does.
func (c *call) broken(err error) *mcp.CallToolResult {
	return failed(Failure{Outcome: faas.OutputInvalid.String()}, c.name+" has run, but its output schema does not allow what it answered: "+err.Error())
}

// bounded keeps a result that is too long as it is sent from the client, which may
// close the session over it and lose what else it waits for.
func (c *call) bounded(res *mcp.CallToolResult) *mcp.CallToolResult {
	limit := c.tools.limit
	if mayBeLong(res) <= limit {
		return res
	}
	data, err := json.Marshal(res)
	switch {
	case err != nil, len(data) <= limit: // what can't be encoded is the SDK's to answer
		return res
	case res.IsError:
		return shortened(res)
	}
	return failed(Failure{Outcome: faas.OutputInvalid.String()}, fmt.Sprintf(
		"%s has run, but its answer is %d bytes long as it is sent, and %d are allowed; ask it for less", c.name, len(data), limit))
}

// mayBeLong is how long a result is as it is sent, at most: a byte of a text takes up
// to six, and a byte of data less than that.
func mayBeLong(res *mcp.CallToolResult) int {
	n := 1024 // the rest
	for _, content := range res.Content {
		switch content := content.(type) {
		case *mcp.TextContent:
			n += len(content.Text)
		case *mcp.ImageContent:
			n += len(content.Data)
		case *mcp.AudioContent:
			n += len(content.Data)
		case *mcp.EmbeddedResource:
			n += len(content.Resource.Blob)
		}
	}
	if structured, ok := res.StructuredContent.(json.RawMessage); ok {
		n += len(structured)
	}
	return min(n, math.MaxInt/6) * 6
}

// keptText is how much is left of the text of a failure that is too long.
const keptText = 512

// shortened cuts the text of a failure.
func shortened(res *mcp.CallToolResult) *mcp.CallToolResult {
	text, ok := res.Content[0].(*mcp.TextContent)
	if !ok || len(text.Text) <= keptText {
		return res
	}
	kept := strings.ToValidUTF8(text.Text[:keptText], "")
	res.Content[0] = &mcp.TextContent{Text: fmt.Sprintf("%s… (%d bytes)", kept, len(text.Text))}
	return res
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

// validate checks JSON against a schema.
func validate(s *jsonschema.Resolved, data []byte) error {
	v, err := parse(data)
	if err != nil {
		return err
	}
	return validateValue(s, withNumbers(v))
}

// validateValue checks a value. The library may panic on a schema that is odd
// enough; what can't be checked does not pass.
func validateValue(s *jsonschema.Resolved, v any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it can't be checked")
		}
	}()
	return s.Validate(v)
}
