package embed_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// No test here is parallel to another: the server has one clock for all servers of a
// process (package ats), which belongs to the bubble of the first, and must end in it.

// roleEnv makes the test binary one of the processes that torture kills.
const roleEnv = "FAAS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1) //nolint:forbidigo // a program
		}
		os.Exit(0) //nolint:forbidigo // a program
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
