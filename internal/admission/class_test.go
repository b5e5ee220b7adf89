package admission_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

func TestLimitIsReachedAndNotPassed(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(1000)
				c := g.NewClass(n, 1000)
				var running, most, ended atomic.Int32
				for range 5*n + 3 {
					go func() {
						var h admission.Hold
						assert.NoError(t, c.Acquire(t.Context(), &h, admission.Request{Wait: patience}))
						most.Store(max(most.Load(), running.Add(1)))
						time.Sleep(time.Second)
						running.Add(-1)
						h.Release()
						ended.Add(1)
					}()
				}
				synctest.Wait()
				assert.Equal(t, n, int(running.Load()), "all slots are in use at once")
				assert.Equal(t, n, c.Used())
				assert.Equal(t, n, g.Used())
				assert.Equal(t, 4*n+3, c.Queued())
				time.Sleep(time.Minute)
				assert.Equal(t, n, int(most.Load()))
				assert.Equal(t, 5*n+3, int(ended.Load()))
				quiet(t, g, c)
			})
		})
	}
}

func TestCallsAreServedInTheOrderOfArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 100)
		first := begin(t, c, nil)
		var line []*call
		for range 20 {
			line = append(line, begin(t, c, nil))
		}
		line[7].cancel()
		synctest.Wait()
		refused(t, context.Canceled, line[7])
		line = append(line[:7], line[8:]...)
		first.end()
		for i, k := range line {
			runs(t, k)
			waits(t, line[i+1:]...)
			k.end()
		}
		quiet(t, g, c)
	})
}

func TestClassesTakeTurnsAtAFullGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		a, b, c := g.NewClass(10, 100), g.NewClass(1, 100), g.NewClass(admission.Unlimited, 100)
		first := begin(t, a, nil)
		a1, a2, a3 := begin(t, a, nil), begin(t, a, nil), begin(t, a, nil)
		b1, b2 := begin(t, b, nil), begin(t, b, nil)
		c1 := begin(t, c, nil)
		assert.Equal(t, 1, g.Used())
		first.end()
		line := []*call{b1, c1, a1, b2, a2, a3} // the order of service; a's call has just ended, so a comes last
		for i, k := range line {
			runs(t, k)
			waits(t, line[i+1:]...)
			k.end()
		}
		quiet(t, g, a, b, c)
	})
}

// A class whose own slots are all in use must not delay the classes behind it.
func TestFullClassLosesItsTurnAndNotTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(1, 100), g.NewClass(10, 100)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		a2, b2, b3 := begin(t, a, nil), begin(t, b, nil), begin(t, b, nil)
		b1.end()
		runs(t, b2)
		waits(t, a2, b3)
		a1.end()
		runs(t, a2) // a has no slot at this point, and b has the one of b2
		waits(t, b3)
		end(b2)
		runs(t, b3)
		end(a2, b3)
		quiet(t, g, a, b)
	})
}

func TestOneCallTooManyIsRefused(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2, 10, 100} {
		for _, queue := range []int{0, 1, 7, 100} {
			t.Run(fmt.Sprint(slots, "+", queue), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					g := admission.NewGroup(100)
					c := g.NewClass(slots, queue)
					var calls []*call
					for range slots + queue + 1 { // all at the same time
						calls = append(calls, launch(t.Context(), c, nil, admission.Request{Wait: patience}))
					}
					synctest.Wait()
					full := 0
					for _, k := range calls {
						if !k.waits() && !k.runs() {
							full++
							refused(t, admission.ErrFull, k)
						}
					}
					assert.Equal(t, 1, full)
					assert.Equal(t, slots, c.Used())
					assert.Equal(t, queue, c.Queued())
				})
			})
		}
	}
}

func TestPlaceOfACanceledCallIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 1)
		first, second := begin(t, c, nil), begin(t, c, nil)
		refused(t, admission.ErrFull, begin(t, c, nil))
		second.cancel()
		synctest.Wait()
		refused(t, context.Canceled, second)
		assert.Zero(t, c.Queued())
		assert.False(t, c.Slow())
		third := begin(t, c, nil)
		waits(t, third)
		first.end()
		runs(t, third)
		third.end()
		quiet(t, g, c)
	})
}

