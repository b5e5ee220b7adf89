package admission_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

func TestVersionsShareTheirClassesLimitAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 1)
		one, two := c.Base(), c.NewVersion(admission.Unlimited)
		assert.Same(t, c, one.Class())
		assert.Same(t, c, two.Class())
		var runs, waits, late admission.Hold
		require.True(t, one.TryAcquire(&runs))
		assert.False(t, two.TryAcquire(&late), "the class has one slot")

		served := two.Join(&waits, admission.Request{})
		assert.Zero(t, one.Queued())
		assert.Equal(t, 1, two.Queued())
		assert.Equal(t, 1, c.Queued())
		require.ErrorIs(t, one.Acquire(t.Context(), &late, admission.Request{Wait: time.Hour}), admission.ErrFull)

		runs.Release()
		got := <-served
		require.NoError(t, got.Err())
		assert.Zero(t, two.Queued())
		assert.Equal(t, 1, c.Used())
		waits.Release()
		assert.Zero(t, c.Used())
	})
}

func TestTheWaitingCallsOfARemovedVersionGoOnToTheirEnd(t *testing.T) {
	for _, limit := range []int{1, admission.Unlimited} {
		synctest.Test(t, func(t *testing.T) {
			c := admission.NewGroup(10).NewClass(1, 10)
			one, two := c.Base(), c.NewVersion(limit)
			var runs, waits, late, other admission.Hold
			require.True(t, one.TryAcquire(&runs))
			served := two.Join(&waits, admission.Request{})

			two.Remove()
			require.ErrorIs(t, two.Acquire(t.Context(), &late, admission.Request{Wait: time.Hour}), admission.ErrRemoved)
			runs.Release()
			got := <-served
			require.NoError(t, got.Err())
			waits.Release()

			assert.False(t, two.TryAcquire(&late), "nor is a free slot for it")
			require.ErrorIs(t, two.Acquire(t.Context(), &late, admission.Request{Wait: time.Hour}), admission.ErrRemoved)
			require.True(t, one.TryAcquire(&other), "the other version stays")
			other.Release()
			require.NoError(t, two.Quiet())
		})
	}
}

func TestAVersionsLimitIsTakenTogetherWithItsClasssAndTheGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(3)
		c, d := g.NewClass(3, 10), g.NewClass(3, 10)
		v := c.NewVersion(1)
		assert.Equal(t, admission.Unlimited, c.Base().Limit())
		assert.Equal(t, 1, v.Limit())
		first := begin(t, v, nil)
		runs(t, first)
		second := begin(t, v, nil)
		waits(t, second)
		assert.Equal(t, []int{1, 1, 1}, []int{v.Used(), c.Used(), g.Used()}, "who waits for the version holds nothing")
		rest := []*call{begin(t, d, nil), begin(t, d, nil)}
		runs(t, rest...)
		v.Resize(2)
		synctest.Wait()
		waits(t, second)
		assert.Equal(t, 1, v.Used(), "the group is full")
		first.end()
		runs(t, second)
		end(append(rest, second)...)
		quiet(t, g, c, d)
		require.NoError(t, v.Quiet())
	})
}

// The calls of the first tenant arrive in the order full, open, full, open: alternately of a
// version without room and of one with room. The calls of the second tenant arrive after all
// of these.
func TestACallThatLacksOnlyItsVersionIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(2, 10)
		full, open := c.NewVersion(1), c.NewVersion(1)
		busy, other := begin(t, full, nil), begin(t, c.Base(), nil)
		var stuck, others []*call
		for range 2 {
			stuck, others = append(stuck, begin(t, full, nil)), append(others, begin(t, open, nil))
		}
		waits(t, append(stuck, others...)...)
		other.end()
		runs(t, others[0])
		waits(t, stuck...)
		others[0].end()
		runs(t, others[1])
		others[1].end()
		waits(t, stuck...)
		assert.Equal(t, 1, c.Used(), "a slot is free, and none that waits may have it")
		assert.True(t, c.Slow())
		late := begin(t, open, nil)
		runs(t, late)
		busy.end()
		runs(t, stuck[0])
		end(stuck[0], late)
		end(stuck[1])
		quiet(t, g, c)
	})
}

