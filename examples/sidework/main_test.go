package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain runs the program instead of the tests if a test has started the binary as a process of its
// own. So a test can send it signals.
func TestMain(m *testing.M) {
	if os.Getenv("SIDEWORK_CHILD") != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-drain", "300ms"}, &out, t.Output()))
	t.Logf("\n%s", out.String())
	requireStory(t, out.String())
}

func TestBadArgumentsAreRefused(t *testing.T) {
	require.Error(t, run(t.Context(), []string{"-drain", "soon"}, t.Output(), t.Output()))
}

// TestNoWebhookIsLostWhenSIGTERMComesInTheBackoff uses a process of its own, a signal from outside, and
// the exit code.
func TestNoWebhookIsLostWhenSIGTERMComesInTheBackoff(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM to send")
	}
	runs := 10
	if testing.Short() {
		runs = 2
	}
	for range runs {
		requireStory(t, terminated(t))
	}
}

// terminated runs the program, sends it SIGTERM when all webhooks were tried once, and returns its
// output.
func terminated(t *testing.T) string {
	t.Helper()
	child := exec.Command(os.Args[0], "-term", "0", "-drain", "300ms")
	child.Env = append(os.Environ(), "SIDEWORK_CHILD=1")
	child.Stderr = t.Output()
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill() }() // for a test that fails before Wait
	lines, said := bufio.NewReader(stdout), ""
	for !strings.Contains(said, "waiting for SIGTERM") {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, said)
		said += line
	}
	require.NoError(t, child.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, child.Wait(), "exits with 0")
	return said + string(rest)
}

var story = regexp.MustCompile(`(?s)^400 orders taken.*\n(\d+) delivered, (\d+) wait for their next try; waiting.*SIGTERM: .*drained in .*: (\d+) delivered, (\d+) named as left\nthe endpoint has taken (\d+)\n$`)

// requireStory checks the promises of the program in its output.
func requireStory(t *testing.T, out string) {
	t.Helper()
	found := story.FindStringSubmatch(out)
	require.NotNil(t, found, out)
	var n [5]int
	for i := range n {
		var err error
		n[i], err = strconv.Atoi(found[i+1])
		require.NoError(t, err)
	}
	before, waited, delivered, left, taken := n[0], n[1], n[2], n[3], n[4]
	assert.Equal(t, webhooks, before+waited, out)
	assert.Positive(t, waited, "SIGTERM came in the backoff")
	assert.Equal(t, webhooks, delivered+left, out)
	assert.GreaterOrEqual(t, delivered, before)
	assert.GreaterOrEqual(t, taken, delivered, "what counts as delivered was taken")
}
