package faaspg_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleEnv names an environment variable. It makes this program play a part in a torture, in
// place of running the tests.
const roleEnv = "FAAS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // this is a program, not a library
		}
		return
	}
	s, err := startPostgres()
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgres.sh:", err)
		os.Exit(1) //nolint:forbidigo // as above
	}
	shared = s
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		s.stop()
		os.Exit(code) //nolint:forbidigo // as above
	}))
}
