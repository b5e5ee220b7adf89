package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asFaas names an environment variable. It makes the test program run the command, for tests
// that need a process of it.
const asFaas = "FAAS_TEST_AS_FAAS"

func TestMain(m *testing.M) {
	if os.Getenv(asFaas) != "" {
		main()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
