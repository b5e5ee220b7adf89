// Package faasmcp offers functions to AI agents as tools of the Model Context
// Protocol (MCP).
//
//	type query struct {
//		Text string `json:"text" jsonschema:"what to look for"`
//	}
//	faas.Register(r, "search", search, faas.WithTimeout(2*time.Second), faas.WithConcurrency(8))
//
//	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1.0.0"}, nil)
//	faasmcp.AddTools(server, r, faasmcp.WithTool("search", func(t *mcp.Tool) { t.Description = "Searches the archive." }))
//
//	err := server.Run(ctx, &mcp.StdioTransport{})                                                          // over stdio
//	http.Handle("/mcp", mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)) // or HTTP
//
// The server, its transports and its other features come from
// github.com/modelcontextprotocol/go-sdk; this package adds the tools. Every
// tool call is a call of the router: limits, queues, deadlines, budgets and
// records apply to agents as to other callers.
//
// # Schemas
//
// A tool's input and output schemas are inferred from its function's types, by the rules of
// encoding/json. json tags name the properties, and a jsonschema tag describes one. A property
// is required unless it is omitempty or omitzero, or belongs to a struct that is embedded as a
// pointer. A type with methods for text is a JSON string. A type with methods for JSON may be
// any JSON, unless its method reads the JSON of its fields.
//
// The input is validated against its schema before the function runs, and the output after the
// function has run. A zero value of the output is validated when the tool is added. Functions
// must use the default codec, JSON.
//
// Agents send some JSON that encoding/json does not read; it is changed before it is decoded.
// For example, 1.0 is accepted as an integer, and a field with the option ",string" may be sent
// with or without the quotes.
//
// MCP requires objects. If a function's input is a struct or a map, the arguments are that
// object. An input of another type, for example a string or a slice, is the one argument
// "input". A function whose input is []byte, json.RawMessage or any gets all arguments
// unchanged. An output that is not an object becomes {"output": …}, and is also sent as text.
// []byte is sent as text, or as an image, audio or a blob if it is not text; struct{} has no
// content. [WithResultLimit] bounds the length of an answer.
//
// A type that has no schema, for example a recursive one, needs one from [WithTool].
//
// # Who is calling
//
// Each agent is a tenant of the router: waiting calls of several agents are served in turn, and
// records, bills and budgets are kept for each agent. The tenant is the user of the agent's
// verified bearer token. Without one it is the agent's session, and without a session the name
// that the client states. [WithTenant] says how reliable each of these is, and replaces them.
// For example, a budget for each session starts again with each session, and a budget for each
// principal does not.
//
// The records show where a call comes from: its [faas.Origin] has the Door "mcp" and, over
// HTTP, the X-Request-Id of the request. The SDK does not give a tool the id of its MCP
// request. For tracing, for example by observe/faasotel, the trace context of a call is read
// from "traceparent" and "tracestate" in params._meta. If these are missing, the headers of the
// HTTP request are used.
//
// # Failures
//
// As MCP requires, an error is a result that the agent's model reads: it has IsError and a
// text. For a function's error this is the text of the error. The texts for timeouts, refusals
// and panics show nothing of what happened inside. Each of these results has a [Failure] in its
// _meta, which tells a program how the call failed and when to try again. If a function has run
// and its answer can't be passed on, the text says so: another call would have the same end.
// Only a tool that does not exist is an error of the protocol.
//
// If a client cancels a call, the function's context is canceled. The same happens if a client
// over stdio disconnects. Over HTTP, the transport's PropagateRequestCancellation decides
// whether a disconnect cancels the call.
package faasmcp
