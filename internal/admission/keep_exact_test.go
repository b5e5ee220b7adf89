package admission_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// crew is n callers, each with one call at a time. Workers are shared, so that a caller's next call
// mostly comes to another worker than the one that keeps the slot of its last call.
type crew struct {
	t       *testing.T
	group   *admission.Group
	classes []*admission.Class
	workers chan *admission.Keeper
	refused atomic.Int64
}

func newCrew(t *testing.T, slots, classes int) *crew {
	t.Helper()
	const workers = 16
	c := &crew{t: t, group: admission.NewGroup(slots), workers: make(chan *admission.Keeper, workers)}
	for range classes {
		c.classes = append(c.classes, c.group.NewClass(admission.Unlimited, 0))
	}
	for range workers {
		c.workers <- &admission.Keeper{}
	}
	return c
}

// run makes calls until all callers have made as many as each.
func (c *crew) run(callers, each int) {
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 12))
			for range each {
				v := c.classes[r.IntN(len(c.classes))].Base()
				for range 6 { // enough in a row for a worker to begin to keep slots
					c.call(v)
				}
			}
		})
	}
	all.Wait()
}

func (c *crew) call(v *admission.Version) {
	k := <-c.workers
	defer func() { c.workers <- k }()
	var h admission.Hold
	if !k.TryAcquire(v, &h) && v.Acquire(c.t.Context(), &h, admission.Request{}) != nil {
		c.refused.Add(1)
		return
	}
	runtime.Gosched()
	h.ReleaseTo(k)
}

func (c *crew) end() {
	close(c.workers)
	for k := range c.workers {
		k.Drop()
	}
	quiet(c.t, c.group, c.classes...)
}

// There is no queue: a call that is refused would have found a slot if none was kept.
func TestAsManyCallersAsSlotsAreNeverRefusedThoughSlotsAreKept(t *testing.T) {
	t.Parallel()
	each := 3000
	if testing.Short() {
		each = 300
	}
	for _, n := range []int{2, 3, 8} {
		for _, classes := range []int{1, 2, 3} {
			c := newCrew(t, n, classes)
			c.run(n, each/n)
			require.Zero(t, c.refused.Load(), "%d slots, %d classes", n, classes)
			c.end()
		}
	}
}

func TestNoMoreSlotsAreInUseThanThereAreCallersThoughSlotsAreKept(t *testing.T) {
	t.Parallel()
	each := 3000
	if testing.Short() {
		each = 300
	}
	const callers = 2
	c := newCrew(t, 100, 2)
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for !finished(done) {
			assert.LessOrEqual(t, c.group.Used(), callers)
			assert.LessOrEqual(t, c.classes[0].Used(), callers)
			runtime.Gosched()
		}
	})
	c.run(callers, each)
	close(done)
	reader.Wait()
	require.Zero(t, c.refused.Load())
	c.end()
}
