package admission_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

func TestVersionsShareTheirClassesLimitAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 1)
		one, two := c.Base(), c.NewVersion(admission.Unlimited)
		assert.Same(t, c, one.Class())
		assert.Same(t, c, two.Class())
		var runs, waits, late admission.Hold
		require.True(t, one.TryAcquire(&runs))
		assert.False(t, two.TryAcquire(&late), "the class has one slot")

		served := two.Join(&waits, admission.Request{})
		assert.Zero(t, one.Queued())
		assert.Equal(t, 1, two.Queued())
		assert.Equal(t, 1, c.Queued())
		require.ErrorIs(t, one.Acquire(t.Context(), &late, admission.Request{Wait: time.Hour}), admission.ErrFull)

		runs.Release()
		got := <-served
		require.NoError(t, got.Err())
		assert.Zero(t, two.Queued())
		assert.Equal(t, 1, c.Used())
		waits.Release()
		assert.Zero(t, c.Used())
	})
}

func TestTheWaitingCallsOfARemovedVersionGoOnToTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 10)
		one, two := c.Base(), c.NewVersion(admission.Unlimited)
		var runs, waits, late, other admission.Hold
		require.True(t, one.TryAcquire(&runs))
		served := two.Join(&waits, admission.Request{})

		two.Remove()
		require.ErrorIs(t, two.Acquire(t.Context(), &late, admission.Request{Wait: time.Hour}), admission.ErrRemoved)
		runs.Release()
		got := <-served
		require.NoError(t, got.Err())
		waits.Release()

		assert.False(t, two.TryAcquire(&late), "nor is a free slot for it")
		require.ErrorIs(t, two.Acquire(t.Context(), &late, admission.Request{Wait: time.Hour}), admission.ErrRemoved)
		require.True(t, one.TryAcquire(&other), "the other version stays")
		other.Release()
	})
}
