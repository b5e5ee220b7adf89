package faas_test

import (
	"bytes"
	"context"
	"errors"
	"math/bits"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
)

// letters makes each byte of a payload an item of a batch. The handler returns the letters that
// have failed.
func letters(bisect bool) faas.FunctionOption {
	return faas.WithBatches(faas.Batches{
		Failed: func(input, output []byte) (failed []int) {
			for _, b := range output {
				failed = append(failed, bytes.IndexByte(input, b))
			}
			return failed
		},
		Pick: func(input []byte, items []int) []byte {
			var some []byte
			for _, i := range items {
				some = append(some, input[i])
			}
			return some
		},
		Bisect: bisect,
	})
}

// partsOf returns the payloads of the settled jobs into which a batch was split, by their state.
func partsOf(t *testing.T, r *faas.Router, job *faas.Job[[]byte]) map[faas.JobState][]string {
	t.Helper()
	all := map[faas.JobState][]string{}
	_, err := job.Wait(t.Context())
	info, missing := job.Info(t.Context())
	require.NoError(t, missing)
	if info.Condition == faas.ConditionSplit {
		ended, ok := errors.AsType[*faas.JobError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, faas.ConditionSplit, ended.Condition)
		require.Len(t, info.Parts, 2)
		for _, part := range info.Parts {
			for state, payloads := range partsOf(t, r, r.Job(part)) {
				all[state] = append(all[state], payloads...)
			}
		}
		return all
	}
	rec, err := r.JobQueue().Get(t.Context(), job.ID())
	require.NoError(t, err)
	require.Len(t, rec.Payload, info.Items)
	all[rec.State] = append(all[rec.State], string(rec.Payload))
	return all
}

func TestOfABatchOnlyWhatFailedIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var calls []string
		faas.Register(r, "f", func(ctx context.Context, in []byte) ([]byte, error) {
			inv, _ := faas.FromContext(ctx)
			assert.Equal(t, len(in), inv.Items)
			calls = append(calls, string(in))
			return [][]byte{[]byte("xb"), []byte("x"), nil}[inv.Attempt-1], nil
		}, letters(false))
		job, err := r.Send(t.Context(), "f", []byte("abcx"), faas.WithItems(4))
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"abcx", "bx", "x"}, calls)
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, info.Items)
		require.Equal(t, 3, info.Attempts)
	})
}

func TestWhatFailsToTheEndIsDeadItemByItem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var calls int
		faas.Register(r, "f", func(context.Context, []byte) ([]byte, error) { calls++; return []byte("xyz"), nil }, letters(false))
		job, err := r.Send(t.Context(), "f", []byte("axbycz"), faas.WithItems(6))
		require.NoError(t, err)
		require.Equal(t, map[faas.JobState][]string{faas.JobDead: {"x", "y", "z"}}, partsOf(t, r, job))
		require.Equal(t, 3, calls)
		for info, err := range r.Jobs(t.Context(), faas.JobFilter{States: []faas.JobState{faas.JobDead}}) {
			require.NoError(t, err)
			require.Equal(t, faas.ConditionRetriesExhausted, info.Condition)
			require.Equal(t, 3, info.Attempts)
			require.Equal(t, "3 of 3 items failed", info.Last.Error)
		}
		_, err = job.Replay(t.Context())
		require.ErrorIs(t, err, faas.ErrInput)
	})
}

func TestAnAnswerThatNamesNoItemStandsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "f", func(context.Context, []byte) ([]byte, error) { return []byte("?"), nil }, letters(false), faas.WithRetry(faas.Retry{}))
		job, err := r.Send(t.Context(), "f", []byte("abc"), faas.WithItems(3))
		require.NoError(t, err)
		require.Equal(t, map[faas.JobState][]string{faas.JobDead: {"a", "b", "c"}}, partsOf(t, r, job))
	})
}

func TestBatchesWhoseFuncsPanicStayTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "f", func(context.Context, []byte) ([]byte, error) { return nil, nil }, faas.WithRetry(faas.Retry{}), faas.WithBatches(faas.Batches{
			Failed: func([]byte, []byte) []int { panic("failed") },
			Pick:   func([]byte, []int) []byte { panic("pick") },
			Bisect: true,
		}))
		job, err := r.Send(t.Context(), "f", []byte("abc"), faas.WithItems(3))
		require.NoError(t, err)
		require.Equal(t, map[faas.JobState][]string{faas.JobDead: {"abc"}}, partsOf(t, r, job))
		require.EqualValues(t, 2, r.Stats().HookPanics)
	})
}

func TestAJobThatIsNoBatchIsNotTakenApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		faas.Register(r, "f", func(context.Context, []byte) ([]byte, error) { return []byte("a"), nil }, letters(true))
		job, err := r.Send(t.Context(), "f", []byte("abc"))
		require.NoError(t, err)
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, "a", string(out))
		_, err = r.Send(t.Context(), "f", []byte("abc"), faas.WithItems(0))
		require.ErrorIs(t, err, faas.ErrInput)
		_, err = faas.TryRegister(r, "g", double, faas.WithBatches(faas.Batches{}))
		require.ErrorIs(t, err, faas.ErrInput)
	})
}

// Some items are poisonous: they always fail, and the handler reports that in different ways. Each
// other item succeeds once, each poisonous one is dead in a job by itself, and no item runs more
// often than the documented bound.
func TestABatchIsTakenApartWithinItsBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			size := rapid.IntRange(1, 40).Draw(rt, "size")
			poison := rapid.SliceOfN(rapid.Bool(), size, size).Draw(rt, "poison")
			names := rapid.SliceOfN(rapid.Bool(), 200, 200).Draw(rt, "names them in that call")
			retries := rapid.IntRange(0, 3).Draw(rt, "retries")
			named := rapid.Bool().Draw(rt, "always names them")
			r := faas.New()
			defer r.Close()
			runs, succeeded, call := map[byte]int{}, map[byte]int{}, 0
			faas.Register(r, "f", func(_ context.Context, in []byte) (failed []byte, err error) {
				for _, item := range in {
					if runs[item]++; poison[item] {
						failed = append(failed, item)
					}
				}
				if call++; len(failed) > 0 && !named && !names[call%len(names)] {
					return nil, errors.New("poison")
				}
				for _, item := range in {
					if !poison[item] {
						succeeded[item]++
					}
				}
				return failed, nil
			}, letters(true), faas.WithRetry(faas.Retry{Max: retries, First: time.Second}), faas.WithConcurrency(1))
			items := make([]byte, size)
			for i := range items {
				items[i] = byte(i)
			}
			job, err := r.Send(t.Context(), "f", items, faas.WithItems(size))
			require.NoError(rt, err)
			parts := partsOf(t, r, job)
			dead := 0
			for i, bad := range poison {
				bound := retries + 1
				if !named {
					bound *= 1 + bits.Len(uint(size-1))
				}
				require.LessOrEqual(rt, runs[byte(i)], bound, strconv.Itoa(i))
				if bad {
					dead++
					require.Contains(rt, parts[faas.JobDead], string([]byte{byte(i)}))
				} else {
					require.Equal(rt, 1, succeeded[byte(i)])
				}
			}
			require.Len(rt, parts[faas.JobDead], dead)
		})
	})
}
