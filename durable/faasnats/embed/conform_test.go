package embed_test

import (
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
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

// WithInline(0) puts all payloads and outputs into the object store.
func TestTheEmbeddedQueueConformsWithLargePayloads(t *testing.T) {
	faastest.TestJobQueue(t, func(t *testing.T) faas.JobQueue {
		t.Helper()
		q, err := embed.Open(t.TempDir(), faasnats.WithInline(0))
		if err != nil {
			t.Fatal(err)
		}
		return q
	})
}

// The answers that are kept for idempotent handlers are records of the queue too.
func TestAStoreOfIdempotencyOverTheEmbeddedQueueConforms(t *testing.T) {
	faastest.TestIdempotencyStore(t, func(t *testing.T) faas.IdempotencyStore {
		t.Helper()
		q, err := embed.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = q.Close() })
		return faas.NewJobIdempotency(q)
	})
}
