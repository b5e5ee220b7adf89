package faasmcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faasmcp"
)

func TestAToolHasTheSchemasOfItsTypesAndTags(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "search", func(context.Context, query) (found, error) { return found{}, nil },
		faas.WithLabels(map[string]string{"title": "Search", "description": "Searches the archive."}))
	faas.Register(r, "upper", func(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil })
	faas.Register(r, "tick", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	faas.Register(r, "raw", func(_ context.Context, in []byte) ([]byte, error) { return in, nil })
	faas.Register(r, "hidden", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	server, _ := newServer(t, r,
		faasmcp.WithTool("upper", func(t *mcp.Tool) {
			t.Description, t.Annotations = "Shouts.", &mcp.ToolAnnotations{ReadOnlyHint: true}
		}),
		faasmcp.WithFilter(func(i faas.Info) bool { return i.Name != "hidden" }))
	list, err := connect(t, server, "agent", nil).ListTools(t.Context(), nil)
	require.NoError(t, err)
	tools := map[string]*mcp.Tool{}
	for _, tool := range list.Tools {
		tools[tool.Name] = tool
	}
	require.Len(t, tools, 4)
	require.Equal(t, "Search", tools["search"].Title)
	require.Equal(t, "Searches the archive.", tools["search"].Description)
	require.JSONEq(t, `{
		"type": "object", "required": ["text"], "additionalProperties": false,
		"properties": {
			"text": {"type": "string", "description": "what to look for"},
			"limit": {"type": "integer", "description": "how many at most"}
		}}`, asJSON(t, tools["search"].InputSchema))
	require.JSONEq(t, `{
		"type": "object", "required": ["texts"], "additionalProperties": false,
		"properties": {"texts": {"type": ["null", "array"], "items": {"type": "string"}}}}`, asJSON(t, tools["search"].OutputSchema))
	require.Equal(t, "Shouts.", tools["upper"].Description)
	require.True(t, tools["upper"].Annotations.ReadOnlyHint)
	require.JSONEq(t, `{"type": "object", "required": ["input"], "additionalProperties": false, "properties": {"input": {"type": "string"}}}`, asJSON(t, tools["upper"].InputSchema))
	require.JSONEq(t, `{"type": "object", "required": ["output"], "additionalProperties": false, "properties": {"output": {"type": "string"}}}`, asJSON(t, tools["upper"].OutputSchema))
	require.JSONEq(t, `{"type": "object", "additionalProperties": false}`, asJSON(t, tools["tick"].InputSchema))
	require.Nil(t, tools["tick"].OutputSchema)
	require.JSONEq(t, `{"type": "object"}`, asJSON(t, tools["raw"].InputSchema))
	require.Nil(t, tools["raw"].OutputSchema)
}

func TestAnswersAreStructuredAndText(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 1, 1))))
	r := faastest.New(t)
	faas.Register(r, "search", func(_ context.Context, q query) (found, error) { return found{[]string{q.Text}}, nil })
	faas.Register(r, "pointer", func(_ context.Context, q *query) (*found, error) {
		if q.Text == "" {
			return nil, nil //nolint:nilnil // what the test is about
		}
		return &found{[]string{q.Text}}, nil
	})
	faas.Register(r, "upper", func(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil })
	faas.Register(r, "sum", func(_ context.Context, all []int) (int, error) {
		sum := 0
		for _, n := range all {
			sum += n
		}
		return sum, nil
	})
	faas.Register(r, "nilmap", func(context.Context, struct{}) (map[string]int, error) { return nil, nil })
	faas.Register(r, "tick", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	faas.Register(r, "raw", func(_ context.Context, in []byte) ([]byte, error) { return in, nil })
	faas.Register(r, "any", func(_ context.Context, in any) (any, error) { return in, nil })
	faas.Register(r, "json", func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	faas.Register(r, "picture", func(context.Context, struct{}) ([]byte, error) { return picture.Bytes(), nil })
	faas.Register(r, "blob", func(context.Context, struct{}) ([]byte, error) { return []byte{0xff, 0x00, 0xfe}, nil })
	faas.Register(r, "when", func(_ context.Context, at time.Time) (time.Time, error) { return at.UTC(), nil })
	faas.Register(r, "bytes", func(_ context.Context, in struct{ Data []byte }) (struct{ Data []byte }, error) { return in, nil })
	server, _ := newServer(t, r)
	cs := connect(t, server, "agent", nil)
	type args = map[string]any
	for _, c := range []struct {
		tool       string
		arguments  any
		text, json string
	}{
		{"search", args{"text": "x", "limit": 3}, `{"texts":["x"]}`, `{"texts":["x"]}`},
		{"pointer", args{"text": "x"}, `{"texts":["x"]}`, `{"output":{"texts":["x"]}}`},
		{"pointer", args{"text": ""}, `null`, `{"output":null}`},
		{"upper", args{"input": "shout"}, "SHOUT", `{"output":"SHOUT"}`},
		{"sum", args{"input": []int{1, 2, 3}}, "6", `{"output":6}`},
		{"nilmap", nil, "null", `{}`},
		{"raw", args{"whatever": true}, `{"whatever":true}`, `null`},
		{"any", args{"a": 1}, `{"a":1}`, `{"a":1}`},
		{"json", args{"a": int64(9007199254740993)}, `{"a":9007199254740993}`, `{"a":9007199254740993}`},
		{"when", args{"input": "2026-05-17T12:00:00+02:00"}, "2026-05-17T10:00:00Z", ``},
		{"bytes", args{"Data": "aGk="}, `{"Data":"aGk="}`, `{"Data":"aGk="}`},
	} {
		res := ask(t, cs, c.tool, c.arguments)
		require.False(t, res.IsError, "%s: %s", c.tool, asJSON(t, res))
		if c.json != "" {
			require.Equal(t, c.text, text(t, res), c.tool)
			if c.tool != "json" { // the client decodes numbers to float64
				require.JSONEq(t, c.json, asJSON(t, res.StructuredContent), c.tool)
			}
		} else {
			require.Equal(t, `"`+c.text+`"`, text(t, res))
		}
		_, bad := faasmcp.FailureOf(res)
		require.False(t, bad)
	}
	require.Empty(t, ask(t, cs, "tick", nil).Content)
	img, ok := ask(t, cs, "picture", nil).Content[0].(*mcp.ImageContent)
	require.True(t, ok)
	require.Equal(t, "image/png", img.MIMEType)
	require.Equal(t, picture.Bytes(), img.Data)
	blob, ok := ask(t, cs, "blob", nil).Content[0].(*mcp.EmbeddedResource)
	require.True(t, ok)
	require.Equal(t, []byte{0xff, 0x00, 0xfe}, blob.Resource.Blob)
}

func TestArgumentsThatDontFitAreRefusedBeforeTheFunctionIsEntered(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "search", func(_ context.Context, q query) (found, error) { return found{[]string{q.Text}}, nil })
	faas.Register(r, "upper", func(_ context.Context, s string) (string, error) { return s, nil })
	server, _ := newServer(t, r)
	cs := connect(t, server, "agent", nil)
	for _, c := range []struct {
		tool      string
		arguments string
		text      string
	}{
		{"search", `{}`, "text"},
		{"search", `{"text": 5}`, "text"},
		{"search", `{"text": "x", "limit": "3"}`, "limit"},
		{"search", `{"text": "x", "limit": 1.5}`, "limit"},
		{"search", `{"text": "x", "more": 1}`, "more"},
		{"search", `{"Text": "x"}`, "Text"},
		{"search", `[]`, "array"},
		{"upper", `{"input": 5}`, "input"},
		{"upper", `{}`, "input"},
	} {
		res := ask(t, cs, c.tool, json.RawMessage(c.arguments))
		require.True(t, res.IsError, c.arguments)
		require.Contains(t, text(t, res), c.text, c.arguments)
		f, ok := faasmcp.FailureOf(res)
		require.True(t, ok)
		require.Equal(t, faasmcp.Failure{Outcome: faasmcp.Refused, Reason: faas.ReasonInput}, f)
	}
	for info := range r.Functions() {
		require.Zero(t, info.Admitted)
	}
}

