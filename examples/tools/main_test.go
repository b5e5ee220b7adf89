package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/cost"
)

// TestMain runs the program instead of the tests if a test has started the binary as an agent's host
// would.
func TestMain(m *testing.M) {
	if os.Getenv("TOOLS_STDIO") != "" {
		if err := run(context.Background(), []string{"-stdio"}, os.Stdout, os.Stderr); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// TestRun runs the whole program in virtual time: the bubble's clock jumps to the next timer when every
// goroutine waits. So the run takes no real time and every number is exact.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		require.NoError(t, run(t.Context(), nil, &out, t.Output()))
		t.Logf("\n%s", out.String())
		require.Less(t, time.Since(start), 5*time.Second)

		tables := strings.Split(out.String(), "TOOL ")
		require.Len(t, tables, 3)
		//                      CALLS OK TIMEOUT PANIC REFUSED
		requireRow(t, tables[1], "search", 40, 40, 0, 0, 0)
		requireRow(t, tables[1], "slow", 40, 0, 40, 0, 0)
		requireRow(t, tables[1], "deaf", 40, 0, 40, 0, 0)
		requireRow(t, tables[1], "broken", 40, 0, 0, 40, 0)
		requireRow(t, tables[1], "busy", 40, 6, 0, 0, 34)
		//                      ADMITTED REFUSED IN FLIGHT QUEUED STUCK
		requireRow(t, tables[2], "search", 40, 0, 0, 0, 0)
		requireRow(t, tables[2], "slow", 40, 0, 0, 0, 0)
		requireRow(t, tables[2], "deaf", 40, 0, 0, 0, 40)
		requireRow(t, tables[2], "broken", 40, 0, 0, 0, 0)
		requireRow(t, tables[2], "busy", 6, 34, 0, 0, 0)

		require.Contains(t, out.String(), "deadlines: 40 of deaf.")
		require.Contains(t, out.String(), "found: are you well?")
		require.Contains(t, out.String(), "asks 30 times at once: 10 answers, 20 refusals after 0.0 ms at most, 10 runs of a handler")
		require.Contains(t, out.String(), "the 40 deaf calls have ended, 60.0 s of slot time")
	})
}

// TestAnswersInTime checks the times behind the table. In virtual time they must be exact.
func TestAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHost()
		require.NoError(t, err)
		agents, err := connectAll(t.Context(), h.server, 5)
		require.NoError(t, err)
		defer closeAll(agents)
		for name, a := range callAll(t.Context(), agents, 200) {
			require.NoError(t, a.unexpected, name)
			require.Zero(t, a.slowestRefusal, name)
			require.Equal(t, map[string]time.Duration{
				"broken": 0,
				"busy":   300 * time.Millisecond, // six calls, two at a time
				"deaf":   timeout,
				"search": 20 * time.Millisecond,
				"slow":   timeout,
			}[name], a.slowest, name)
		}
		require.NoError(t, h.waitForDeaf(t.Context(), t.Output()))
		n, sum := h.watch.overran()
		require.Equal(t, 40, n)
		require.Equal(t, 40*(deafFor-timeout), sum)
	})
}

// TestOverHTTP makes 200 calls of five agents with sessions, at once, over a real connection and in
// real time. The ends of the calls do not depend on the clock, except for how many calls the busy tool
// has room for.
func TestOverHTTP(t *testing.T) {
	h, err := newHost()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	addr, served := make(chan string, 1), make(chan error, 1)
	go func() { served <- h.serveHTTP(ctx, "127.0.0.1:0", addressIn(addr)) }()
	endpoint := <-addr

	client := &http.Client{Transport: &http.Transport{}}
	var agents []*agent
	for range 5 {
		cs, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(ctx,
			&mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}, nil)
		require.NoError(t, err)
		agents = append(agents, &agent{session: cs})
	}
	stats := callAll(ctx, agents, 200)
	for name, a := range stats {
		require.NoError(t, a.unexpected, name)
		require.Equal(t, 40, a.calls, name)
	}
	require.Positive(t, stats["search"].ok)
	require.Equal(t, 40, stats["search"].ok+stats["search"].timeout) // a machine may be busy for half a second
	require.Equal(t, 40, stats["slow"].timeout)
	require.Equal(t, 40, stats["deaf"].timeout)
	require.Equal(t, 40, stats["broken"].panicked)
	require.Equal(t, 40, stats["busy"].ok+stats["busy"].refused+stats["busy"].timeout)
	info, err := h.router.Info("deaf")
	require.NoError(t, err)
	require.Positive(t, info.Runaways, "answered for, and still at work")

	answer, err := agents[0].call(ctx, "search", "are you well?")
	require.NoError(t, err)
	require.JSONEq(t, `{"text": "found: are you well?"}`, answer)
	_, err = agents[0].call(ctx, "nonsense", "")
	require.ErrorContains(t, err, "unknown tool")
	closeAll(agents)
	client.CloseIdleConnections()
	stop()
	require.NoError(t, <-served)
}

