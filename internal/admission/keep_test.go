package admission_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// keep makes a call of c whose slot k keeps.
func keep(t *testing.T, c *admission.Class, k *admission.Keeper) {
	t.Helper()
	var h admission.Hold
	if !k.KeepsOf(c.Base()) {
		k.Adopt(c.Base())
	}
	require.True(t, c.TryAcquire(&h))
	h.ReleaseTo(k)
	require.True(t, k.Keeps())
}

func TestAKeptSlotIsTakenByTheNextCall(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(4)
	c := g.NewClass(4, 0)
	var k admission.Keeper
	keep(t, c, &k)
	for range 3 {
		var h admission.Hold
		require.True(t, k.TryAcquire(c.Base(), &h))
		require.False(t, k.Keeps())
		require.Equal(t, []int{1, 1}, []int{c.Used(), g.Used()}, "a call has the slot, and Used can't take it back")
		h.ReleaseTo(&k)
		k.Settled(c.Base())
	}
	entered, settled := c.Base().Counts()
	require.Equal(t, []uint64{3, 3}, []uint64{entered, settled})
	require.Zero(t, c.Base().Entered.Load(), "no call has written there")
	k.Drop()
	k.Drop()
	require.Equal(t, []uint64{3, 3}, []uint64{c.Base().Entered.Load(), c.Base().Settled.Load()})
	quiet(t, g, c)
}

func TestAWorkerKeepsSlotsOfAFunctionThatItServesAFewTimesInARow(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(100)
	a, b := g.NewClass(100, 0), g.NewClass(100, 0)
	var k admission.Keeper
	serve := func(c *admission.Class) (kept bool) {
		var h admission.Hold
		if !k.TryAcquire(c.Base(), &h) {
			require.True(t, c.TryAcquire(&h))
		}
		h.ReleaseTo(&k)
		return k.Keeps() && k.KeepsOf(c.Base())
	}
	for range 3 {
		require.False(t, serve(a))
		require.False(t, serve(b))
	}
	for _, kept := range []bool{false, false, false, true} {
		require.Equal(t, kept, serve(a))
	}
	for range 5 {
		require.False(t, serve(b))
		require.True(t, serve(a))
	}
	require.False(t, serve(b))
	require.False(t, serve(b))
	require.False(t, serve(b))
	require.True(t, serve(b))
	require.Equal(t, []int{0, 1, 1}, []int{a.InUse() + b.InUse() + g.InUse(), b.Raw(), g.Raw()}, "the slot of a went back")
	quiet(t, g, a, b)
}

func TestAWorkerKeepsOneSlotAtMost(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(10)
	c := g.NewClass(10, 0)
	var k admission.Keeper
	var h admission.Hold
	require.True(t, c.TryAcquire(&h))
	keep(t, c, &k)
	h.ReleaseTo(&k)
	require.True(t, k.Keeps())
	require.Equal(t, 1, g.Raw())
	quiet(t, g, c)
}

func TestNoSlotIsKeptWhileFewAreFree(t *testing.T) {
	t.Parallel()
	for _, limits := range [][2]int{{1, 10}, {10, 1}, {3, 10}} {
		g := admission.NewGroup(limits[0])
		c := g.NewClass(limits[1], 0)
		var k admission.Keeper
		var h, other admission.Hold
		k.Adopt(c.Base())
		if limits[0] == 3 {
			require.True(t, c.TryAcquire(&other))
			defer other.Release()
		}
		require.True(t, c.TryAcquire(&h))
		h.ReleaseTo(&k)
		require.False(t, k.Keeps())
	}
}

// Calls that are not plain roots give their slots back.
func TestACallWithChildrenKeepsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(10, 10)
		var k admission.Keeper
		k.Adopt(c.Base())
		root := begin(t, c, nil)
		child := begin(t, c, root)
		child.hold.ReleaseTo(&k)
		require.False(t, k.Keeps())
		root.hold.ReleaseTo(&k)
		require.False(t, k.Keeps())
		quiet(t, g, c)
	})
}

