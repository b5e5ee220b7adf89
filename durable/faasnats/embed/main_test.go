package embed_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No test here is parallel to another: the server has one clock for all servers of a
// process (package ats), which belongs to the bubble of the first, and must end in it.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