// addressIn returns a writer that finds the endpoint in the program's output.
func addressIn(addr chan<- string) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		_, endpoint, ok := strings.Cut(strings.TrimSpace(string(p)), "at ")
		if ok {
			addr <- endpoint
		}
		return len(p), nil
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestOverStdio starts the program as the hosts of agents do.
func TestOverStdio(t *testing.T) {
	cmd := exec.Command(os.Args[0]) // it is this test
	cmd.Env = append(os.Environ(), "TOOLS_STDIO=1")
	cmd.Stderr = t.Output()
	cs, err := mcp.NewClient(&mcp.Implementation{Name: trial, Version: "1"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	require.NoError(t, err)
	a := &agent{session: cs}
	defer a.close()
	list, err := cs.ListTools(t.Context(), nil)
	require.NoError(t, err)
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		require.NotEmpty(t, tool.Description)
	}
	require.Equal(t, toolNames, names)
	require.NoError(t, callHealthy(t.Context(), a, t.Output()))
	for range trialCalls - 1 {
		_, err = a.call(t.Context(), "search", "more")
		require.NoError(t, err)
	}
	_, err = a.call(t.Context(), "search", "one too many")
	var refusal *toolError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, cost.ReasonBudget, refusal.Reason)
}

// TestOverspend first spends the whole budget, and then asks for more.
func TestOverspend(t *testing.T) {
	h, err := newHost()
	require.NoError(t, err)
	defer h.router.Close()
	require.NoError(t, h.allowance.overspend(t.Context(), h.server, t.Output()))
	require.EqualValues(t, trialCalls, h.allowance.ran.Load())
	info, err := h.router.Info("search")
	require.NoError(t, err)
	require.EqualValues(t, trialCalls, info.Admitted)
	require.EqualValues(t, trialAsks-trialCalls, info.Rejected[cost.ReasonBudget])

	agents := make([]*agent, 2)
	for i, name := range []string{trial, "another"} {
		agents[i], err = connect(t.Context(), h.server, name)
		require.NoError(t, err)
	}
	defer closeAll(agents)
	_, err = agents[0].call(t.Context(), "search", "once more?")
	var refusal *toolError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, cost.ReasonBudget, refusal.Reason)
	require.Positive(t, refusal.RetryAfterMs)
	_, err = agents[1].call(t.Context(), "search", "and others?")
	require.NoError(t, err, "the budget is about one agent")
	require.EqualValues(t, trialCalls, h.allowance.ran.Load())
}

func TestBadFlag(t *testing.T) {
	require.Error(t, run(context.Background(), []string{"-calls", "many"}, new(bytes.Buffer), new(bytes.Buffer)))
}

// requireRow finds a row of a table and compares the numbers at its beginning.
func requireRow(t *testing.T, table, name string, want ...int) {
	t.Helper()
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= len(want) || fields[0] != name {
			continue
		}
		var got []int
		for _, field := range fields[1 : len(want)+1] {
			n, err := strconv.Atoi(field)
			require.NoError(t, err, line)
			got = append(got, n)
		}
		require.Equal(t, want, got, name)
		return
	}
	t.Fatalf("no row %q in\n%s", name, table)
}
