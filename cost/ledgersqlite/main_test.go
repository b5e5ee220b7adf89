package ledgersqlite_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv is the environment variable with the path of the ledger that a child process
// writes until it is killed.
const childEnv = "FAAS_TEST_LEDGER"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path))
		return // with status 0, which the parent does not take for a kill
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
