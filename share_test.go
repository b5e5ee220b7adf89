package faas_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// A call of a function with few calls waits for at most one call of a function that floods the
// router, whatever the weights are.
func TestAQuietFunctionWaitsForOneCallOfALoudOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const service = 10 * time.Millisecond
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Hour), faas.WithCapacity(1), faas.WithQueue(2000))
		loud := faas.Register(r, "loud", sleepFor, faas.WithWeight(1000))
		quiet := faas.Register(r, "quiet", sleepFor)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { _, _ = loud.Invoke(t.Context(), service) })
		}
		synctest.Wait()
		for range 10 {
			time.Sleep(service / 2)
			_, err := quiet.Invoke(t.Context(), service)
			require.NoError(t, err)
			assert.LessOrEqual(t, m.recordsOf("quiet")[len(m.recordsOf("quiet"))-1].Queued, service)
		}
		all.Wait()
	})
}

// If three functions flood a router, each gets slots by its reservation and its weight.
func TestTheCapacityIsSharedByFloorAndWeight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Hour), faas.WithCapacity(20))
		functions := []*faas.Function[time.Duration, bool]{
			faas.Register(r, "floor", sleepFor, faas.WithReserved(8)),
			faas.Register(r, "three", sleepFor, faas.WithWeight(3)),
			faas.Register(r, "one", sleepFor),
		}
		var all sync.WaitGroup
		for _, f := range functions {
			for i := range 200 {
				all.Go(func() { _, _ = f.Invoke(t.Context(), time.Second+time.Duration(i%7)*time.Millisecond) })
			}
			synctest.Wait() // the first function has all slots
		}
		assert.Equal(t, 20, functions[0].Info().InFlight)
		time.Sleep(3 * time.Second)
		var held []int
		for _, f := range functions {
			held = append(held, f.Info().InFlight)
		}
		assert.Equal(t, []int{8, 9, 3}, held)
		assert.Equal(t, 8, functions[0].Info().Reserved)
		assert.Equal(t, []int{1, 3, 1}, []int{functions[0].Info().Weight, functions[1].Info().Weight, functions[2].Info().Weight})
		all.Wait()
	})
}

func TestFloorsTogetherMayNotExceedTheCapacity(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithCapacity(10))
	faas.Register(r, "a", double, faas.WithReserved(6))
	_, err := faas.TryRegister(r, "b", double, faas.WithReserved(5))
	require.ErrorIs(t, err, faas.ErrInput)
	assert.ErrorContains(t, err, "capacity of 10")
	for range 3 { // a function that could not be registered reserves nothing
		_, err = faas.TryRegister(r, "a", double, faas.WithReserved(4))
		require.ErrorIs(t, err, faas.ErrDuplicate)
	}
	faas.Register(r, "b", double, faas.WithReserved(4))
	require.NoError(t, r.Remove("a"))
	faas.Register(r, "a", double, faas.WithReserved(6), faas.WithConcurrency(6))
	_, err = faas.TryRegister(r, "c", double, faas.WithReserved(2), faas.WithConcurrency(1))
	assert.ErrorContains(t, err, "reserve less, or allow more")
	assert.Panics(t, func() { faas.New(faas.WithCapacity(3), faas.WithReserved(4)) })
}

func TestAFunctionThatIsOffRefusesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Hour))
		f := faas.Register(r, "f", sleepFor, faas.WithConcurrency(0))
		off := func(err error) {
			t.Helper()
			var e *faas.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, faas.ReasonOff, e.Reason)
			assert.ErrorIs(t, err, faas.ErrOverloaded)
		}
		_, err := f.Invoke(t.Context(), 0)
		off(err)
		assert.Zero(t, f.Info().Limit)

		require.NoError(t, r.SetConcurrency("f", 1))
		answers := make(chan error, 3)
		for range 3 {
			go func() { _, err := f.Invoke(t.Context(), time.Minute); answers <- err }()
		}
		synctest.Wait()
		require.NoError(t, r.SetConcurrency("f", 0))
		off(<-answers) // of the calls that waited
		off(<-answers)
		assert.NoError(t, <-answers, "who runs goes on")
		_, err = f.Invoke(t.Context(), 0)
		off(err)
		assert.EqualValues(t, 4, f.Info().Rejected[faas.ReasonOff])

		require.NoError(t, r.SetConcurrency("f", 2))
		_, err = f.Invoke(t.Context(), 0)
		require.NoError(t, err)
	})
}

func TestATenantsCallsAtOnceAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Hour))
		var running, most [2]atomic.Int32
		f := faas.Register(r, "f", func(ctx context.Context, i int) (int, error) {
			n := running[i].Add(1)
			most[i].Store(max(most[i].Load(), n))
			time.Sleep(time.Second)
			running[i].Add(-1)
			return 0, nil
		}, faas.WithTenantConcurrency(4))
		began := time.Now()
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				_, err := f.Invoke(faas.WithTenant(t.Context(), fmt.Sprint(i%2)), i%2)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, []int32{4, 4}, []int32{most[0].Load(), most[1].Load()})
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

func TestPriorityIsInheritedAndSaidAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		seen := faas.Register(r, "seen", func(ctx context.Context, _ int) (string, error) {
			inv, _ := faas.FromContext(ctx)
			return fmt.Sprint(inv.Tenant, inv.Priority), nil
		})
		outer := faas.Register(r, "outer", func(ctx context.Context, n int) (string, error) {
			if n != 0 {
				ctx = faas.WithPriority(ctx, n)
			}
			return seen.Invoke(ctx, 0)
		})
		ctx := faas.WithTenant(faas.WithPriority(t.Context(), 3), "a")
		for n, want := range map[int]string{0: "a3", -5: "a-5"} {
			got, err := outer.Invoke(ctx, n)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		got, err := seen.Invoke(faas.WithPriority(faas.WithTenant(t.Context(), "b"), 2), 0)
		require.NoError(t, err)
		assert.Equal(t, "b2", got)
	})
}

func TestPriorityOrdersTheCallsThatWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &steps{}
		f := faas.Register(router(t), "f", func(_ context.Context, s string) (int, error) {
			m.add(s)
			time.Sleep(time.Second)
			return 0, nil
		}, faas.WithConcurrency(1))
		var all sync.WaitGroup
		for i, p := range []int{0, 0, -1, 2, 1, 2} {
			all.Go(func() { _, _ = f.Invoke(faas.WithPriority(t.Context(), p), fmt.Sprint(i)) })
			synctest.Wait()
		}
		all.Wait()
		assert.Equal(t, []string{"0", "3", "5", "4", "1", "2"}, m.list())
	})
}

type memberKey struct{}

// userOf is a host's tenant key: it reads the user from the caller's context.
func userOf(ctx context.Context, inv faas.Invocation) string {
	switch user, _ := ctx.Value(memberKey{}).(string); user {
	case "panic":
		panic("no user")
	case "exit":
		exit()
	case "":
		return "for " + inv.Tenant
	default:
		return user
	}
	return ""
}

func TestTheTenantKeyNamesTheTenantOfACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		var asked []string
		gate := gateFunc(func(inv faas.Invocation) { asked = append(asked, inv.Tenant) })
		r := router(t, faas.WithMeter(m), faas.WithTenantKey(userOf), faas.WithGate(gate))
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (string, error) {
			inv, _ := faas.FromContext(ctx)
			return inv.Tenant, nil
		})
		plain := faas.Register(r, "plain", double, faas.WithTenantKey(nil))
		outer := faas.Register(r, "outer", func(ctx context.Context, _ int) (string, error) { return f.Invoke(ctx, 0) })
		as := func(user string) context.Context { return context.WithValue(t.Context(), memberKey{}, user) }

		for want, ctx := range map[string]context.Context{"ann": as("ann"), "for b": faas.WithTenant(t.Context(), "b")} {
			got, err := f.Invoke(ctx, 0)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, want, m.last(t).Tenant)
			assert.Equal(t, want, asked[len(asked)-1])
		}
		got, err := outer.Invoke(as("ann"), 0)
		require.NoError(t, err)
		assert.Equal(t, "for ann", got, "a nested call has no value of the caller's")
		_, err = plain.Invoke(faas.WithTenant(as("ann"), "c"), 0)
		require.NoError(t, err)
		assert.Equal(t, "c", m.last(t).Tenant)

		_, err = f.Invoke(as("panic"), 0)
		require.ErrorIs(t, err, faas.ErrDenied)
		var p *faas.PanicError
		require.ErrorAs(t, err, &p)
		assert.EqualValues(t, 1, r.Stats().HookPanics)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = f.Invoke(as("exit"), 0)
		}()
		<-done
		assert.EqualValues(t, 2, f.Info().Rejected[faas.ReasonDenied])
		assert.Zero(t, r.Stats().InFlight)
	})
}

// gateFunc is a gate that calls the func and then admits the call.
type gateFunc func(inv faas.Invocation)

func (g gateFunc) Admit(_ context.Context, inv faas.Invocation) error { g(inv); return nil }
func (g gateFunc) Done(faas.Invocation, *faas.Execution)              {}

// Nested calls never wait for each other, even if the limit of their tenant is reached.
func TestNestedCallsOfOneTenantDoNotWaitForEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithTimeout(time.Hour), faas.WithTenantConcurrency(1))
		var f, g *faas.Function[int, int]
		calls := func(other **faas.Function[int, int]) faas.Handler[int, int] {
			return func(ctx context.Context, n int) (int, error) {
				time.Sleep(time.Second)
				if n == 0 {
					return 0, nil
				}
				return (*other).Invoke(ctx, n-1)
			}
		}
		f = faas.Register(r, "f", calls(&g))
		g = faas.Register(r, "g", calls(&f))
		errs := make(chan error, 2)
		for _, root := range []*faas.Function[int, int]{f, g} {
			go func() { _, err := root.Invoke(faas.WithTenant(t.Context(), "a"), 1); errs <- err }()
		}
		require.ErrorIs(t, <-errs, faas.ErrCycle)
		require.NoError(t, <-errs)
	})
}
