package faas_test

import (
	"context"
	"errors"
	"fmt"
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

// sum returns what a job's deliveries have used, by their records.
func sum(meters ...*recorder) (used time.Duration) {
	for _, m := range meters {
		for _, e := range m.all() {
			used += e.Duration
		}
	}
	return used
}

// obeying returns a handler that waits until its context ends, and notes the cause.
func obeying(causes *steps) faas.Handler[parcel, string] {
	return func(ctx context.Context, _ parcel) (string, error) {
		<-ctx.Done()
		causes.add(context.Cause(ctx).Error())
		return "", ctx.Err()
	}
}

func TestAJobThatIsLeasedWhileItIsCanceledTellsTheTimeThatItUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var once sync.Once
		queue := hookJobs("Swap", func() { // Cancel has read the record, and writes it only after the job has begun to run
			once.Do(func() { time.Sleep(10 * time.Minute) })
		})
		meter, causes := &recorder{}, &steps{}
		r := router(t, faas.WithJobs(queue), faas.WithMeter(meter))
		fn := faas.Register(r, "work", obeying(causes), faas.WithTimeout(10*time.Hour))
		job, err := fn.Send(t.Context(), parcel{}, faas.WithDelay(time.Minute))
		require.NoError(t, err)
		require.NoError(t, job.Cancel(t.Context()))
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, faas.JobCanceled, info.State)
		assert.Equal(t, []any{9 * time.Minute, 1, meter.last(t).ID}, []any{info.Used, info.Deliveries, info.Last.Invocation})
		assert.Equal(t, sum(meter), info.Used)
		synctest.Wait()
		assert.Equal(t, []string{faas.ErrJobCanceled.Error()}, causes.list())
		shut(t, r)
	})
}

func TestAJobThatWasCanceledBetweenLeaseAndSlotNeverRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		var job *faas.Job[string]
		meter := &recorder{}
		r := router(t, faas.WithMeter(meter), faas.WithJobs(&hookedJobs{queue, func(ctx context.Context, method string) {
			if method == "Begin" { // another process cancels the job
				rec, err := queue.Get(ctx, job.ID())
				assert.NoError(t, err)
				next := rec
				next.State, next.Condition, next.Settled = faas.JobCanceled, faas.ConditionCanceled, time.Now()
				assert.NoError(t, queue.Swap(ctx, rec, next))
			}
		}}))
		fn := faas.Register(r, "work", func(context.Context, parcel) (string, error) { return "", nil }, faas.WithConcurrency(1))
		var err error
		job, err = fn.Send(t.Context(), parcel{}, faas.WithDelay(time.Second))
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrJobCanceled)
		synctest.Wait()
		assert.Empty(t, meter.all())
		_, err = fn.Invoke(t.Context(), parcel{})
		require.NoError(t, err, "its slot is free again")
		shut(t, r)
	})
}

func TestAJobWhoseLeaseIsLostEndsItsHandlerAndIsDeadAfterThreeTimes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		meter, causes := &recorder{}, &steps{}
		var running, most atomic.Int32
		r := router(t, faas.WithJobs(queue), faas.WithMeter(meter))
		obey := obeying(causes)
		fn := faas.Register(r, "work", func(ctx context.Context, in parcel) (string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			return obey(ctx, in)
		})
		job, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		for i := range 3 {
			time.Sleep(time.Duration(i+1) * time.Second)
			require.Equal(t, 1, queue.(interface{ LoseLeases() int }).LoseLeases())
		}
		_, err = job.Wait(t.Context())
		var end *faas.JobError
		require.ErrorAs(t, err, &end)
		assert.Equal(t, faas.ConditionHostCrashes, end.Condition)
		synctest.Wait()
		lost := faas.ErrLease.Error()
		assert.Equal(t, []string{lost, lost, lost}, causes.list())
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []any{3, 0, 6 * time.Second}, []any{info.Crashes, info.Attempts, info.Used})
		assert.Equal(t, sum(meter), info.Used)
		for i, e := range meter.all() {
			assert.Equal(t, []any{i + 1, faas.Canceled, job.ID()}, []any{e.Delivery, e.Outcome, e.Job})
		}
		assert.Equal(t, int32(1), most.Load(), "one at a time in a process")
		shut(t, r)
	})
}