func TestDoneContextTakesAFreeSlotAndNoPlaceInLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 10)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		first := launch(ctx, c, nil, admission.Request{Wait: patience})
		synctest.Wait()
		runs(t, first)
		second := launch(ctx, c, nil, admission.Request{Wait: patience})
		synctest.Wait()
		refused(t, context.Canceled, second)
		assert.Zero(t, c.Queued())
		first.end()
		quiet(t, g, c)
	})
}

func TestWaitEndsOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 10)
		first := begin(t, c, nil)
		began := time.Now()
		var h admission.Hold
		require.ErrorIs(t, c.Acquire(t.Context(), &h, admission.Request{Wait: 1234 * time.Millisecond}), admission.ErrTimeout)
		assert.Equal(t, 1234*time.Millisecond, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.ErrorIs(t, c.Acquire(ctx, &h, admission.Request{Wait: patience}), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, c.Acquire(t.Context(), &h, admission.Request{}), admission.ErrTimeout)
		first.end()
		quiet(t, g, c)
	})
}

func TestSlotIsWonOrLostByTheOneWhoTimesOutAtThatMoment(t *testing.T) {
	t.Parallel()
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			g := admission.NewGroup(1)
			c := g.NewClass(1, 1)
			first := begin(t, c, nil)
			second := launch(t.Context(), c, nil, admission.Request{Wait: time.Second})
			synctest.Wait()
			time.AfterFunc(time.Second, first.hold.Release)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if second.runs() {
				second.end()
			} else {
				refused(t, admission.ErrTimeout, second)
			}
			quiet(t, g, c)
		})
	}
}

func TestRemovedClassServesItsLineAndNoNewcomer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 10)
		first, second := begin(t, c, nil), begin(t, c, nil)
		c.Remove()
		refused(t, admission.ErrRemoved, begin(t, c, nil), begin(t, c, first))
		first.end()
		runs(t, second)
		second.end()
		refused(t, admission.ErrRemoved, begin(t, c, nil))
		assert.False(t, c.TryAcquire(new(admission.Hold)))
		quiet(t, g, c)
	})
}

func TestMoreSlotsWakeWaitersAtOnce(t *testing.T) {
	t.Parallel()
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprint("group=", group), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(100)
				c := g.NewClass(100, 100)
				resize := c.Resize
				if group {
					resize = g.Resize
				}
				resize(1)
				line := []*call{begin(t, c, nil), begin(t, c, nil), begin(t, c, nil), begin(t, c, nil)}
				runs(t, line[0])
				waits(t, line[1:]...)
				resize(3)
				synctest.Wait()
				runs(t, line[:3]...)
				waits(t, line[3])
				resize(100)
				synctest.Wait()
				runs(t, line...)
				end(line...)
				quiet(t, g, c)
			})
		})
	}
}

func TestFewerSlotsLetCallsFinishAndNoneIn(t *testing.T) {
	t.Parallel()
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprint("group=", group), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(5)
				c := g.NewClass(5, 100)
				resize := c.Resize
				if group {
					resize = g.Resize
				}
				var ks []*call
				for range 5 {
					ks = append(ks, begin(t, c, nil))
				}
				resize(2)
				late := begin(t, c, nil)
				for i, k := range ks[:3] {
					waits(t, late)
					assert.Equal(t, 5-i, c.Used())
					k.end()
				}
				waits(t, late)
				assert.Equal(t, 2, c.Used())
				ks[3].end()
				runs(t, late)
				assert.Equal(t, 2, c.Used())
				refusedNow := begin(t, c, nil)
				waits(t, refusedNow)
				end(ks[4], late, refusedNow)
				quiet(t, g, c)
			})
		})
	}
}

func TestImpossibleLimitsAreCutToPossibleOnes(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(10)
	c := g.NewClass(-1, 0)
	assert.Zero(t, c.Limit())
	assert.False(t, c.TryAcquire(new(admission.Hold)))
	c.Resize(math.MaxInt)
	assert.Equal(t, admission.Unlimited, c.Limit())
	assert.True(t, c.TryAcquire(new(admission.Hold)))
}

func TestUnlimitedClassIsBoundedByItsGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(3)
		c := g.NewClass(admission.Unlimited, 10)
		ks := []*call{begin(t, c, nil), begin(t, c, nil), begin(t, c, nil)}
		late := begin(t, c, nil)
		runs(t, ks...)
		waits(t, late)
		assert.Equal(t, 3, g.Used())
		ks[1].end()
		runs(t, late)
		end(ks[0], ks[2], late)
		quiet(t, g, c)
	})
}

