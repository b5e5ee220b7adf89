package faascron_test

import (
	"testing"
	_ "time/tzdata" // the zones of the tests, whatever the system has

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