func TestAHostThatHasLostItsLeaseLearnsItAndItsSettlementIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		leases := 0
		first := &hookedJobs{queue, func(ctx context.Context, method string) {
			if method == "Lease" {
				if leases++; leases > 1 {
					<-ctx.Done() // its lease is lost
				}
			}
		}}
		one, two, causes := &recorder{}, &recorder{}, &steps{}
		r := router(t, faas.WithJobs(first), faas.WithMeter(one))
		fn := faas.Register(r, "work", obeying(causes))
		job, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		other := router(t, faas.WithJobs(queue), faas.WithMeter(two))
		faas.Register(other, "work", func(context.Context, parcel) (string, error) {
			time.Sleep(time.Minute)
			return "done", nil
		}, faas.WithTimeout(time.Hour))
		require.Equal(t, 1, first.LoseLeases())
		out, err := job.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "done", out)
		synctest.Wait()
		assert.Equal(t, []string{faas.ErrLease.Error()}, causes.list())
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []any{1, 1, 80 * time.Second}, []any{info.Crashes, info.Deliveries, info.Used}) // 20 s until the first host finds out, and 60 s on the second
		assert.Equal(t, sum(one, two), info.Used)
		assert.Equal(t, []int{1, 2}, []int{one.last(t).Delivery, two.last(t).Delivery})
		shut(t, other)
		shut(t, r)
	})
}

// dying returns the options of a function whose dead jobs go to a Go func.
func dying(to func(ctx context.Context, e faas.JobEnvelope) error) []faas.FunctionOption {
	return []faas.FunctionOption{faas.WithRetry(faas.Retry{Max: 2, First: time.Minute}), faas.WithOnFailure(faas.ToFunc(to))}
}

func dead(context.Context, parcel) (string, error) { return "", faas.Permanent(errors.New("dead")) }

func TestAsManyFuncsOfAFunctionsDestinationsRunAsItSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var running, most, all atomic.Int32
		fn := faas.Register(r, "work", dead, dying(func(ctx context.Context, _ faas.JobEnvelope) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			all.Add(1)
			return nil
		})...)
		_, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, int32(1), running.Load(), "the func of the first job runs, and the jobs behind it don't wait for that")
		for range 99 {
			_, err := fn.Send(t.Context(), parcel{})
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Zero(t, all.Load())
		assert.Equal(t, int32(32), running.Load())
		time.Sleep(4 * time.Second)
		synctest.Wait()
		assert.Equal(t, int32(32), most.Load())
		assert.Equal(t, int32(100), all.Load())
		shut(t, r)
	})
}

func TestTheFuncOfADestinationIsCalledForTheTenantAndWithADeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Minute))
		var left time.Duration
		var nested faas.Invocation
		note := faas.Register(r, "note", func(ctx context.Context, _ parcel) (string, error) {
			nested, _ = faas.FromContext(ctx)
			return "", nil
		})
		fn := faas.Register(r, "work", dead, dying(func(ctx context.Context, _ faas.JobEnvelope) error {
			at, _ := ctx.Deadline()
			left = time.Until(at)
			_, err := note.Invoke(ctx, parcel{})
			return err
		})...)
		_, err := fn.Send(faas.WithTenant(t.Context(), "acme"), parcel{})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, time.Minute, left)
		assert.Equal(t, []any{"acme", 0, 0}, []any{nested.Tenant, nested.Delivery, nested.Depth})
		shut(t, r)
	})
}