// A class whose waiters all lack a slot of their version gets no slot of the group, even if
// it is below its floor.
func TestAClassWhoseWaitersLackOnlyTheirVersionClaimsNoShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		c, d := g.NewClass(admission.Unlimited, 10), g.NewClass(admission.Unlimited, 10)
		require.NoError(t, c.Reserve(2))
		c.SetWeight(admission.MaxWeight)
		v := c.NewVersion(1)
		first := begin(t, v, nil)
		waiting := []*call{begin(t, v, nil), begin(t, v, nil)}
		runs(t, begin(t, d, nil))
		assert.False(t, g.Slow(), "no class waits for the group")
		next := begin(t, d, nil)
		waits(t, next)
		first.end()
		runs(t, waiting[0])
		waits(t, next, waiting[1])
		waiting[0].end() // a slot of the version and one of the group come free at once
		runs(t, waiting[1])
		waiting[1].end()
		runs(t, next)
	})
}

// Each of the 8 calls below the first borrows the slot of the class from the call above it,
// and the slot of the version from the call two above it.
func TestAChainAcrossVersionsNeedsOneSlotOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 0)
		versions := []*admission.Version{c.NewVersion(1), c.NewVersion(1)}
		var chain []*call
		var parent *call
		for i := range 9 {
			parent = begin(t, versions[i%2], parent)
			runs(t, parent)
			chain = append(chain, parent)
			if i >= 2 {
				assert.Same(t, &chain[i-1].hold, parent.hold.ClassLender())
				assert.Same(t, &chain[i-2].hold, parent.hold.Lender(), "the nearest of its version")
			}
		}
		assert.Nil(t, chain[1].hold.Lender(), "another version's slot is not lent to it")
		assert.Equal(t, []int{1, 1, 1, 1}, []int{versions[0].Used(), versions[1].Used(), c.Used(), g.Used()})
		for i := range chain {
			chain[len(chain)-1-i].end()
		}
		quiet(t, g, c)
	})
}

func TestADescendantOfAnotherVersionWaitsForItsOwnVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(2, 10)
		one, two := c.NewVersion(1), c.NewVersion(1)
		parent, busy := begin(t, one, nil), begin(t, two, nil)
		child := begin(t, two, parent)
		waits(t, child)
		busy.end()
		runs(t, child)
		assert.False(t, child.hold.OwnsClass())
		assert.True(t, child.hold.OwnsVersion())
		assert.Equal(t, 1, c.Used())
		end(child, parent)
		quiet(t, g, c)
	})
}

func TestCallsThatHoldEachOthersVersionsAreACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(admission.Unlimited, 10)
		one, two := c.NewVersion(1), c.NewVersion(1)
		a, b := begin(t, one, nil), begin(t, two, nil)
		ab := begin(t, two, a)
		waits(t, ab)
		ba := begin(t, one, b)
		refused(t, admission.ErrCycle, ba)
		waits(t, ab)
		b.end()
		runs(t, ab)
		end(ab, a)
		quiet(t, g, c)
	})
}

// Calls of each of two versions wait for a slot of the other, while one call of each runs.
// Then the limits are lowered.
func TestALoweredVersionLimitCompletesACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(admission.Unlimited, 10)
		one, two := c.NewVersion(2), c.NewVersion(1)
		a, free, b := begin(t, one, nil), begin(t, one, nil), begin(t, two, nil)
		ab, ba := begin(t, two, a), begin(t, one, b)
		waits(t, ab, ba)
		one.Resize(1)
		synctest.Wait()
		waits(t, ab, ba) // free runs, and its slot is one more than the limit
		free.end()
		refused(t, admission.ErrCycle, ba) // ba is the newest
		waits(t, ab)
		b.end()
		runs(t, ab)
		end(ab, a)
		quiet(t, g, c)
	})
}

func TestWhenEverySlotOfAVersionIsStuckItsCallsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(3, 10)
		one, two := c.NewVersion(1), c.NewVersion(1)
		deaf, busy := begin(t, one, nil), begin(t, two, nil)
		waiting, other := begin(t, one, nil), begin(t, two, nil)
		deaf.hold.MarkStuck()
		synctest.Wait()
		refused(t, admission.ErrStuck, waiting, begin(t, one, nil))
		waits(t, other)
		one.Resize(2)
		free := begin(t, one, nil)
		runs(t, free)
		behind := begin(t, one, nil)
		waits(t, behind)
		one.Resize(1)
		synctest.Wait()
		refused(t, admission.ErrStuck, behind)
		end(free, deaf)
		runs(t, begin(t, one, nil))
		busy.end()
		runs(t, other)
	})
}