func TestTryAcquireLeavesNothingBehindWhereTheGroupIsFull(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(1)
	a, b := g.NewClass(1, 0), g.NewClass(1, 0)
	var h admission.Hold
	require.True(t, a.TryAcquire(&h))
	assert.False(t, b.TryAcquire(new(admission.Hold)))
	assert.Zero(t, b.Used())
	h.Release()
	require.True(t, b.TryAcquire(&h))
	assert.False(t, a.TryAcquire(new(admission.Hold)))
}

func TestStuckSlotsRefuseInsteadOfQueueing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(2, 10)
		first, second := begin(t, c, nil), begin(t, c, nil)
		first.hold.MarkStuck()
		first.hold.MarkStuck() // a second mark has no effect
		before := begin(t, c, nil)
		waits(t, before)
		second.hold.MarkStuck()
		synctest.Wait()
		refused(t, admission.ErrStuck, before, begin(t, c, nil))
		first.end() // a stuck call that ends late gives its slot back
		first.hold.MarkStuck()
		after := begin(t, c, nil)
		runs(t, after)
		last := begin(t, c, nil)
		waits(t, last)
		end(second, after, last)
		quiet(t, g, c)
	})
}

func TestStuckGroupRefusesInAllClasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(10, 10), g.NewClass(10, 10)
		first, second := begin(t, a, nil), begin(t, b, nil)
		inA, inB := begin(t, a, nil), begin(t, b, nil)
		first.hold.MarkStuck()
		synctest.Wait()
		waits(t, inA, inB)
		second.hold.MarkStuck()
		synctest.Wait()
		refused(t, admission.ErrStuck, inA, inB, begin(t, a, nil), begin(t, b, nil))
		g.Resize(3)
		third := begin(t, a, nil)
		runs(t, third)
		end(first, second, third)
		quiet(t, g, a, b)
	})
}

// When the last slot becomes stuck, waiting calls are refused. They are also refused when the
// limit is lowered until only stuck slots are left.
func TestALowerLimitThatLeavesOnlyStuckSlotsRefusesThoseThatWait(t *testing.T) {
	t.Parallel()
	for name, resize := range map[string]func(*admission.Group, *admission.Class){
		"class": func(_ *admission.Group, c *admission.Class) { c.Resize(1) },
		"group": func(g *admission.Group, _ *admission.Class) { g.Resize(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(2)
				c := g.NewClass(2, 10)
				first, second := begin(t, c, nil), begin(t, c, nil)
				waiting := begin(t, c, nil)
				first.hold.MarkStuck()
				synctest.Wait()
				waits(t, waiting)
				resize(g, c)
				synctest.Wait()
				refused(t, admission.ErrStuck, waiting)
				end(first, second)
				quiet(t, g, c)
			})
		})
	}
}

// A replaced call has given its slots back, so it can lend none. Until it has ended, its
// nested calls still count as nested, and are admitted while the group drains.
func TestAReplacedCallLendsNothingAndIsNotOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 10)
		k := begin(t, c, nil)
		child := begin(t, c, k)
		runs(t, child)
		k.hold.Replace()
		k.hold.MarkStuck()
		assert.Equal(t, 1, c.Used(), "the child has the slot")
		waiting := begin(t, c, k)
		waits(t, waiting)
		child.end()
		runs(t, waiting)
		waiting.end()
		g.Drain()
		during := begin(t, c, k)
		runs(t, during)
		during.end()
		k.end()
		refused(t, admission.ErrClosed, begin(t, c, k))
		quiet(t, g, c)
	})
}

func TestSaturatedClassLeavesOthersOnTheFastPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		a, b := g.NewClass(1, 10), g.NewClass(10, 10)
		first, second := begin(t, a, nil), begin(t, a, nil)
		waits(t, second)
		assert.True(t, a.Slow())
		assert.False(t, b.Slow())
		assert.False(t, g.Slow())
		g.Locked(func() {
			var h admission.Hold
			assert.NoError(t, b.Acquire(t.Context(), &h, admission.Request{}))
			h.Release()
		})
		end(first, second)
		quiet(t, g, a, b)
	})
}

