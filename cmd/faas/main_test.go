package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asFaas has the test's own program be the command, for tests that need a process of it.
const asFaas = "FAAS_TEST_AS_FAAS"

func TestMain(m *testing.M) {
	if os.Getenv(asFaas) != "" {
		main()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
