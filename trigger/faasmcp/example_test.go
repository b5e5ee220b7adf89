package faasmcp_test

import (
	"context"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
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

	// A client would start the program and speak over stdio, or come over HTTP; this one is in the same process.
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
