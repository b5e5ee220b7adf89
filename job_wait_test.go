package faas_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// Waits of one job that give up as it ends, and Waits of later jobs, which use what those have
// left, all return, with the output or the end of their contexts.
func TestWaitsThatGiveUpWhileTheJobEndsLeaveNothingForLaterOnes(t *testing.T) {
	t.Parallel()
	r := router(t)
	f := faas.Register(r, "f", func(_ context.Context, in int) (int, error) { runtime.Gosched(); return in, nil })
	for round := range 300 {
		job, err := f.Send(t.Context(), round)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var waits sync.WaitGroup
		for i := range 8 {
			waits.Go(func() {
				mine := t.Context()
				if i%2 == 0 {
					mine = ctx
				}
				out, err := job.Wait(mine)
				if i%2 == 0 && err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					return
				}
				assert.NoError(t, err)
				assert.Equal(t, round, out)
			})
		}
		for range rand.IntN(4) {
			runtime.Gosched()
		}
		cancel()
		waits.Wait()
	}
}

func TestTheFirstAndTheLastOfSeveralWaitsMayGiveUp(t *testing.T) {
	t.Parallel()
	for _, leaves := range [][]int{{0}, {1}, {2}, {0, 1}, {2, 0}, {1, 2, 0}} {
		synctest.Test(t, func(t *testing.T) {
			goOn := make(chan struct{})
			r := router(t)
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { <-goOn; return 7, nil })
			job, err := f.Send(t.Context(), 1)
			require.NoError(t, err)
			answers, cancels := make([]chan error, 3), make([]context.CancelFunc, 3)
			for i := range answers {
				var ctx context.Context
				ctx, cancels[i] = context.WithCancel(t.Context())
				answers[i] = make(chan error, 1)
				go func() {
					_, err := job.Wait(ctx)
					answers[i] <- err
				}()
				synctest.Wait()
			}
			for _, i := range leaves {
				cancels[i]()
				require.ErrorIs(t, <-answers[i], context.Canceled)
			}
			close(goOn)
			for i, answer := range answers {
				if !slices.Contains(leaves, i) {
					require.NoError(t, <-answer)
				}
				cancels[i]()
			}
		})
	}
}