func TestTheFuncOfADestinationThatFailsIsTriedAgainAndNeverTwiceAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Minute))
		var began []time.Duration
		first := time.Now()
		fn := faas.Register(r, "work", dead, dying(func(context.Context, faas.JobEnvelope) error {
			began = append(began, time.Since(first))
			switch len(began) {
			case 1:
				panic("first")
			case 2:
				time.Sleep(10 * time.Minute) // it ignores its context, which ends after one minute
			}
			return nil
		})...)
		_, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []time.Duration{0, time.Minute, 11 * time.Minute}, began)
		jobs := r.Stats().Jobs
		assert.Equal(t, []int{1, 1, 0}, []int{jobs.Succeeded, jobs.Dead, jobs.Waiting()})
		shut(t, r)
	})
}

func TestShutdownEndsTheFuncOfADestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		causes := &steps{}
		fn := faas.Register(r, "work", dead, dying(func(ctx context.Context, _ faas.JobEnvelope) error {
			<-ctx.Done()
			causes.add(fmt.Sprint(context.Cause(ctx)))
			return ctx.Err()
		})...)
		_, err := fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		err = r.Shutdown(ctx)
		var left *faas.JobsLeft
		require.ErrorAs(t, err, &left)
		assert.Equal(t, map[string]int{"work": 1}, left.ByFunction)
		assert.Equal(t, time.Second, time.Since(begin))
		synctest.Wait()
		assert.Equal(t, []string{faas.ErrClosed.Error()}, causes.list())
	})
}

// noDeliveries is a gate that refuses deliveries of jobs, with a RetryAfter.
type noDeliveries struct{}

func (noDeliveries) Done(faas.Invocation, *faas.Execution) {}
func (noDeliveries) Admit(_ context.Context, inv faas.Invocation) error {
	if inv.Job != uuid.Nil {
		return &faas.Error{Reason: faas.ReasonOverloaded}
	}
	return nil
}

func TestRefusedDeliveriesAreCountedApartFromRefusedCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex // guards told
		var told []faas.Refusal
		r := router(t, faas.WithRefusals(func(_ context.Context, ref faas.Refusal) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, ref)
		}))
		fn := faas.Register(r, "work", dead, faas.WithGate(noDeliveries{}), faas.WithMaxAge(time.Hour))
		faas.Register(r, "plain", dead)
		faas.Register(r, "plain", dead, faas.WithVersion(2))
		_, err := r.Invoke(t.Context(), "work", []byte("["))
		require.ErrorIs(t, err, faas.ErrInput)
		_, err = fn.Send(t.Context(), parcel{})
		require.NoError(t, err)
		_, err = r.Send(t.Context(), "plain", []byte("["))
		require.NoError(t, err)
		_, err = r.Send(t.Context(), "plain:2", []byte("{}"), faas.WithDelay(time.Millisecond))
		require.NoError(t, err)
		require.NoError(t, r.Remove("plain:2"))
		time.Sleep(time.Second / 2)
		synctest.Wait()
		work, err := r.Info("work")
		require.NoError(t, err)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonInput: 1}, work.Rejected)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonOverloaded: 1}, work.JobsRejected)
		assert.Equal(t, []int{1, 0}, []int{work.Jobs.Scheduled, int(work.Admitted)})
		assert.Equal(t, work, fn.Info())
		plain, err := r.Info("plain")
		require.NoError(t, err)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonInput: 1}, plain.JobsRejected)
		assert.Equal(t, []int{1, 1}, []int{plain.Jobs.Dead, plain.Jobs.Parked})
		stats := r.Stats()
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonInput: 1}, stats.Rejected)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonOverloaded: 1, faas.ReasonInput: 1, faas.ReasonNotFound: 1}, stats.JobsRejected)
		require.Len(t, told, 4)
		for i, ref := range told {
			assert.Equal(t, i > 0, ref.Job != uuid.Nil)
		}
		for info := range r.Functions() {
			assert.Equal(t, 1, info.Jobs.Waiting()+info.Jobs.Dead-info.Jobs.Parked, info.Name)
		}
		require.NoError(t, r.Remove("work"))
		assert.Equal(t, stats.JobsRejected, r.Stats().JobsRejected)
	})
}

