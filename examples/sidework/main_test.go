package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
)

// TestMain lets the test binary be the program as well, so that a test can send signals to a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SIDEWORK_CHILD") != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-drain", "400ms"}, &out, t.Output()))
	t.Logf("\n%s", out.String())
	requireStory(t, out.String())

	table := parseTable(t, out.String())
	require.Positive(t, table["all"]["DRAINED"], "some were on their way")
	require.Positive(t, table["all"]["CLOSED"], "some came too late")
}

// TestEarlySignal has most webhooks come after SIGTERM: they must be told, and counted.
func TestEarlySignal(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-term", "50ms", "-drain", "300ms"}, &out, t.Output()))
	table := parseTable(t, out.String())
	require.Greater(t, table["all"]["CLOSED"], webhooks/4)
}

// TestSIGTERM is the real thing: a process of its own, a signal from outside, and the exit code.
func TestSIGTERM(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM to send")
	}
	child := exec.Command(os.Args[0], "-term", "0", "-drain", "400ms")
	child.Env = append(os.Environ(), "SIDEWORK_CHILD=1")
	child.Stderr = t.Output()
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill() }() // for a test that fails before Wait
	lines := bufio.NewReader(stdout)
	for line := ""; !strings.HasPrefix(line, "all are sent"); {
		line, err = lines.ReadString('\n')
		require.NoError(t, err)
	}
	require.NoError(t, child.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, child.Wait(), "exits with 0")
	requireStory(t, string(rest))
}

// TestAnEndpointThatIsWellHasItsWebhook is what a run beside other programs can't promise for each endpoint: there, many
// may be too slow.
func TestAnEndpointThatIsWellHasItsWebhook(t *testing.T) {
	partners, err := startPartners()
	require.NoError(t, err)
	defer partners.Close()
	s := newService(partners.URL())
	defer s.Close()
	send := func(e *endpoint) error {
		_, err := e.deliver.Invoke(t.Context(), webhook{Endpoint: e.name, Payload: "order;created"})
		return err
	}
	for _, e := range s.endpoints {
		switch e.name {
		case "blackhole":
			require.ErrorIs(t, send(e), faas.ErrTimeout)
		case "legacy":
			var p *faas.PanicError
			require.ErrorAs(t, send(e), &p)
		default:
			err := send(e)
			for tries := 1; errors.Is(err, faas.ErrTimeout) && tries < 10; tries++ {
				err = send(e)
			}
			require.NoError(t, err, e.name)
		}
	}
}

// requireStory holds a run to what its program promises.
func requireStory(t *testing.T, out string) {
	t.Helper()
	require.Contains(t, out, "SIGTERM: ")
	require.Regexp(t, `this would not stop: .*blackhole`, out)

	table := parseTable(t, out)
	require.Equal(t, webhooks, table["all"]["WEBHOOKS"])
	for _, name := range []string{"shop", "mail", "audit"} {
		row := table[name]
		// A machine may be so loaded that an endpoint is too slow for many, which is told; nothing else is lost.
		require.Zero(t, row["PANICKED"]+row["FAILED"], name)
	}
	require.Positive(t, table["all"]["DELIVERED"]+table["all"]["DRAINED"])
	legacy := table["legacy"]
	require.Positive(t, legacy["PANICKED"])
	require.Zero(t, legacy["DELIVERED"]+legacy["DRAINED"]+legacy["FAILED"])
	hole := table["blackhole"]
	require.Equal(t, 4, hole["TIMED OUT"], "as many as it has slots")
	require.Positive(t, hole["OVERLOADED"])
	require.Zero(t, hole["DELIVERED"]+hole["DRAINED"])
}

// parseTable reads the table that the program ends with, and checks that it adds up, across and down.
func parseTable(t *testing.T, out string) map[string]map[string]int {
	t.Helper()
	_, text, ok := strings.Cut(out, "ENDPOINT")
	require.True(t, ok, out)
	header, rows, _ := strings.Cut(text, "\n")
	columns := strings.Fields(strings.ReplaceAll(header, "TIMED OUT", "TIMED_OUT"))

	table := make(map[string]map[string]int)
	sums := make(map[string]int)
	for line := range strings.Lines(rows) {
		fields := strings.Fields(line)
		require.Len(t, fields, len(columns)+1, line)
		row, across := make(map[string]int), 0
		for i, column := range columns {
			n, err := strconv.Atoi(fields[i+1])
			require.NoError(t, err, line)
			row[strings.ReplaceAll(column, "_", " ")] = n
			if i > 0 {
				across += n
			}
			if fields[0] != "all" {
				sums[strings.ReplaceAll(column, "_", " ")] += n
			}
		}
		require.Equal(t, row["WEBHOOKS"], across, line)
		table[fields[0]] = row
	}
	require.Equal(t, sums, table["all"])
	return table
}
