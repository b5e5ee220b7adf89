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
// records hold for agents as for anybody.
//
// # Schemas
//
// A tool's input and output schemas are inferred from its function's types, as
// encoding/json reads and writes them: json tags name the properties, a jsonschema
// tag describes one, and what is not omitempty, omitzero or in an embedded pointer
// is required. A type with methods for text is text, one with methods for JSON is
// any JSON, unless what its method reads are its fields. Input and output are
// validated against the schemas, on the way in before the function is entered, and a
// zero value of the output when the tool is added. Functions have to use the default
// codec, JSON.
//
// Agents are taken at their word where encoding/json is stricter: 1.0 is an integer,
// and a field with the option ",string" may be sent with or without the quotes.
//
// MCP wants objects. Where a function's input is a struct or a map, it is the
// arguments; other input (a string, a slice) is the one argument "input". []byte,
// json.RawMessage and any take the arguments as they are, whatever they are. Output
// that is no object becomes {"output": …}, and text besides. []byte is answered as
// text, or as an image or blob if it is none; struct{} as nothing. See
// [WithResultLimit] for how long an answer may be.
//
// A type that has no schema (a recursive one, say) needs one from [WithTool].
//
// # Who is calling
//
// Each agent is a tenant of the router, so that they take turns where calls
// wait, and records, bills and budgets tell them apart: by the user that the
// bearer token was verified for, else by session, else by the name that the
// client has given itself. See [WithTenant], also for what that is worth: a budget by
// session begins anew with each, and one by principal does not.
//
// # Failures
//
// What becomes of a call is for the agent's model to read, as MCP asks: an
// error is a result with IsError and a text. A function's error is its text.
// Timeouts, refusals and panics have a text without any detail from inside, and
// all of them a [Failure] in the result's _meta, from which a program can tell
// them apart, and when to try again. Where a function has run and its answer can't be
// passed on, the text says so, as to call it again would not help. Only a tool that is not there is an error
// of the protocol.
//
// A client that cancels a call cancels the function's context. So does one that
// hangs up over stdio; over HTTP, the transport's PropagateRequestCancellation
// says whether hanging up is canceling.
package faasmcp
