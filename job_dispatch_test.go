package faas_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestALiveCallIsNotRefusedForAJobThatHasTheSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		fn := faas.Register(r, "work", func(context.Context, parcel) (string, error) {
			time.Sleep(time.Second)
			return "", nil
		}, faas.WithConcurrency(1), faas.WithQueue(0))
		job, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "Running", state(t, job))
		answer := make(chan error)
		go func() {
			_, err := fn.Invoke(t.Context(), parcel{})
			answer <- err
		}()
		synctest.Wait()
		_, err = fn.Invoke(t.Context(), parcel{})
		require.ErrorIs(t, err, faas.ErrOverloaded, "the slot is not enough for two live calls")
		require.NoError(t, <-answer)
		shut(t, r)
	})
}