// A meter may call its own function: its call's slot is kept by then.
func TestACallFindsTheOnlySlotThoughItIsKept(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(10)
	g.KeepAll()
	c := g.NewClass(1, 0)
	var k admission.Keeper
	keep(t, c, &k)
	var h admission.Hold
	require.NoError(t, c.Acquire(t.Context(), &h, admission.Request{}))
	require.False(t, k.Keeps())
	h.Release()
	quiet(t, g, c)
}

func TestANewcomerFindsASlotThoughAllAreKept(t *testing.T) {
	t.Parallel()
	const n = 1000
	g := admission.NewGroup(n)
	g.KeepAll()
	a, b := g.NewClass(n, 0), g.NewClass(n, 0)
	workers := make([]admission.Keeper, n)
	for i := range workers {
		keep(t, a, &workers[i])
	}
	require.Equal(t, n, g.Raw())
	var h admission.Hold
	require.NoError(t, b.Acquire(t.Context(), &h, admission.Request{}))
	require.Equal(t, []int{0, 1, 1}, []int{a.Raw(), b.Raw(), g.Raw()})
	h.Release()
	quiet(t, g, a, b)
}

// A class that waits for a slot of its own leaves what other classes keep, until it lacks nothing
// but a slot of the group.
func TestDispatchFindsSlotsThatWereKeptWhileACallWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		g.KeepAll()
		a, b := g.NewClass(1, 1), g.NewClass(2, 0)
		running := begin(t, a, nil)
		waiting := begin(t, a, nil)
		waits(t, waiting)
		var k admission.Keeper
		keep(t, b, &k)
		require.Equal(t, 2, g.Raw())
		a.Resize(2)
		synctest.Wait()
		require.False(t, k.Keeps())
		end(running, waiting)
		quiet(t, g, a, b)
	})
}

func TestAKeptSlotIsNotKeptForACallThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		g.KeepAll()
		c := g.NewClass(1, 1)
		var k admission.Keeper
		k.Adopt(c.Base())
		running := begin(t, c, nil)
		waiting := begin(t, c, nil)
		waits(t, waiting)
		running.hold.ReleaseTo(&k)
		require.False(t, k.Keeps())
		synctest.Wait()
		end(waiting)
		quiet(t, g, c)
	})
}

// After each of these, the slot is back, and no call starts with one that was kept.
func TestKeptSlotsGoBackAtOnce(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		do     func(g *admission.Group, v *admission.Version)
		refuse error
	}{
		"Remove":            {func(_ *admission.Group, v *admission.Version) { v.Class().Remove() }, admission.ErrRemoved},
		"Remove a version":  {func(_ *admission.Group, v *admission.Version) { v.Remove() }, admission.ErrRemoved},
		"SetEnabled":        {func(_ *admission.Group, v *admission.Version) { v.Class().SetEnabled(false) }, admission.ErrOff},
		"Drain":             {func(g *admission.Group, _ *admission.Version) { g.Drain() }, admission.ErrClosed},
		"Close":             {func(g *admission.Group, _ *admission.Version) { g.Close() }, admission.ErrClosed},
		"Resize":            {func(_ *admission.Group, v *admission.Version) { v.Class().Resize(0) }, admission.ErrFull},
		"Resize the group":  {func(g *admission.Group, _ *admission.Version) { g.Resize(1) }, nil},
		"Used":              {func(_ *admission.Group, v *admission.Version) { v.Class().Used() }, nil},
		"Used of the group": {func(g *admission.Group, _ *admission.Version) { g.Used() }, nil},
		"LimitTenants":      {func(_ *admission.Group, v *admission.Version) { v.Class().LimitTenants(1) }, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := admission.NewGroup(10)
			class := g.NewClass(10, 0)
			v := class.NewVersion(admission.Unlimited)
			var k admission.Keeper
			var h, next admission.Hold
			k.Adopt(v)
			require.True(t, v.TryAcquire(&h))
			h.ReleaseTo(&k)
			require.Equal(t, []int{1, 1}, []int{class.Raw(), g.Raw()})
			c.do(g, v)
			require.Equal(t, []int{0, 0}, []int{class.Raw(), g.Raw()})
			require.False(t, k.TryAcquire(v, &next))
			if err := v.Acquire(t.Context(), &next, admission.Request{}); c.refuse != nil {
				require.ErrorIs(t, err, c.refuse)
			} else {
				require.NoError(t, err)
				next.ReleaseTo(&k)
			}
			k.Drop()
			quiet(t, g, class)
		})
	}
}