func TestRefreshFollowsTheRouter(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "stays", func(context.Context, query) (found, error) { return found{}, nil })
	faas.Register(r, "goes", func(context.Context, query) (found, error) { return found{}, nil })
	server, tools := newServer(t, r)
	changes := make(chan struct{}, 10)
	cs := connect(t, server, "agent", &mcp.ClientOptions{ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changes <- struct{}{} }})
	names := func() (all []string) {
		list, err := cs.ListTools(t.Context(), nil)
		require.NoError(t, err)
		for _, tool := range list.Tools {
			all = append(all, tool.Name)
		}
		return all
	}
	require.Equal(t, []string{"goes", "stays"}, names())

	require.NoError(t, r.Remove("goes"))
	_, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "goes", Arguments: query{Text: "x"}})
	requireUnknown(t, err, "not yet refreshed, and gone all the same")
	_, err = cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "never"})
	requireUnknown(t, err)

	faas.Register(r, "comes", func(_ context.Context, s string) (string, error) { return s, nil })
	require.NoError(t, tools.Refresh())
	<-changes
	require.Equal(t, []string{"comes", "stays"}, names())
	require.Equal(t, "hi", text(t, ask(t, cs, "comes", map[string]any{"input": "hi"})))

	require.NoError(t, r.Remove("comes"))
	faas.Register(r, "comes", func(_ context.Context, q query) (string, error) { return q.Text, nil })
	require.NoError(t, tools.Refresh())
	<-changes
	require.Equal(t, "hi", text(t, ask(t, cs, "comes", query{Text: "hi"})))

	faas.Register(r, "comes", func(_ context.Context, q query) (string, error) { return q.Text, nil }, faas.WithVersion(1))
	require.NoError(t, r.Remove("comes"))
	require.NoError(t, tools.Refresh())
	<-changes
	require.Equal(t, []string{"stays"}, names(), "the name alone calls nothing")
}

