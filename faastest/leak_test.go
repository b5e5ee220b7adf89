package faastest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/faastest"
)

// It runs before the parallel tests, while there are no goroutines of other tests.
func TestAntsGoroutinesAreAllThatTheImportLeaves(t *testing.T) { //nolint:paralleltest // it looks at all goroutines
	names := faastest.AntsGoroutines()
	require.Len(t, names, 2)
	for i, ignore := range []func(string) goleak.Option{goleak.IgnoreAnyFunction, goleak.IgnoreTopFunction} {
		assert.NoError(t, goleak.Find(ignore(names[0]), ignore(names[1])), i)
		assert.ErrorContains(t, goleak.Find(ignore(names[0])), names[1], "each is needed")
		assert.ErrorContains(t, goleak.Find(ignore(names[1])), names[0], "each is needed")
	}
}
