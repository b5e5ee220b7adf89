package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// TestMain runs the program instead of the tests if a test has started the binary as a process of its
// own. So a test can send it signals.
func TestMain(m *testing.M) {
	if os.Getenv("JOBS_CHILD") != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// inBubble calls test with a host in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, h *host, out *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		h, err := newHost(&out)
		require.NoError(t, err)
		defer h.router.Close()
		test(t, h, &out)
	})
}

func TestAMailIsRetriedByWhatItsServerSays(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, out *bytes.Buffer) {
		start := time.Now()
		require.NoError(t, h.retry(t.Context()))
		assert.Equal(t, 150*time.Millisecond, time.Since(start), "50 ms that the server asked for, and the policy's 100 ms")
		assert.Equal(t, "sent to ana@example.com, after 3 deliveries, 2 of them attempts\n", out.String())
	})
}

func TestAnImportTellsItsProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, out *bytes.Buffer) {
		require.NoError(t, h.progress(t.Context()))
		assert.Equal(t, "import: 5 of 10 rows\nimport: Succeeded\n", out.String())
	})
}

func TestADeadLetterIsReplayedWithAnotherInput(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, out *bytes.Buffer) {
		require.NoError(t, h.deadLetter(t.Context()))
		assert.Contains(t, out.String(), `dead letter: Permanent, input {"to":"bo at example.com","text":"hello"}`)
		assert.Contains(t, out.String(), "replayed: sent to bo@example.com\n")
		states := map[faas.JobState]int{}
		for info, err := range h.router.Jobs(t.Context(), faas.JobFilter{Labels: map[string]string{"as": "invoice"}}) {
			require.NoError(t, err)
			states[info.State]++
		}
		assert.Equal(t, map[faas.JobState]int{faas.JobDead: 1, faas.JobSucceeded: 1}, states, "the dead one stays")
	})
}

func TestWhatWaitsForItsRetryIsNamedAtShutdown(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, out *bytes.Buffer) {
		require.NoError(t, h.wait(t.Context()))
		h.shutdown(time.Second)
		assert.Contains(t, out.String(), `SIGTERM: jobs left: "send" (1)`)
	})
	inBubble(t, func(t *testing.T, h *host, out *bytes.Buffer) {
		require.NoError(t, h.wait(t.Context()))
		go func() { <-h.letters.came }()
		h.shutdown(time.Minute) // in which the retry is due
		assert.Contains(t, out.String(), "SIGTERM: nothing is left (<nil>)")
	})
}

func TestThePricesOfJobsAddUp(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, out *bytes.Buffer) {
		for _, step := range []func(context.Context) error{h.retry, h.progress, h.deadLetter, h.wait} {
			require.NoError(t, step(t.Context()))
		}
		statement, err := h.ledger.Statement(time.Now(), h.book)
		require.NoError(t, err)
		for _, by := range []cost.Dimension{cost.Job, cost.SpentOn} {
			var sum cost.Money
			for _, row := range statement.By(by).Rows {
				sum, err = sum.Add(row.List)
				require.NoError(t, err)
			}
			assert.Equal(t, statement.Total.List.String(), sum.String(), by)
		}
		require.NoError(t, printBill(out, h.ledger, h.book, h.router.Job))
		requireBill(t, out.String())
	})
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, &out, t.Output()))
	t.Logf("\n%s", out.String())
	assert.Contains(t, out.String(), `SIGTERM: jobs left: "send" (1)`)
	requireBill(t, out.String())
	require.Error(t, run(t.Context(), []string{"-drain", "soon"}, &out, t.Output()))
}

// TestSIGTERMInABackoff uses a process of its own, a signal from outside, and the exit code.
func TestSIGTERMInABackoff(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM to send")
	}
	child := exec.Command(os.Args[0], "-term", "0")
	child.Env = append(os.Environ(), "JOBS_CHILD=1")
	child.Stderr = t.Output()
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill() }() // for a test that fails before Wait
	lines := bufio.NewReader(stdout)
	for line := ""; !strings.HasPrefix(line, "waiting for SIGTERM"); {
		line, err = lines.ReadString('\n')
		require.NoError(t, err)
	}
	require.NoError(t, child.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, child.Wait(), "exits with 0")
	assert.Contains(t, string(rest), `SIGTERM: jobs left: "send" (1)`)
	requireBill(t, string(rest))
}

// requireBill compares the last tables with the run: the states of the jobs, and how often each ran.
func requireBill(t *testing.T, out string) {
	t.Helper()
	for _, line := range []string{
		`rows +Succeeded +1 +import`, `send +Succeeded +3 +welcome`, `send +Dead +1 +invoice`, `send +Succeeded +3 +invoice`,
		`send +Scheduled +2 +report`, `all +10 `, `first attempt +6 `, `retry +3 `, `dead letter +1 `,
	} {
		assert.Regexp(t, `(?m)^`+line, out)
	}
}