func requireUnknown(t *testing.T, err error, why ...any) {
	t.Helper()
	var wire *jsonrpc.Error
	require.ErrorAs(t, err, &wire, why...)
	require.EqualValues(t, jsonrpc.CodeInvalidParams, wire.Code)
	require.Contains(t, wire.Message, "unknown tool")
}

type tree struct {
	Left, Right *tree
}

func TestAFunctionWithoutASchemaIsNamedAndTheOthersAreOffered(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "good", func(context.Context, query) (found, error) { return found{}, nil })
	faas.Register(r, "recursive", func(_ context.Context, in tree) (tree, error) { return in, nil })
	faas.Register(r, "mute", func(context.Context, query) (chan int, error) { return nil, nil })
	server := mcp.NewServer(&mcp.Implementation{Name: "tools"}, nil)
	tools, err := faasmcp.TryAddTools(server, r)
	require.ErrorIs(t, err, faas.ErrInput)
	require.ErrorContains(t, err, `"recursive"`)
	require.ErrorContains(t, err, `"mute"`)
	require.ErrorContains(t, err, "WithTool")
	require.NotNil(t, tools)
	require.ErrorContains(t, tools.Refresh(), `"mute"`, "it is still so")
	require.NoError(t, r.Remove("mute"))
	require.ErrorContains(t, tools.Refresh(), `"recursive"`)
	list, err := connect(t, server, "agent", nil).ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, 1)
	require.Panics(t, func() { faasmcp.AddTools(server, r) })

	schema := json.RawMessage(`{"type": "object", "$defs": {"tree": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
		"properties": {"Left": {"$ref": "#/$defs/tree"}, "Right": {"$ref": "#/$defs/tree"}}, "additionalProperties": false}`)
	server, _ = newServer(t, r, faasmcp.WithTool("recursive", func(t *mcp.Tool) { t.InputSchema, t.OutputSchema = schema, schema }))
	cs := connect(t, server, "agent", nil)
	res := ask(t, cs, "recursive", tree{Left: &tree{}})
	require.False(t, res.IsError, asJSON(t, res))
	require.True(t, ask(t, cs, "recursive", map[string]any{"Left": map[string]any{"Middle": nil}}).IsError)
}

