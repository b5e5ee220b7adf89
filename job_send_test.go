package faas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestReplayRunsADeadJobWithAnEditedInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		fn := faas.Register(r, "ship", func(_ context.Context, in parcel) (string, error) {
			if in.N == 0 {
				return "", faas.Permanent(errors.New("no number"))
			}
			return strconv.Itoa(in.N), nil
		})
		job, err := fn.Send(t.Context(), parcel{}, faas.WithOrderKey("k"), faas.WithUnique("u", time.Hour), faas.WithJobLabels(map[string]string{"a": "b"}))
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.ErrorContains(t, err, "Dead (Permanent): no number")
		_, err = fn.Send(t.Context(), parcel{}, faas.WithInput(nil))
		require.ErrorIs(t, err, faas.ErrInput)
		again, err := job.Replay(t.Context(), faas.WithInput([]byte(`{"N":5}`)))
		require.NoError(t, err)
		out, err := again.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "5", out)
		info, err := again.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []any{job.ID(), "k", "", "b"}, []any{info.ReplayOf, info.OrderKey, info.UniqueKey, info.Labels["a"]})
		n, err := r.Purge(t.Context(), faas.JobFilter{Condition: faas.ConditionPermanent})
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		_, err = job.Info(t.Context())
		require.ErrorIs(t, err, faas.ErrForgotten)
		shut(t, r)
	})
}

func TestTheSecondSenderOfAUniqueKeyGetsTheFirstJob(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		first, err := fn.Send(t.Context(), parcel{1}, faas.WithUnique("u", time.Hour))
		require.NoError(t, err)
		_, err = first.Wait(t.Context())
		require.NoError(t, err)
		second, err := fn.Send(t.Context(), parcel{2}, faas.WithUnique("u", time.Hour))
		require.NoError(t, err)
		assert.True(t, second.Duplicate())
		assert.Equal(t, first.ID(), second.ID())
		other, err := fn.Send(faas.WithTenant(t.Context(), "b"), parcel{3}, faas.WithUnique("u", time.Hour))
		require.NoError(t, err)
		assert.False(t, other.Duplicate())
		time.Sleep(time.Hour)
		third, err := fn.Send(t.Context(), parcel{4}, faas.WithUnique("u", time.Hour))
		require.NoError(t, err)
		assert.False(t, third.Duplicate())
		_, err = third.Wait(t.Context())
		require.NoError(t, err)
		shut(t, r)
	})
}

func TestJobsOfOneOrderKeyRunOneAtATimeWithTheirRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var ran []int
		fn := faas.Register(r, "ship", func(_ context.Context, in parcel) (string, error) {
			ran = append(ran, in.N)
			if len(ran) == 1 {
				return "", errors.New("once")
			}
			return "", nil
		})
		jobs, err := fn.SendAll(t.Context(), []parcel{{1}, {2}, {3}}, faas.WithOrderKey("k"))
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "Ready key", state(t, jobs[1]))
		_, err = jobs[2].Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{1, 1, 2, 3}, ran)
		shut(t, r)
	})
}

func TestAJobOfAHandlerIsOneDeeperAndMeetsTheDepthLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithMaxDepth(4))
		var seen []faas.Invocation
		var fn *faas.Function[parcel, string]
		fn = faas.Register(r, "again", func(ctx context.Context, in parcel) (string, error) {
			inv, _ := faas.FromContext(ctx)
			seen = append(seen, inv)
			_, err := fn.Send(ctx, parcel{in.N + 1})
			return "", err
		}, faas.WithRetry(faas.Retry{}))
		_, err := fn.Send(faas.WithTenant(t.Context(), "acme"), parcel{})
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, seen, 4)
		for depth, inv := range seen {
			assert.Equal(t, []any{depth, "acme"}, []any{inv.Depth, inv.Tenant})
			if depth > 0 {
				assert.Equal(t, seen[depth-1].ID, inv.Parent)
			}
		}
		shut(t, r)
	})
}

func TestSendRefusesWhatCanNotRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began), faas.WithLimits(10, 10))
		faas.RegisterStream(r, "stream", func(context.Context, parcel, io.Writer) error { return nil })
		_, err := r.Send(t.Context(), "stream", nil)
		require.ErrorIs(t, err, faas.ErrType)
		_, err = r.Send(t.Context(), "nothing", nil)
		require.ErrorIs(t, err, faas.ErrNotFound)
		_, err = r.Send(t.Context(), "ship", []byte(`{"N":1234567}`))
		require.ErrorIs(t, err, faas.ErrTooLarge)
		for _, o := range []faas.SendOption{
			faas.WithDelay(-1), faas.WithUnique("", time.Hour), faas.WithUnique("u", 0), faas.WithOrderKey("\n"), faas.WithExpiry(0), faas.WithJobID(uuid.Nil),
		} {
			_, err = fn.Send(t.Context(), parcel{}, o)
			require.ErrorIs(t, err, faas.ErrInput)
		}
		require.NoError(t, r.Remove("ship"))
		_, err = fn.Send(t.Context(), parcel{})
		require.ErrorIs(t, err, faas.ErrNotFound)
	})
}

func TestAPayloadThatDoesNotDecodeIsDeadUnlessItIsUpgraded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		faas.Register(r, "strict", shipping(0, &began))
		faas.Register(r, "ship", shipping(0, &began), faas.WithUpgrade(func([]byte, string) ([]byte, error) { return []byte(`{"N":3}`), nil }))
		dead, err := r.Send(t.Context(), "strict", []byte(`[`))
		require.NoError(t, err)
		_, err = dead.Wait(t.Context())
		require.ErrorContains(t, err, "Dead (Invalid)")
		job, err := r.Send(t.Context(), "ship", []byte(`[`))
		require.NoError(t, err)
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, `"order 3"`, string(out))
		shut(t, r)
	})
}

type senderKey struct{}

func TestACarrierTakesAValueToEachDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithContext(faas.CarryKeys(senderKey{})), faas.WithCarrier(faas.Carrier{
			Name: "user",
			Save: func(ctx context.Context) ([]byte, error) {
				s, _ := ctx.Value(senderKey{}).(string)
				return []byte(s), nil
			},
			Restore: func(ctx context.Context, saved []byte) (context.Context, error) {
				return context.WithValue(ctx, senderKey{}, string(saved)), nil
			},
		}))
		fn := faas.Register(r, "who", func(ctx context.Context, _ parcel) (string, error) {
			s, _ := ctx.Value(senderKey{}).(string)
			err := faas.Progress(ctx, 1, 2, "half")
			time.Sleep(time.Second)
			return s, err
		})
		job, err := fn.Send(context.WithValue(t.Context(), senderKey{}, "ann"), parcel{})
		require.NoError(t, err)
		synctest.Wait()
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, faas.JobProgress{Done: 1, Total: 2, Note: "half"}, info.Progress)
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "ann", out)
		shut(t, r)
	})
}

func TestADeadJobIsToldToADestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var told []faas.JobEnvelope
		fn := faas.Register(r, "ship", func(context.Context, parcel) (string, error) { return "", errors.New("never") },
			faas.WithRetry(faas.Retry{}), faas.WithOnFailure(faas.ToFunc(func(_ context.Context, e faas.JobEnvelope) error {
				told = append(told, e)
				if len(told) == 1 {
					return faas.RetryAfter(time.Hour, nil)
				}
				return nil
			})))
		job, err := fn.Send(t.Context(), parcel{4})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Len(t, told, 2)
		assert.Equal(t, job.ID().String(), told[1].RequestContext.RequestID)
		assert.JSONEq(t, `{"N":4}`, string(told[1].RequestPayload))
		shut(t, r)
	})
}

func TestAJobWaitsForItsFunctionToBeRegisteredAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		r := router(t, faas.WithJobs(queue))
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		job, err := fn.Send(t.Context(), parcel{4}, faas.WithDelay(time.Minute))
		require.NoError(t, err)
		require.NoError(t, r.Remove("ship"))
		time.Sleep(time.Hour)
		assert.Equal(t, "Ready function", state(t, job))
		faas.Register(r, "ship", shipping(0, &began))
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		shut(t, r)
	})
}

