package faascron_test

import (
	"testing"
	_ "time/tzdata" // so that the tests have all zones on every system

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
