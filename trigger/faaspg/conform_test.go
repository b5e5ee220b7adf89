package faaspg_test

import (
	"context"
	"testing"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faaspg"
	"github.com/inproc/faas/trigger/source"
)

// A connection that listens is never idle for a bubble, so that this relay polls.
func TestTheRelayIsASource(t *testing.T) {
	t.Parallel()
	faastest.TestSource(t, func(t *testing.T) (source.Source, func(n int)) {
		pool, r := open(t), faastest.New(t)
		fn := faas.Register(r, "mail", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
		return faaspg.NewRelay(pool, faaspg.WithoutListen(), faaspg.WithPoll(10*time.Millisecond)), func(n int) { sendMany(t, pool, fn, n) }
	})
}
