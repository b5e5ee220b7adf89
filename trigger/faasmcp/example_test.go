package faasmcp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/trigger/faasmcp"
)

func ExampleAddTools() {
	r := faas.New(faas.WithTimeout(2 * time.Second))
	defer r.Close()
	type question struct {
		Text string `json:"text" jsonschema:"what to look for"`
	}
	type answer struct {
		Found string `json:"found"`
	}
	faas.Register(r, "search", func(_ context.Context, q question) (answer, error) {
		return answer{"all about " + q.Text}, nil
	}, faas.WithConcurrency(8))

	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1.0.0"}, nil)
	faasmcp.AddTools(server, r, faasmcp.WithTool("search", func(t *mcp.Tool) { t.Description = "Searches the archive." }))

	// A real client starts the program and uses stdio, or connects over HTTP. This client is in the
	// same process.
	here, there := mcp.NewInMemoryTransports()
	ctx := context.Background()
	ss, err := server.Connect(ctx, there, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	agent, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1.0.0"}, nil).Connect(ctx, here, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := agent.CallTool(ctx, &mcp.CallToolParams{Name: "search", Arguments: question{"gophers"}})
	fmt.Println(res.StructuredContent, err)
	_ = agent.Close()
	_ = ss.Wait()
	// Output: map[found:all about gophers] <nil>
}

// A budget by tenant must not begin anew with each session, so the tenant is the principal that
// the front has authenticated. The principal is in the context of the request, which the
// handler passes on.
func ExampleWithTenant() {
	r := faas.New()
	defer r.Close()
	tokens, err := access.NewTokens()
	if err != nil {
		fmt.Println(err)
		return
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1.0.0"}, nil)
	faasmcp.AddTools(server, r, faasmcp.WithTenant(func(ctx context.Context, _ *mcp.CallToolRequest) string {
		return access.Caller(ctx).String() // such as: user "ana"
	}))
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	mux := http.NewServeMux()
	mux.Handle("/mcp", access.Authenticate(tokens)(handler))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/mcp", nil)) // without a token
	fmt.Println(w.Code)
	// Output: 401
}

func ExampleFailureOf() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "slow", func(ctx context.Context, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	}, faas.WithTimeout(time.Millisecond))
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1.0.0"}, nil)
	faasmcp.AddTools(server, r)

	here, there := mcp.NewInMemoryTransports()
	ctx := context.Background()
	ss, err := server.Connect(ctx, there, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	agent, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1.0.0"}, nil).Connect(ctx, here, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := agent.CallTool(ctx, &mcp.CallToolParams{Name: "slow"})
	failure, ok := faasmcp.FailureOf(res)
	fmt.Println(failure.Outcome, ok, err)
	_ = agent.Close()
	_ = ss.Wait()
	// Output: TimedOut true <nil>
}
