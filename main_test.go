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

// childEnv names the test that a child process is to run. A case that kills its
// process, or leaves a loop behind that can't be stopped, runs there.
const childEnv = "FAAS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		m.Run() // what it leaves behind ends with it
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// inChild tells whether this process is the one that runs t for a parent.
func inChild(t *testing.T) bool { t.Helper(); return os.Getenv(childEnv) == t.Name() }

// runChild runs t, and nothing else, in a process of its own, and returns its
// exit code and what it printed. One that hangs is ended by its own -timeout,
// which is a panic, exit code 2.
func runChild(t *testing.T, env ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	// Not verbose: what -v prints goes through test2json's marks.
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
