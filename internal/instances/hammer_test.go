package instances_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/instances"
)

var errDown = errors.New("down")

// moody is an init that sometimes fails, in every possible way.
func moody(ctx context.Context, _ int) error {
	switch n := rand.IntN(100); {
	case n < 6:
		return errDown
	case n < 9:
		runtime.Goexit()
	case n < 14: // too late: what it opens has to be closed again
		<-ctx.Done()
	case n < 17:
		<-ctx.Done()
		return ctx.Err()
	case n < 50:
		runtime.Gosched()
	}
	return nil
}

// hammer makes concurrent calls on one Set, while its limit and its target change.
type hammer struct {
	b     *backend
	set   *instances.Set
	seats int

	calls, joined, ran, failed, left atomic.Int64
}

const maxLimit = 6

func newHammer(seats int) *hammer {
	h := &hammer{b: &backend{init: moody}, seats: seats}
	h.b.limit.Store(maxLimit)
	var clock atomic.Int64
	h.set = newSet(h.b, func(c *instances.Config) {
		c.Seats, c.InitTimeout, c.KeepAlive = seats, time.Millisecond, 50*time.Millisecond
		c.Now = func() int64 { return clock.Add(int64(time.Millisecond)) } // the clock runs so fast that pauses after failures are short
	})
	return h
}

// call takes a seat, sometimes takes a nested one, and gives them back.
func (h *hammer) call(t *testing.T, r *rand.Rand) {
	t.Helper()
	h.calls.Add(1)
	g, _ := h.set.Acquire(h.done(r))
	if g.Instance == nil {
		h.refused(t, g.Err)
		return
	}
	h.ran.Add(1)
	c := enter(t, g.Instance)
	if r.IntN(4) == 0 && assert.True(t, h.set.Join(g.Instance), "the call above holds it open") {
		h.joined.Add(1)
		assert.Same(t, c, g.Instance.Handler())
		runtime.Gosched()
		h.set.Release(g.Instance, r.IntN(20) == 0, int64(r.IntN(1000)))
	}
	runtime.Gosched()
	assert.Zero(t, c.closed.Load())
	c.calls.Add(-1)
	h.set.Release(g.Instance, r.IntN(20) == 0, int64(r.IntN(1000)))
}

// done returns a channel that ends the caller's wait: never, at once, or at a random moment.
func (h *hammer) done(r *rand.Rand) <-chan struct{} {
	n := r.IntN(4)
	if n > 1 {
		return nil
	}
	ch := make(chan struct{})
	if n == 0 {
		close(ch)
	} else {
		go func() { runtime.Gosched(); close(ch) }()
	}
	return ch
}

func (h *hammer) refused(t *testing.T, err error) {
	t.Helper()
	var failed *instances.InitError
	switch {
	case errors.Is(err, instances.ErrLeft):
		h.left.Add(1)
	case errors.As(err, &failed):
		h.failed.Add(1)
	default:
		assert.ErrorIs(t, err, instances.ErrClosed)
	}
}

// disturb changes what may change while calls run, and checks the state.
func (h *hammer) disturb(t *testing.T, r *rand.Rand) {
	t.Helper()
	switch r.IntN(5) {
	case 0:
		h.b.limit.Store(int64(1 + r.IntN(maxLimit)))
	case 1:
		h.set.Scale(r.IntN(maxLimit), r.IntN(maxLimit), int64(r.IntN(1e9)))
	case 2:
		h.set.SetTarget(r.IntN(maxLimit))
	case 3:
		_, _ = h.set.InitBackoff()
	}
	assert.NoError(t, h.set.Check())
	live, ready := h.set.Count()
	assert.LessOrEqual(t, ready, live)
	assert.LessOrEqual(t, live, maxLimit)
	runtime.Gosched()
}

// run makes calls on many goroutines, with disturbances, and returns when all are over.
func (h *hammer) run(t *testing.T, each int) {
	t.Helper()
	var calls, others sync.WaitGroup
	over := make(chan struct{})
	for i := range 16 {
		calls.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range each {
				h.call(t, r)
			}
		})
	}
	others.Go(func() {
		r := rand.New(rand.NewPCG(0, 2))
		for {
			select {
			case <-over:
				return
			default:
				h.disturb(t, r)
			}
		}
	})
	calls.Wait()
	close(over)
	others.Wait()
}

// check ends the Set, and asserts that no instance had more calls than seats.
func (h *hammer) check(t *testing.T) {
	t.Helper()
	h.b.end(t, h.set)
	inits, conns := h.b.opened()
	for _, c := range conns {
		assert.LessOrEqual(t, c.most.Load(), int64(h.seats), "nested calls aside")
	}
	t.Logf("%d ran, %d joined, %d failed, %d left; %d inits, %d opened", h.ran.Load(), h.joined.Load(), h.failed.Load(), h.left.Load(), inits, len(conns))
	assert.Positive(t, h.ran.Load())
	assert.NotEmpty(t, conns)
	assert.Less(t, len(conns), inits, "some inits have failed")
}

func TestEachInstanceIsClosedOnceWhateverHappensAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, seats := range []int{1, 3} {
		h := newHammer(seats)
		h.run(t, 400)
		h.check(t)
	}
}

func TestEachInstanceIsClosedOnceWhereTheSetRetiresUnderLoad(t *testing.T) {
	t.Parallel()
	for i := range 30 {
		h := newHammer(1 + i%3)
		var enders sync.WaitGroup
		for _, closed := range []bool{false, true, true} {
			enders.Go(func() {
				for h.calls.Load() < int64(100+10*i) {
					runtime.Gosched()
				}
				h.set.Retire(closed)
			})
		}
		h.run(t, 20+2*i)
		enders.Wait()
		h.b.end(t, h.set)
		g, _ := h.set.Acquire(nil)
		assert.ErrorIs(t, g.Err, instances.ErrClosed)
	}
}