// A call that runs while its version is removed, or while its class gets a smaller limit than it has
// calls, gives its slot back when it ends.
func TestACallThatEndsAfterAChangeKeepsNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(v *admission.Version){
		"the version is removed": func(v *admission.Version) { v.Remove() },
		"the limit is too small": func(v *admission.Version) { v.Class().Resize(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := admission.NewGroup(10)
			g.KeepAll()
			c := g.NewClass(10, 0)
			v := c.NewVersion(admission.Unlimited)
			var k admission.Keeper
			var h admission.Hold
			k.Adopt(v)
			require.True(t, v.TryAcquire(&h))
			change(v)
			h.ReleaseTo(&k)
			require.False(t, k.Keeps())
			require.Zero(t, g.Raw())
			k.Drop()
			quiet(t, g, c)
		})
	}
}

func TestEachVersionHasItsOwnCountsThoughWorkersKeepThem(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(10)
	c := g.NewClass(10, 0)
	one, two := c.NewVersion(admission.Unlimited), c.NewVersion(admission.Unlimited)
	for v, calls := range map[*admission.Version]int{one: 1, two: 2} {
		var k admission.Keeper
		defer k.Drop()
		var first admission.Hold
		k.Adopt(v)
		require.True(t, v.TryAcquire(&first))
		first.ReleaseTo(&k)
		for range calls {
			var h admission.Hold
			require.True(t, k.TryAcquire(v, &h))
			h.ReleaseTo(&k)
			k.Settled(v)
		}
	}
	for v, calls := range map[*admission.Version]uint64{one: 1, two: 2} {
		entered, settled := v.Counts()
		require.Equal(t, []uint64{calls, calls}, []uint64{entered, settled})
	}
}

// The slow bit is set while kept slots are taken back for a call. It must not stay when the call is
// refused: all calls would lock the group's mutex from then on.
func TestARefusedCallLeavesTheFastPathOpen(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][2]int{"class": {10, 1}, "group": {1, 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := admission.NewGroup(limits[0])
			g.KeepAll()
			c := g.NewClass(limits[1], 0)
			var k admission.Keeper
			var running, refused, next admission.Hold
			keep(t, c, &k) // sets the flags
			require.True(t, k.TryAcquire(c.Base(), &running))
			require.ErrorIs(t, c.Acquire(t.Context(), &refused, admission.Request{}), admission.ErrFull)
			running.Release()
			require.True(t, c.TryAcquire(&next))
			next.Release()
			quiet(t, g, c)
		})
	}
}

// Each worker keeps its slot, and others call past them. Few slots are free, so that recalls, new
// waiters and kept slots meet at every step.
func TestHammerWithKeepers(t *testing.T) {
	t.Parallel()
	each := 3000
	if testing.Short() {
		each = 500
	}
	for name, resize := range map[string]bool{"fixed": false, "resized": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHammer(t, 3, 1, admission.Unlimited, 2, 3, admission.Unlimited)
			h.group.KeepAll()
			h.exact = !resize
			h.pause = func(*rand.Rand) { runtime.Gosched() }
			var calls, watch sync.WaitGroup
			var counted [5]atomic.Uint64
			done := make(chan struct{})
			for i := range 6 {
				calls.Go(func() { h.work(i, each, &counted) })
			}
			watch.Go(func() {
				for !finished(done) {
					if resize {
						h.classes[i3()].Resize(1 + rand.IntN(4))
						h.group.Resize(1 + rand.IntN(5))
					}
					assert.LessOrEqual(t, 0, h.group.Used()+h.classes[2].Used())
					for _, c := range h.classes {
						entered, settled := c.Base().Counts()
						if !assert.LessOrEqual(t, settled, entered) {
							return
						}
					}
					runtime.Gosched()
				}
			})
			calls.Wait()
			close(done)
			watch.Wait()
			assert.NoError(t, h.group.Quiet(h.classes...))
			for i, c := range h.classes {
				entered, settled := c.Base().Counts()
				assert.Equal(t, entered, settled)
				assert.Equal(t, counted[i].Load(), entered)
			}
		})
	}
}

