package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas/trigger/faasmcp"
)

// agent is a client of the tools, made with the SDK. It uses the tools' names and the MCP protocol, and nothing else of the
// host.
type agent struct {
	session *mcp.ClientSession
	wait    func() // waits for the server's session to end
}

// connect connects an agent with that name. Over the in-memory transport the host identifies the agent by its name.
func connect(ctx context.Context, server *mcp.Server, name string) (*agent, error) {
	here, there := mcp.NewInMemoryTransports()
	ss, err := server.Connect(ctx, there, nil)
	if err != nil {
		return nil, err
	}
	cs, err := mcp.NewClient(&mcp.Implementation{Name: name, Version: "0.1.0"}, nil).Connect(ctx, here, nil)
	if err != nil {
		return nil, err
	}
	return &agent{session: cs, wait: func() { _ = ss.Wait() }}, nil // Wait returns an error because the client has disconnected
}

func connectAll(ctx context.Context, server *mcp.Server, n int) ([]*agent, error) {
	var all []*agent
	for i := range n {
		a, err := connect(ctx, server, fmt.Sprintf("agent-%d", i+1))
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func closeAll(all []*agent) {
	for _, a := range all {
		a.close()
	}
}

func (a *agent) close() {
	_ = a.session.Close()
	if a.wait != nil {
		a.wait()
	}
}

// toolError is the error of a result with IsError.
type toolError struct {
	faasmcp.Failure

	text string
}

func (e *toolError) Error() string { return e.text }

// call calls a tool. Its error is a *toolError, or an error of the protocol.
func (a *agent) call(ctx context.Context, tool, text string) (string, error) {
	res, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: query{Text: text}})
	if err != nil {
		return "", err
	}
	var answer strings.Builder
	for _, c := range res.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			answer.WriteString(t.Text)
		}
	}
	if res.IsError {
		failure, _ := faasmcp.FailureOf(res)
		return "", &toolError{failure, answer.String()}
	}
	return answer.String(), nil
}

// toolNames are in the order in which the router lists them.
var toolNames = []string{"broken", "busy", "deaf", "search", "slow"}

// callAll makes all calls at the same moment, the same number for each agent and tool. It returns how they ended.
func callAll(ctx context.Context, agents []*agent, calls int) map[string]*answers {
	stats := make(map[string]*answers)
	for _, name := range toolNames {
		stats[name] = new(answers)
	}
	var wg sync.WaitGroup
	ready := make(chan struct{})
	for i := range calls {
		name := toolNames[i%len(toolNames)]
		a := agents[i/len(toolNames)%len(agents)]
		wg.Go(func() {
			<-ready
			start := time.Now()
			_, err := a.call(ctx, name, fmt.Sprintf("question %d", i))
			stats[name].add(err, time.Since(start))
		})
	}
	close(ready)
	wg.Wait()
	return stats
}