func TestSetEnabledAndRemoveOfTheClassAreForAllItsVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(10, 10)
		v := c.NewVersion(1)
		busy, waiting := begin(t, v, nil), begin(t, v, nil)
		c.SetEnabled(false)
		synctest.Wait()
		refused(t, admission.ErrOff, waiting, begin(t, v, nil), begin(t, c.Base(), nil))
		c.SetEnabled(true)
		waiting = begin(t, v, nil)
		c.Remove()
		refused(t, admission.ErrRemoved, begin(t, v, nil), begin(t, c.Base(), nil))
		waits(t, waiting)
		busy.end()
		runs(t, waiting)
		waiting.end()
		quiet(t, g, c)
	})
}

// A tenant whose version was full for an hour has gained no credit: from the start, the other
// tenant has every other turn.
func TestATenantSavesNothingUpWhileItsVersionIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(2, 100)
		full, open := c.NewVersion(1), c.Base()
		busy := begin(t, full, nil)
		by := func(v *admission.Version, tenant string) *call {
			k := launch(t.Context(), v, nil, admission.Request{Tenant: tenant, Wait: patience})
			synctest.Wait()
			return k
		}
		var bound, flood []*call
		for range 6 {
			bound = append(bound, by(full, "bound"))
		}
		for range 70 {
			flood = append(flood, by(open, "flood"))
		}
		for _, k := range flood[:60] {
			runs(t, k)
			time.Sleep(time.Minute)
			k.end()
		}
		last := flood[60] // it runs, and from here on the second slot goes from tenant to tenant
		runs(t, last)
		c.Resize(1)
		full.Resize(10)
		busy.end()
		var order string
		for range 6 {
			time.Sleep(time.Minute)
			last.end()
			for _, k := range append(bound, flood[61:]...) {
				if k.runs() && !k.hold.Ended() {
					last = k
				}
			}
			order += map[bool]string{true: "b", false: "f"}[last.hold.OwnsVersion()]
		}
		assert.Contains(t, []string{"bfbfbf", "fbfbfb", "bfbffb"}, order)
	})
}

// A call that finds the class or the group full puts the version's slot back. Meanwhile
// another call may have begun to wait for that slot.
func TestHammerOnVersionsAtTheEdgeOfTheirLimits(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(2)
	c := g.NewClass(2, 1000)
	versions := []*admission.Version{c.Base(), c.NewVersion(1), c.NewVersion(2)}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for j := range 3000 {
				var h admission.Hold
				if !assert.NoError(t, versions[(i+j)%3].Acquire(t.Context(), &h, admission.Request{Wait: patience})) {
					return
				}
				h.Release()
			}
		})
	}
	all.Wait()
	assert.NoError(t, g.Quiet(c))
	for _, v := range versions {
		assert.NoError(t, v.Quiet())
	}
}

// Three versions share eight slots. Two of them are scaled: their limits go up and down, and
// one of them is removed and made again. With FAAS_SOAK the test makes a million calls.
func TestHammerOnEightSlotsOverThreeVersions(t *testing.T) {
	t.Parallel()
	calls := int64(30_000)
	if os.Getenv("FAAS_SOAK") != "" {
		calls = 1_000_000
	}
	h := newVersionHammer(t, calls)
	var all, change sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 20))
			for h.left.Add(-1) > 0 {
				h.call(r, nil, 0)
			}
		})
	}
	var over atomic.Bool
	change.Go(func() { h.change(&over) })
	all.Wait()
	over.Store(true)
	change.Wait()
	assert.NoError(t, h.group.Quiet(h.class))
	for i := range h.versions {
		assert.NoError(t, h.versions[i].Load().Quiet())
	}
	t.Logf("%d ran, %d in a cycle, %d removed", h.ran.Load(), h.cycles.Load(), h.removed.Load())
	assert.Positive(t, h.ran.Load())
	assert.Positive(t, h.removed.Load())
}

type versionHammer struct {
	t                          *testing.T
	group                      *admission.Group
	class                      *admission.Class
	versions                   [3]atomic.Pointer[admission.Version]
	left, ran, cycles, removed atomic.Int64
	own                        atomic.Int64 // slots of the class that calls hold, without loans
}