// A flood of calls of one class takes no turn from another class: that class gets the next
// slot as soon as one call of the flood has ended.
func TestFloodOfOneClassLetsAnotherIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		a, b := g.NewClass(10, 1000), g.NewClass(1, 10)
		first := begin(t, a, nil)
		var flood []*call
		for range 1000 {
			flood = append(flood, launch(t.Context(), a, nil, admission.Request{Wait: patience}))
		}
		synctest.Wait()
		only := begin(t, b, nil)
		first.end()
		runs(t, only)
		waits(t, flood...)
	})
}

func TestDrainRefusesRootsAndServesTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c, d := g.NewClass(1, 10), g.NewClass(1, 10)
		first, second := begin(t, c, nil), begin(t, c, nil)
		g.Drain()
		refused(t, admission.ErrClosed, begin(t, c, nil), begin(t, d, nil))
		assert.Zero(t, d.Used())
		child := begin(t, d, first)
		runs(t, child)
		end(child, first)
		runs(t, second)
		second.end()
		quiet(t, g, c, d)
	})
}

func TestCloseRefusesEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		c, d := g.NewClass(1, 10), g.NewClass(1, 10)
		first, second := begin(t, c, nil), begin(t, c, nil)
		other, third := begin(t, d, nil), begin(t, d, nil)
		nested := begin(t, d, first)
		waits(t, second, third, nested)
		g.Close()
		g.Drain() // does not open a closed group again
		synctest.Wait()
		refused(t, admission.ErrClosed, second, third, nested)
		refused(t, admission.ErrClosed, begin(t, c, nil), begin(t, d, first))
		assert.Equal(t, 2, g.Used(), "who runs goes on")
		end(first, other)
		quiet(t, g, c, d)
	})
}

// While a slot goes from one call to a waiter, under g.mu, the counter shows it as free. A
// call on the fast path must not take this slot from the waiter.
func TestFastPathDoesNotPassTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		a, b := g.NewClass(5, 10), g.NewClass(5, 10)
		first, second := begin(t, a, nil), begin(t, a, nil)
		waits(t, second)
		g.Between(2, func() {
			assert.False(t, a.TryAcquire(new(admission.Hold)))
			assert.False(t, b.TryAcquire(new(admission.Hold)))
		})
		synctest.Wait()
		runs(t, second)
		end(first, second)
		quiet(t, g, a, b)
	})
}

// TryAcquire takes a slot of the class, and puts it back when it finds the group full. A call
// that has begun to wait in between, because of that slot, is then admitted, although no call
// has ended.
func TestHalfThatIsPutBackLetsAWaiterIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 10)
		putBack, ok := c.TakeHalf()
		require.True(t, ok)
		k := begin(t, c, nil)
		waits(t, k)
		putBack()
		synctest.Wait()
		runs(t, k)
		k.end()
		quiet(t, g, c)
	})
}

// A call gives its slot back on the fast path while another call begins to wait. Either the
// ending call must see the slow bit, or the waiting call must see the free slot.
func TestReleaseMeetsArrival(t *testing.T) {
	t.Parallel()
	for _, full := range []string{"class", "group"} {
		t.Run(full, func(t *testing.T) {
			t.Parallel()
			g := admission.NewGroup(2)
			c := g.NewClass(1, 1)
			if full == "group" {
				c.Resize(2)
				g.Resize(1)
			}
			var turn atomic.Int64
			var both sync.WaitGroup
			const rounds = 20_000
			both.Go(func() {
				for i := range int64(rounds) {
					var h admission.Hold
					if !assert.NoError(t, c.Acquire(t.Context(), &h, admission.Request{Wait: time.Minute})) {
						return
					}
					turn.Store(i + 1)
					for range i % 300 { // delays from none to about the time that beginning to wait takes
						turn.Load()
					}
					h.Release()
					for turn.Load() != 0 && !t.Failed() {
						runtime.Gosched()
					}
				}
			})
			both.Go(func() {
				for i := range int64(rounds) {
					for turn.Load() != i+1 && !t.Failed() {
						runtime.Gosched()
					}
					var h admission.Hold
					if !assert.NoError(t, c.Acquire(t.Context(), &h, admission.Request{Wait: 10 * time.Second})) {
						return
					}
					h.Release()
					turn.Store(0)
				}
			})
			both.Wait()
			quiet(t, g, c)
		})
	}
}
