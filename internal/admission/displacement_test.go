package admission_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// beginUrgent makes a call on behalf of a tenant, with a priority.
func beginUrgent(t *testing.T, c *admission.Class, tenant string, priority int) *call {
	t.Helper()
	k := launch(t.Context(), c, nil, admission.Request{Tenant: tenant, Priority: priority, Wait: patience})
	synctest.Wait()
	return k
}

func TestAFullQueueIsSharedByItsTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 4)
		running := beginAs(t, c, nil, "loud")
		loud := []*call{beginAs(t, c, nil, "loud"), beginAs(t, c, nil, "loud"), beginAs(t, c, nil, "loud"), beginAs(t, c, nil, "loud")}
		refused(t, admission.ErrFull, beginAs(t, c, nil, "loud"))
		quiet1 := beginAs(t, c, nil, "quiet")
		refused(t, admission.ErrDisplaced, loud[3])
		quiet2 := beginAs(t, c, nil, "quiet")
		refused(t, admission.ErrDisplaced, loud[2])
		waits(t, loud[0], loud[1], quiet1, quiet2)
		assert.Equal(t, 4, c.Queued())
		refused(t, admission.ErrFull, beginAs(t, c, nil, "quiet"), beginAs(t, c, nil, "loud"))
		third := beginAs(t, c, nil, "third") // both tenants have two calls, and the newest call is of quiet
		refused(t, admission.ErrDisplaced, quiet2)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "quiet"))
		end(running, quiet1, third, loud[0], loud[1])
		quiet(t, g, c)
	})
}

func TestTheVictimIsOfLowestPriorityThenARootThenTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		other := g.NewClass(10, 0)
		c := g.NewClass(1, 6)
		running, parent := beginAs(t, c, nil, "a"), begin(t, other, nil)
		nested := beginAs(t, c, parent, "a")
		old, low, urgent, recent := beginUrgent(t, c, "a", 0), beginUrgent(t, c, "a", -1), beginUrgent(t, c, "a", 9), beginUrgent(t, c, "a", 0)
		last := beginAs(t, c, parent, "a")
		var others []*call
		for i, victim := range []*call{low, recent, old, last, nested} {
			others = append(others, beginAs(t, c, nil, strconv.Itoa(i)))
			refused(t, admission.ErrDisplaced, victim)
		}
		waits(t, urgent)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "with one, it has as many"))
		end(running, urgent)
		end(others...)
		parent.end()
		quiet(t, g, other, c)
	})
}

func TestPriorityDisplacesWithinItsTenantAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 2)
		running := beginAs(t, c, nil, "a")
		mine, theirs := beginUrgent(t, c, "a", 0), beginUrgent(t, c, "b", -5)
		refused(t, admission.ErrFull, beginUrgent(t, c, "a", 0))
		urgent := beginUrgent(t, c, "a", 1)
		refused(t, admission.ErrDisplaced, mine)
		waits(t, theirs, urgent)
		refused(t, admission.ErrFull, beginUrgent(t, c, "third", 100))
		end(running, urgent, theirs)
		quiet(t, g, c)
	})
}

// A call that waits for its tenant's limit is displaced like any other.
func TestAWaiterAtItsTenantsLimitIsDisplacedAsAnyOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(2, 2)
		c.LimitTenants(1)
		running, also := beginAs(t, c, nil, "a"), beginAs(t, c, nil, "b")
		first, second := beginAs(t, c, nil, "a"), beginAs(t, c, nil, "a")
		third := beginAs(t, c, nil, "c")
		refused(t, admission.ErrDisplaced, second)
		end(also)
		runs(t, third)
		end(third, running, first)
		quiet(t, g, c)
	})
}

func TestACallThatWouldWaitForItselfDisplacesNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 2), g.NewClass(1, 10)
		inA, inB := begin(t, a, nil), begin(t, b, nil)
		first, second := beginAs(t, a, nil, "loud"), beginAs(t, a, nil, "loud")
		waiting := begin(t, b, inA)
		refused(t, admission.ErrCycle, beginAs(t, a, inB, "quiet"))
		waits(t, first, second, waiting)
		end(inB, waiting, inA, first, second)
		quiet(t, g, a, b)
	})
}

// A waiter whose parent has ended is a root, and is displaced before nested calls.
func TestAnOrphanIsDisplacedAsARoot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		other := g.NewClass(10, 0)
		c := g.NewClass(1, 2)
		running, one, two := begin(t, c, nil), begin(t, other, nil), begin(t, other, nil)
		orphan, nested := begin(t, c, one), begin(t, c, two)
		one.end()
		third := beginAs(t, c, nil, "third")
		refused(t, admission.ErrDisplaced, orphan)
		end(running, third, nested, two)
		quiet(t, g, other, c)
	})
}

// In whatever order calls come, the queue is never longer than its bound, and no call is
// refused whose tenant has at least two fewer waiting calls than another tenant.
func TestHammerOnAFullQueue(t *testing.T) {
	t.Parallel()
	const bound = 20
	g := admission.NewGroup(3)
	classes := []*admission.Class{g.NewClass(2, bound), g.NewClass(2, bound)}
	classes[1].LimitTenants(1)
	var all sync.WaitGroup
	var displaced, full, ran atomic.Int64
	for i := range 100 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 11))
			for range 200 {
				c, h := classes[r.IntN(2)], new(admission.Hold)
				tenant := strconv.Itoa(min(r.IntN(12), 6)) // tenant 6 makes half of the calls
				err := c.Acquire(t.Context(), h, admission.Request{Tenant: tenant, Priority: r.IntN(3), Wait: patience})
				switch {
				case err == nil:
					ran.Add(1)
					runtime.Gosched()
					h.Release()
				case errors.Is(err, admission.ErrDisplaced):
					displaced.Add(1)
				case errors.Is(err, admission.ErrFull):
					full.Add(1)
				default:
					assert.NoError(t, err)
				}
				assert.LessOrEqual(t, c.Queued(), bound)
			}
		})
	}
	all.Wait()
	t.Logf("%d ran, %d were displaced, %d refused", ran.Load(), displaced.Load(), full.Load())
	assert.Positive(t, displaced.Load())
	require.NoError(t, g.Quiet(classes...))
}

// BenchmarkDisplace is the cost of a call that displaces another, in a queue that is full of
// calls of n tenants.
func BenchmarkDisplace(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint("tenants/", n), func(b *testing.B) { displace(b, n) })
	}
}

// displace makes calls of the tenants in turn. Each call is more urgent than the waiting call
// of its tenant, and displaces it, so that all heaps have work to do.
func displace(b *testing.B, n int) {
	b.Helper()
	b.ReportAllocs()
	c := admission.NewGroup(1).NewClass(1, 3*n)
	if !c.TryAcquire(new(admission.Hold)) {
		b.Fatal("refused")
	}
	tenants := make([]string, n)
	for i := range tenants {
		tenants[i] = strconv.Itoa(i)
	}
	for i := range 3 * n {
		c.Join(new(admission.Hold), admission.Request{Tenant: tenants[i%n]})
	}
	i := 0
	for b.Loop() {
		i++
		answer := c.Join(new(admission.Hold), admission.Request{Tenant: tenants[i%n], Priority: i})
		if len(answer) > 0 {
			b.Fatal("refused")
		}
	}
}