func newVersionHammer(t *testing.T, calls int64) *versionHammer {
	t.Helper()
	h := &versionHammer{t: t, group: admission.NewGroup(20)}
	h.left.Store(calls)
	h.class = h.group.NewClass(8, 10_000)
	for i, v := range []*admission.Version{h.class.Base(), h.class.NewVersion(2), h.class.NewVersion(3)} {
		h.versions[i].Store(v)
	}
	return h
}

// call makes a call with nested calls of all versions. The wait is bounded by a year: if a
// call is forgotten, Acquire does not return and the test hangs.
func (h *versionHammer) call(r *rand.Rand, parent *admission.Hold, depth int) {
	var hold admission.Hold
	v := h.versions[r.IntN(3)].Load()
	err := v.Acquire(h.t.Context(), &hold, admission.Request{Parent: parent, Tenant: strconv.Itoa(r.IntN(3)), Priority: r.IntN(2), Wait: patience})
	switch {
	case errors.Is(err, admission.ErrCycle):
		h.cycles.Add(1)
		return
	case errors.Is(err, admission.ErrRemoved):
		h.removed.Add(1)
		return
	case !assert.NoError(h.t, err):
		return
	}
	h.ran.Add(1)
	if hold.OwnsClass() {
		if n := h.own.Add(1); n > 8 {
			h.t.Errorf("%d slots in use of 8", n)
		}
	}
	if depth < 3 && r.IntN(3) > 0 {
		h.nest(r, &hold, depth)
	} else {
		runtime.Gosched()
	}
	if hold.OwnsClass() {
		h.own.Add(-1)
	}
	hold.Release()
}

func (h *versionHammer) nest(r *rand.Rand, hold *admission.Hold, depth int) {
	var children sync.WaitGroup
	for range 1 + r.IntN(2) {
		seed := r.Uint64()
		children.Go(func() { h.call(rand.New(rand.NewPCG(seed, 21)), hold, depth+1) })
	}
	children.Wait()
}

// change resizes the scaled versions, and removes one and makes it again, for as long as
// calls come. It also checks the whole state: no slot may be free while a call waits that
// could use it.
func (h *versionHammer) change(over *atomic.Bool) {
	r := rand.New(rand.NewPCG(1, 22))
	for !over.Load() {
		i := 1 + r.IntN(2)
		if r.IntN(10) == 0 {
			old := h.versions[i].Load()
			old.Remove()
			h.call(r, nil, 3)
			assert.ErrorIs(h.t, old.Acquire(h.t.Context(), new(admission.Hold), admission.Request{}), admission.ErrRemoved)
			h.removed.Add(1)
			h.versions[i].Store(h.class.NewVersion(1 + r.IntN(4)))
		} else {
			h.versions[i].Load().Resize(1 + r.IntN(4))
		}
		if !assert.NoError(h.t, h.group.Check(h.class)) {
			return
		}
		runtime.Gosched()
	}
}

// The group is full, but the caller of each waiter can lend its slot of the group. So the
// waiters lack only a slot of their version.
func TestAVersionsSlotThatComesBackGoesToACallWithALoanOfTheGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		c, d := g.NewClass(10, 10), g.NewClass(10, 10)
		one, two := c.NewVersion(1), c.NewVersion(1)
		top := begin(t, one, nil)
		below := begin(t, two, top)
		again := begin(t, one, below) // borrows the version's slot from top
		beside := begin(t, d, top)
		runs(t, below, again, beside)
		waiting := begin(t, one, beside)
		waits(t, waiting)
		again.end()
		runs(t, waiting)
		next := begin(t, one, below)
		waits(t, next)
		one.Resize(2)
		synctest.Wait()
		runs(t, next)
		end(next, waiting, beside, below, top)
		quiet(t, g, c, d)
	})
}

// The nested call back to the first version needs a slot of the group. If such calls were not
// served by age, the calls of the version that has room would get each slot that comes free,
// for as long as some of them wait.
func TestACallBackToAFullVersionIsNotPassedByThoseThatCameLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		c, d := g.NewClass(admission.Unlimited, 10), g.NewClass(10, 10)
		v := c.NewVersion(1)
		top, busy := begin(t, v, nil), begin(t, d, nil)
		child := begin(t, d, top) // borrows top's slot of the group
		back := begin(t, v, top)
		late := begin(t, c.Base(), nil)
		waits(t, back, late)
		busy.end()
		runs(t, back)
		waits(t, late)
		back.end()
		runs(t, late)
		end(late, child, top)
		quiet(t, g, c, d)
	})
}
