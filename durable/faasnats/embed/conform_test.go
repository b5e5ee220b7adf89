package embed_test

import (
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/faastest"
)

func TestTheEmbeddedQueueConforms(t *testing.T) {
	faastest.TestJobQueue(t, func(t *testing.T) faas.JobQueue {
		t.Helper()
		q, err := embed.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return q
	})
}
