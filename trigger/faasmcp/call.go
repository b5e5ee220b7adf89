package faasmcp

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/tracecontext"
)

// call is the handler of one tool. The SDK runs it on a goroutine of each request. It is never
// changed, so requests read it without a lock: Refresh makes a new call instead.
type call struct {
	shape

	router   *faas.Router
	settings *settings
	name     string
}

// handle is the mcp.ToolHandler. It returns an error of the protocol for a tool that does not
// exist. All other failures are results.
func (c *call) handle(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	res, err := c.answer(ctx, req)
	if err != nil {
		return nil, err
	}
	return bounded(c.name, c.settings.limit, res), nil
}

func (c *call) answer(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	payload, err := c.payload(req.Params.Arguments)
	if err != nil {
		return unfit(err), nil
	}
	tenant, ok := c.tenant(ctx, req)
	if !ok {
		return failed(Failure{Outcome: Refused, Reason: faas.ReasonDenied}, "this call of "+c.name+" is not permitted"), nil
	}
	ctx = faas.WithOrigin(faas.WithTenant(withTrace(ctx, req), tenant), originOf(req))
	out, err := c.router.Invoke(ctx, c.name, payload)
	if err != nil {
		return failureOf(c.name, err)
	}
	return c.result(c.name, out), nil
}

// originOf returns the origin of a call. Its RequestID is the X-Request-Id of the HTTP request,
// or empty. The id of the MCP request would be of no use in records: it counts from 1 in each
// session, and the SDK does not show it to tools.
func originOf(req *mcp.CallToolRequest) faas.Origin {
	o := faas.Origin{Trigger: "other", Door: "mcp"}
	if req.Extra != nil {
		o.RequestID = req.Extra.Header.Get("X-Request-Id")
	}
	return o
}

// withTrace returns ctx with the trace context of a call. It uses the keys of params._meta that
// the protocol reserves for it (SEP-414), or without them the headers of the HTTP request.
func withTrace(ctx context.Context, req *mcp.CallToolRequest) context.Context {
	if parent, _ := req.Params.Meta[tracecontext.TraceParent].(string); parent != "" {
		state, _ := req.Params.Meta[tracecontext.TraceState].(string)
		return tracecontext.With(ctx, parent, state)
	}
	if req.Extra == nil {
		return ctx
	}
	return tracecontext.With(ctx, req.Extra.Header.Get(tracecontext.TraceParent), req.Extra.Header.Get(tracecontext.TraceState))
}

// payload returns the function's input for a tool's arguments. Its error says which part of the
// arguments does not fit the input schema.
func (c *call) payload(arguments json.RawMessage) ([]byte, error) {
	if len(bytes.TrimSpace(arguments)) == 0 || string(arguments) == "null" { // in MCP the arguments are optional
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
	return unwrapped(arguments)
}

// unwrapped returns the argument "input", for a function whose input is not an object.
func unwrapped(arguments json.RawMessage) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &members); err != nil {
		return nil, err
	}
	return members[inputName], nil
}

// tenant calls WithTenant's func, which is foreign code. If it panics, the call is refused:
// with an empty tenant the call would escape every limit that counts by tenant.
func (c *call) tenant(ctx context.Context, req *mcp.CallToolRequest) (tenant string, ok bool) {
	defer func() {
		if recover() != nil {
			tenant, ok = "", false
		}
	}()
	return c.settings.tenant(ctx, req), true
}

// unfit returns the result for arguments that do not fit the schema. Its text is about the
// schema, which the model has, so that the model can correct the arguments.
func unfit(err error) *mcp.CallToolResult {
	return failed(Failure{Outcome: Refused, Reason: faas.ReasonInput}, "the arguments don't fit the tool's input schema: "+err.Error())
}
