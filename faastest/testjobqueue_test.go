package faastest_test

import (
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func TestTheMemoryQueueConforms(t *testing.T) {
	t.Parallel()
	faastest.TestJobQueue(t, func(*testing.T) faas.JobQueue { return faas.NewMemoryJobs(0, 0) })
}
