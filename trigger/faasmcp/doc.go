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
// The server, its transports and its other features are those of
// github.com/modelcontextprotocol/go-sdk; this package adds the tools. Every
// tool call is a call of the router: limits, queues, deadlines, budgets and
// records hold for agents as for other callers.
//
// # Schemas
//
// A tool's input and output schemas are inferred from its function's types, as
// encoding/json reads and writes them. json tags name the properties, and a
// jsonschema tag describes one. A property is required unless it is omitempty or
// omitzero, or belongs to a struct that is embedded as a pointer. A type with methods
// for text is text. A type with methods for JSON is any JSON, unless its method reads
// the JSON of its fields.
//
// The input is validated against its schema before the function runs, and the output
// after it. A zero value of the output is validated when the tool is added. Functions
// have to use the default codec, JSON.
//
// Where encoding/json is stricter than agents are, the arguments are changed so that
// it reads them: 1.0 is an integer, and a field with the option ",string" may be sent
// with or without the quotes.
//
// MCP wants objects. If a function's input is a struct or a map, it is the arguments.
// Other input, for example a string or a slice, is the one argument "input". []byte,
// json.RawMessage and any take all arguments as they are. Output that is no object
// becomes {"output": …}, and is text besides. []byte is answered as text, or as an
// image, audio or a blob if it is no text; struct{} has no content. See
// [WithResultLimit] for how long an answer may be.
//
// A type that has no schema, for example a recursive one, needs one from [WithTool].
//
// # Who is calling
//
// Each agent is a tenant of the router: calls that wait are taken from the agents in
// turn, and records, bills and budgets are by agent. An agent is known by the user of
// its verified bearer token, else by its session, else by the name that the client
// states. [WithTenant] says how far each can be trusted, and changes it: a budget by
// session begins anew with each session, and a budget by principal does not.
//
// Where the calls come from stands in their records: the [faas.Origin] has the Door
// "mcp" and, over HTTP, the X-Request-Id of the request. The SDK does not show a tool the
// id of its MCP request. For tracing, as by observe/faasotel, a call is a part of the trace
// that params._meta names by "traceparent" and "tracestate"; without these, of the one that
// the HTTP request's headers name.
//
// # Failures
//
// As MCP asks, an error is a result that the agent's model reads: it has IsError and
// a text. For a function's error this is the text of the error. Timeouts, refusals and
// panics have a text that shows nothing from inside. All of them have a [Failure] in
// the result's _meta, which tells a program how the call failed and when to try again.
// If a function has run and its answer can't be passed on, the text says so, since to
// call it again would not help. Only a tool that does not exist is an error of the
// protocol.
//
// If a client cancels a call, the function's context is canceled, and so it is if a
// client over stdio hangs up. Over HTTP, the transport's PropagateRequestCancellation
// says whether hanging up cancels the call.
package faasmcp
