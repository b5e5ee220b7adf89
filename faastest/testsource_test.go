package faastest_test

import (
	"testing"

	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/source"
)

func TestTheSourceInMemoryConforms(t *testing.T) {
	t.Parallel()
	faastest.TestSource(t, func(*testing.T) (source.Source, func(int)) {
		m := &source.Memory{}
		return m, func(n int) { m.Put(make([]source.Item, n)...) }
	})
}
