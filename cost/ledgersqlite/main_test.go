package ledgersqlite_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv names the ledger that a child process is to write until it is killed.
const childEnv = "FAAS_TEST_LEDGER"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path))
		return // a status of 0, which the parent does not take for a kill
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