func TestAJobOfAVersionThatIsNotThereIsParkedUntilItIsRegistered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		faas.Register(r, "ship", shipping(0, &began), faas.WithVersion(1))
		faas.Register(r, "ship", shipping(0, &began), faas.WithVersion(2))
		job, err := r.Send(t.Context(), "ship:2", []byte(`{"N":4}`), faas.WithDelay(time.Minute))
		require.NoError(t, err)
		require.NoError(t, r.Remove("ship:2"))
		time.Sleep(time.Hour)
		assert.Equal(t, "Parked function", state(t, job))
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []any{faas.KindNotFound, 0, 1}, []any{info.Last.Kind, info.Attempts, info.Deliveries})
		begin := time.Now()
		faas.Register(r, "ship", shipping(0, &began), faas.WithVersion(2))
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(begin), "the registration has let it run")
		assert.Len(t, began, 1)
		shut(t, r)
	})
}

func TestATenantWithManyJobsDoesNotKeepAHundredOthersWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		fn := faas.Register(r, "work", func(context.Context, parcel) (string, error) {
			time.Sleep(time.Second)
			return "", nil
		}, faas.WithConcurrency(10))
		for range 5000 {
			_, err := fn.Send(faas.WithTenant(t.Context(), "many"), parcel{})
			require.NoError(t, err)
		}
		time.Sleep(10 * time.Second)
		begin := time.Now()
		for i := range 100 {
			job, err := fn.Send(faas.WithTenant(t.Context(), fmt.Sprint("few", i)), parcel{})
			require.NoError(t, err)
			defer func() {
				_, err := job.Wait(t.Context())
				require.NoError(t, err)
				assert.LessOrEqual(t, time.Since(begin), 21*time.Second) // at worst every second turn is theirs
			}()
		}
	})
}

// Senders, cancels and faults at random, in real time: nothing is lost, and nothing ends twice.
func TestJobsHammer(t *testing.T) {
	t.Parallel()
	r := router(t)
	var running sync.Map
	fn := faas.Register(r, "any", func(ctx context.Context, in parcel) (string, error) {
		inv, _ := faas.FromContext(ctx)
		if _, twice := running.LoadOrStore(inv.Job, true); twice {
			return "", faas.Permanent(errors.New("twice at once"))
		}
		defer running.Delete(inv.Job)
		switch in.N % 7 {
		case 0:
			return "", errors.New("failed")
		case 1:
			panic("handler")
		case 2:
			return "", faas.Permanent(errors.New("permanent"))
		case 3:
			return "", faas.RetryAfter(time.Hour, nil)
		}
		return "", nil
	}, faas.WithConcurrency(4), faas.WithRetry(faas.Retry{Max: 1, First: time.Millisecond}))
	var accepted, refused atomic.Int64
	var group sync.WaitGroup
	for s := range 4 {
		group.Go(func() {
			ctx := faas.WithTenant(context.Background(), strconv.Itoa(s))
			for i := range 500 {
				job, err := fn.Send(ctx, parcel{i}, faas.WithJobLabels(map[string]string{"n": "1"}))
				if err != nil {
					refused.Add(1)
					continue
				}
				accepted.Add(1)
				if i%11 == 0 {
					if err := job.Cancel(ctx); err != nil && !errors.Is(err, faas.ErrSettled) {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	err := r.Shutdown(context.Background())
	named := 0
	if left, ok := errors.AsType[*faas.JobsLeft](err); ok {
		named = left.ByFunction["any"]
	}
	ended := 0
	for info, err := range r.Jobs(context.Background(), faas.JobFilter{}) {
		require.NoError(t, err)
		if info.State.IsSettled() {
			ended++
		}
		if info.Last != nil {
			assert.NotContains(t, info.Last.Error, "twice")
		}
	}
	assert.Equal(t, int64(2000), accepted.Load()+refused.Load())
	assert.Equal(t, accepted.Load(), int64(ended+named))
	assert.Positive(t, named)
}
