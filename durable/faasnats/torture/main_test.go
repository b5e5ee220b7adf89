package torture_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleEnv names an environment variable. It makes the test binary one of the processes that are
// killed.
const roleEnv = "FAAS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1) //nolint:forbidigo // this is a program
		}
		os.Exit(0) //nolint:forbidigo // this is a program
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
