package faas_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// childEnv is the environment variable with the name of the test that a child process runs. A case
// that kills its process, or leaves an endless loop behind, runs in a child process.
const childEnv = "FAAS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		m.Run() // goroutines that the test leaves behind end with the process
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// inChild reports whether this process runs t for a parent process.
func inChild(t *testing.T) bool { t.Helper(); return os.Getenv(childEnv) == t.Name() }

// runChild runs only t in a process of its own, and returns the exit code and the output of that
// process. A process that hangs is ended by its -timeout, with a panic and exit code 2.
func runChild(t *testing.T, env ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	// No -v flag: its output would have the marks of test2json.
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.timeout=30s", "-test.count=1")
	cmd.Env = append(append(os.Environ(), env...), childEnv+"="+t.Name())
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), out.String()
	}
	require.NoError(t, err, out.String())
	return 0, out.String()
}

// passInChild asserts that t passes in a process of its own.
func passInChild(t *testing.T, env ...string) {
	t.Helper()
	code, out := runChild(t, env...)
	require.Zero(t, code, out)
	require.Contains(t, out, "PASS", "the child has run no test")
	require.NotContains(t, out, "no tests to run")
}
