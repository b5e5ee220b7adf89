package embed_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No test here runs in parallel with another. The server has one clock for all servers of a
// process (package ats). It belongs to the bubble of the first server, and must end in that
// bubble.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