// i3 picks a class of the hammer that is not limited for tenants.
func i3() int { return []int{0, 2, 3}[rand.IntN(3)] }

// work makes calls as a worker does: with its own keeper, and mostly of one class for a while.
func (h *hammer) work(i, each int, counted *[5]atomic.Uint64) {
	var k admission.Keeper
	defer k.Drop()
	r := rand.New(rand.NewPCG(uint64(i), 11))
	at, nested := 0, sync.WaitGroup{}
	for range each {
		if r.IntN(12) == 0 {
			at = r.IntN(len(h.classes))
		}
		v, hold := h.classes[at].Base(), &admission.Hold{}
		counted[at].Add(1)
		if !k.TryAcquire(v, hold) {
			v.Entered.Add(1)
			if err := v.Acquire(h.t.Context(), hold, admission.Request{Wait: patience}); !assert.NoError(h.t, err) {
				return
			}
		}
		h.enter(at, hold)
		if r.IntN(8) == 0 {
			h.children(h.t.Context(), r, &nested, hold, 3)
		}
		if r.IntN(3) == 0 {
			h.pause(r)
		}
		h.leave(at, hold)
		hold.ReleaseTo(&k)
		if r.IntN(5) == 0 {
			v.Settled.Add(1) // as if a timer had settled the call
		} else {
			k.Settled(v)
		}
		if r.IntN(40) == 0 {
			k.Drop()
		}
	}
	nested.Wait()
}

// One call ends, and its worker keeps the slot, while another begins to wait for it. Nobody else
// comes who would recall it, so that a slot that is kept although a call waits stays lost, and the
// test does not end.
func TestHammerOnOneKeeperAndOneWaiter(t *testing.T) {
	t.Parallel()
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	for name, limits := range map[string][2]int{"class": {2, 1}, "group": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := admission.NewGroup(limits[0])
			g.KeepAll()
			a := g.NewClass(limits[1], 1)
			b := a
			if limits[0] == 1 {
				b = g.NewClass(limits[1], 1)
			}
			var k admission.Keeper
			k.Adopt(a.Base())
			start, over := make(chan int), make(chan error)
			go func() {
				for n := range start {
					for range n {
						runtime.Gosched()
					}
					var h admission.Hold
					err := b.Acquire(t.Context(), &h, admission.Request{Wait: patience})
					if err == nil {
						h.Release()
					}
					over <- err
				}
			}()
			for i := range rounds {
				keep(t, a, &k) // sets the flags
				var h admission.Hold
				require.True(t, k.TryAcquire(a.Base(), &h))
				start <- i % 2
				for range i % 5 {
					runtime.Gosched()
				}
				h.ReleaseTo(&k)
				require.NoError(t, <-over)
				if k.Keeps() { // the other came first or last
					a.Used()
				}
				require.Zero(t, g.Raw())
			}
			close(start)
			quiet(t, g, a)
		})
	}
}

// A worker that serves other versions by turns makes no garbage.
func TestAWorkerThatChangesItsVersionAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts what other goroutines allocate, too
	g := admission.NewGroup(100)
	a, b := g.NewClass(100, 0), g.NewClass(100, 0)
	var k admission.Keeper
	keep(t, a, &k)
	keep(t, b, &k)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		k.Adopt(a.Base())
		k.Adopt(b.Base())
	}))
	quiet(t, g, a, b)
}