func TestMistakesOfSetUpAreErrors(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	server := mcp.NewServer(&mcp.Implementation{Name: "tools"}, nil)
	for _, f := range []func() (*faasmcp.Tools, error){
		func() (*faasmcp.Tools, error) { return faasmcp.TryAddTools(nil, r) },
		func() (*faasmcp.Tools, error) { return faasmcp.TryAddTools(server, nil) },
		func() (*faasmcp.Tools, error) { return faasmcp.TryAddTools(server, r, faasmcp.WithTenant(nil)) },
		func() (*faasmcp.Tools, error) { return faasmcp.TryAddTools(server, r, nil, faasmcp.WithFilter(nil)) },
	} {
		_, err := f()
		require.ErrorIs(t, err, faas.ErrInput)
	}
	faas.Register(r, "f", func(context.Context, query) (found, error) { return found{}, nil })
	for _, edit := range []func(*mcp.Tool){
		func(t *mcp.Tool) { t.InputSchema = json.RawMessage(`{"type": "string"}`) },
		func(t *mcp.Tool) { t.InputSchema = json.RawMessage(`{"type": 5}`) },
		func(t *mcp.Tool) { t.InputSchema = json.RawMessage(`{`) },
		func(t *mcp.Tool) { t.OutputSchema = json.RawMessage(`{"$ref": "#/$defs/none"}`) },
		func(*mcp.Tool) { panic("edit") },
	} {
		_, err := faasmcp.TryAddTools(server, r, faasmcp.WithTool("f", edit))
		require.ErrorIs(t, err, faas.ErrInput)
	}
}

// FuzzArguments calls tools with arbitrary arguments. Each call gets an answer, and the arguments of
// each function that runs are valid by the schema.
func FuzzArguments(f *testing.F) {
	r := faastest.New(f)
	faas.Register(r, "search", func(_ context.Context, q query) (found, error) { return found{[]string{q.Text}}, nil })
	faas.Register(r, "upper", func(_ context.Context, s *string) (*string, error) { return s, nil })
	faas.Register(r, "raw", func(_ context.Context, in []byte) ([]byte, error) { return in, nil })
	faas.Register(r, "any", func(_ context.Context, in any) (any, error) { return in, nil })
	server, _ := newServer(f, r)
	cs := connect(f, server, "fuzz", nil)
	for _, seed := range []string{`{"text": "x"}`, `{"input": "x"}`, `{"input": null}`, `{}`, `null`, `[]`, `{"text": "x", "limit": 1e400}`, `{"text": "a", "text": 5}`, "{\"text\": \"\xff\"}"} {
		f.Add("search", seed)
		f.Add("upper", seed)
		f.Add("raw", seed)
		f.Add("any", seed)
	}
	f.Fuzz(func(t *testing.T, tool, arguments string) {
		if !json.Valid([]byte(arguments)) {
			t.Skip()
		}
		res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(arguments)})
		if err != nil {
			var wire *jsonrpc.Error
			require.ErrorAs(t, err, &wire)
			return
		}
		if failure, ok := faasmcp.FailureOf(res); ok {
			require.True(t, res.IsError)
			require.Equal(t, faasmcp.Failure{Outcome: faasmcp.Refused, Reason: faas.ReasonInput, Invocation: failure.Invocation}, failure, asJSON(t, res))
		}
	})
}
