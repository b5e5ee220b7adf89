package faaspg_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleEnv names the part that this program plays in place of the tests, as a process of a torture.
const roleEnv = "FAAS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // it is no library
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