func TestAJobThatIsHeldKeepsItsAnswerThoughTheQueueHasForgottenIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithJobs(faas.NewMemoryJobs(2, 0)))
		fn := faas.Register(r, "work", func(_ context.Context, in parcel) (string, error) {
			if in.N == 2 {
				return "", faas.Permanent(errors.New("two"))
			}
			return fmt.Sprint("done ", in.N), nil
		})
		var jobs []*faas.Job[string]
		send := func(n int, opts ...faas.SendOption) {
			job, err := fn.Send(t.Context(), parcel{n}, opts...)
			require.NoError(t, err)
			jobs = append(jobs, job)
		}
		send(0, faas.WithUnique("u", time.Hour))
		send(0, faas.WithUnique("u", time.Hour)) // the same job
		synctest.Wait()
		send(1)
		send(2)
		synctest.Wait()
		send(3, faas.WithDelay(time.Hour))
		require.NoError(t, jobs[4].Cancel(t.Context()))
		for n := range 10 {
			send(10 + n)
			synctest.Wait()
		}
		for i, want := range []string{"done 0", "done 0", "done 1"} {
			_, err := jobs[i].Info(t.Context())
			require.Error(t, err, "the queue does not even know its ID")
			out, err := jobs[i].Wait(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, out)
		}
		_, err := jobs[3].Wait(t.Context())
		require.ErrorContains(t, err, "Dead (Permanent): two")
		_, err = jobs[4].Wait(t.Context())
		require.ErrorIs(t, err, faas.ErrJobCanceled)
		_, err = fn.Job(jobs[0].ID()).Wait(t.Context())
		require.Error(t, err, "this one was not there when it ended")
		shut(t, r)
	})
}

func TestASendToAFunctionWhoseJobsHaveNotRunLeavesNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		for i := range 20 {
			f := faas.Register(r, fmt.Sprint("f", i), func(context.Context, int) (int, error) { return 0, nil })
			require.NoError(t, r.SetConcurrency(fmt.Sprint("f", i), 0)) // off
			_, err := f.Send(t.Context(), 1)
			require.NoError(t, err)
		}
		require.Zero(t, faas.KnownPaces(r))
	})
}

func TestAFullQueueSaysWhenToComeAgainAndAJobThatWouldBeTooOldIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithJobs(faas.NewMemoryJobs(1000, 0)))
		fn := faas.Register(r, "work", func(context.Context, parcel) (string, error) {
			time.Sleep(10 * time.Second)
			return "", nil
		}, faas.WithConcurrency(2))
		send := func(tenant string, opts ...faas.SendOption) *faas.Error {
			_, err := fn.Send(faas.WithTenant(t.Context(), tenant), parcel{}, opts...)
			if err == nil {
				return nil
			}
			refused, ok := errors.AsType[*faas.Error](err)
			require.True(t, ok)
			require.ErrorIs(t, err, faas.ErrOverloaded)
			require.Equal(t, faas.ReasonOverloaded, refused.Reason)
			return refused
		}
		for range 60 {
			require.Nil(t, send("a", faas.WithExpiry(time.Hour)))
		}
		require.Nil(t, send("a", faas.WithExpiry(time.Second)), "nothing was measured yet")
		time.Sleep(45 * time.Second)
		// 8 have run, 2 run, one waits for its slot, and 50 are ahead: 250 s in two slots.
		late := send("a", faas.WithExpiry(4*time.Minute))
		require.NotNil(t, late)
		assert.Equal(t, 10*time.Second, late.RetryAfter)
		require.Nil(t, send("a", faas.WithExpiry(5*time.Minute)))
		require.Nil(t, send("b", faas.WithExpiry(10*time.Second)), "the other tenant's jobs don't keep it waiting")
		require.Nil(t, send("a", faas.WithExpiry(time.Second), faas.WithDelay(time.Hour)))
		full := (*faas.Error)(nil)
		for i := 0; full == nil && i < 1000; i++ {
			full = send(fmt.Sprint("tenant ", i))
		}
		require.NotNil(t, full)
		assert.Equal(t, 5*time.Second, full.RetryAfter, "two jobs run, for 10 s each")
	})
}
