package faas_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

//go:noinline
func waitHere(release <-chan struct{}) { <-release }

//go:noinline
func waitThere(release <-chan struct{}) { <-release }

func TestRunawaysAreListedWithTheirStacksUntilTheyReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithTimeout(time.Second))
		release := make(chan struct{})
		deaf := faas.Register(r, "deaf", func(_ context.Context, there bool) (struct{}, error) {
			if there {
				waitThere(release)
			} else {
				waitHere(release)
			}
			return struct{}{}, nil
		})
		require.Empty(t, r.Runaways())

		done := make(chan struct{}, 2)
		for _, there := range []bool{false, true} {
			go func() {
				_, _ = deaf.Invoke(faas.WithTenant(context.WithoutCancel(t.Context()), "acme"), there)
				done <- struct{}{}
			}()
			time.Sleep(2 * time.Second) // the first call is over when the second begins
		}
		synctest.Wait()

		all := r.Runaways()
		require.Len(t, all, 2)
		assert.Equal(t, []any{"deaf", "acme", 3 * time.Second, time.Second}, []any{all[0].Function, all[0].Tenant, all[0].Over, all[1].Over})
		first, ok := r.RunawayStack(all[0].ID)
		require.True(t, ok)
		assert.Contains(t, string(first), "waitHere")
		assert.NotContains(t, string(first), "worker")
		second, ok := r.RunawayStack(all[1].ID)
		require.True(t, ok)
		assert.Contains(t, string(second), "waitThere")
		_, ok = r.RunawayStack(uuid.New())
		assert.False(t, ok)

		close(release)
		<-done
		<-done
		synctest.Wait()
		assert.Empty(t, r.Runaways())
		_, ok = r.RunawayStack(all[0].ID)
		assert.False(t, ok)
	})
}
