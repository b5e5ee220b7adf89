package admission_test

import (
	"testing"
	"testing/synctest"

	"github.com/inproc/faas/internal/admission"
)

// A descendant of one sibling has the slot that a descendant of the other waits for, and
// needs the slot that the other has.
func TestSiblingsThatBlockEachOtherThroughLentSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b, c := g.NewClass(1, 10), g.NewClass(1, 10), g.NewClass(1, 10)
		a1 := begin(t, a, nil)
		b1, c1 := begin(t, b, a1), begin(t, c, a1)
		back := begin(t, a, b1)
		runs(t, back)
		wait := begin(t, a, c1)
		waits(t, wait)
		refused(t, admission.ErrCycle, begin(t, c, back))
		waits(t, wait)
		back.end()
		runs(t, wait)
		end(wait, b1, c1, a1)
		quiet(t, g, a, b, c)
	})
}

// In each of two chains, a slot is lent to the last call of the chain. Each of these two
// calls needs the slot of the other chain.
func TestChainsThatBlockEachOtherThroughLentSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b, c := g.NewClass(1, 10), g.NewClass(1, 10), g.NewClass(10, 10)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		underA, underB := begin(t, c, a1), begin(t, c, b1)
		a2, b2 := begin(t, a, underA), begin(t, b, underB)
		runs(t, a2, b2)
		wait := begin(t, b, a2)
		waits(t, wait)
		refused(t, admission.ErrCycle, begin(t, a, b2))
		end(b2, underB)
		waits(t, wait)
		b1.end()
		runs(t, wait)
		end(wait, a2, underA, a1)
		quiet(t, g, a, b, c)
	})
}

func TestTwoRootsThatHoldEachOthersSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		ab := begin(t, b, a1)
		waits(t, ab)
		ba := begin(t, a, b1)
		refused(t, admission.ErrCycle, ba)
		waits(t, ab)
		b1.end()
		runs(t, ab)
		end(ab, a1)
		quiet(t, g, a, b)
	})
}

// Calls of three classes with two slots each wait for each other in a ring. Only the call
// that completes the deadlock is refused.
func TestRingOfClasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		cs := []*admission.Class{g.NewClass(2, 10), g.NewClass(2, 10), g.NewClass(2, 10)}
		var roots, nested []*call
		for _, c := range cs {
			roots = append(roots, begin(t, c, nil), begin(t, c, nil))
		}
		for i, r := range roots[:5] {
			nested = append(nested, begin(t, cs[(i/2+1)%3], r))
		}
		waits(t, nested...)
		last := begin(t, cs[0], roots[5])
		refused(t, admission.ErrCycle, last)
		roots[5].end() // a call of cs[2]
		runs(t, nested[2])
		waits(t, nested[0], nested[1], nested[3], nested[4])
		end(nested[2], roots[2])
		runs(t, nested[0], nested[3])
		end(nested[0], roots[0], nested[3])
		runs(t, nested[1], nested[4])
		end(nested[1], roots[1], nested[4], roots[4], roots[3])
		quiet(t, g, cs...)
	})
}

func TestWaitForACallThatRunsIsNoCycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b, c := g.NewClass(1, 10), g.NewClass(1, 10), g.NewClass(1, 10)
		a1, b1, c1 := begin(t, a, nil), begin(t, b, nil), begin(t, c, nil)
		ab, bc := begin(t, b, a1), begin(t, c, b1)
		waits(t, ab, bc) // both wait for c1 in the end, and c1 runs
		other := begin(t, a, nil)
		waits(t, other)
		c1.end()
		runs(t, bc)
		end(bc, b1)
		runs(t, ab)
		end(ab, a1)
		runs(t, other)
		other.end()
		quiet(t, g, a, b, c)
	})
}

// The slots of a, b and c are held by calls that wait, and other calls wait for these slots.
// But the last call of this chain of waits, d1, runs.
func TestWaitBehindALineOfWaitsIsNoCycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b, c, d := g.NewClass(1, 10), g.NewClass(1, 10), g.NewClass(1, 10), g.NewClass(1, 10)
		e := g.NewClass(2, 10)
		a1, b1, c1, d1 := begin(t, a, nil), begin(t, b, nil), begin(t, c, nil), begin(t, d, nil)
		e1, e2 := begin(t, e, nil), begin(t, e, nil)
		ea, eb := begin(t, a, e1), begin(t, b, e2)
		bc, cd := begin(t, c, b1), begin(t, d, c1)
		ab := begin(t, b, a1)
		waits(t, ea, eb, bc, cd, ab)
		end(d1, cd, c1, bc, b1, eb, ab, a1, ea)
		end(e1, e2)
		quiet(t, g, a, b, c, d, e)
	})
}

func TestWaitForAClassOfNoSlotsIsNoCycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(0, 10)
		a1 := begin(t, a, nil)
		ab := begin(t, b, a1)
		waits(t, ab)
		b.Resize(1)
		synctest.Wait()
		runs(t, ab)
		end(ab, a1)
		quiet(t, g, a, b)
	})
}

// The parent has ended, but the slot of its class is lent to a child that waits.
func TestCycleThroughAnEndedParentsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		aa := begin(t, a, a1)
		a1.end()
		ab := begin(t, b, aa)
		waits(t, ab)
		refused(t, admission.ErrCycle, begin(t, a, b1))
		b1.end()
		runs(t, ab)
		end(ab, aa)
		quiet(t, g, a, b)
	})
}

// The call that has borrowed the slot waits for d1, d1 waits for b1, and the group has no
// other slot. So b1 must not begin to wait for the loan.
func TestCycleThroughALoanLeftByAnEndedCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		b, c, d := g.NewClass(1, 10), g.NewClass(10, 10), g.NewClass(1, 10)
		b1, d1 := begin(t, b, nil), begin(t, d, nil)
		middle := begin(t, c, b1)
		low := begin(t, c, middle)
		middle.end()
		wait, back := begin(t, d, low), begin(t, b, d1)
		waits(t, wait, back) // no deadlock: b1 can end
		refused(t, admission.ErrCycle, begin(t, c, b1))
		waits(t, wait, back)
		b1.end()
		runs(t, back)
		end(back, d1)
		runs(t, wait)
		end(wait, low)
		quiet(t, g, b, c, d)
	})
}

// A call does not wait for the nested calls that its ended child has left behind.
func TestEndedCallCutsTheLineOfThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b, c := g.NewClass(1, 10), g.NewClass(1, 10), g.NewClass(10, 10)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		middle := begin(t, c, a1)
		low := begin(t, c, middle)
		middle.end()
		wait := begin(t, b, low)
		waits(t, wait)
		back := begin(t, a, b1) // not refused: a1 runs, and can end
		waits(t, back)
		a1.end()
		runs(t, back)
		end(back, b1)
		runs(t, wait)
		end(wait, low)
		quiet(t, g, a, b, c)
	})
}

// When the limit of a class is lowered, it may happen that only calls that wait for the class
// hold its slots. Then the newest of them is refused.
func TestCycleByShrinkingIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(2, 10), g.NewClass(1, 10)
		a1, a2, b1 := begin(t, a, nil), begin(t, a, nil), begin(t, b, nil)
		ab, back := begin(t, b, a1), begin(t, a, b1)
		bystander := begin(t, a, nil)
		waits(t, ab, back, bystander)
		a.Resize(1)
		synctest.Wait()
		waits(t, ab, back, bystander) // a2 runs, and can end
		a2.end()
		refused(t, admission.ErrCycle, back)
		waits(t, ab, bystander)
		b1.end()
		runs(t, ab)
		end(ab, a1)
		runs(t, bystander)
		bystander.end()
		quiet(t, g, a, b)
	})
}

func TestCycleByShrinkingAtOnceIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(2, 10), g.NewClass(1, 10)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		loan := begin(t, b, b1)
		runs(t, loan)
		ab, back := begin(t, b, a1), begin(t, a, b1)
		waits(t, ab, back) // back waits for a slot of the group, or for that of b1
		a.Resize(1)
		synctest.Wait()
		refused(t, admission.ErrCycle, back)
		waits(t, ab)
		end(loan, b1)
		runs(t, ab)
		end(ab, a1)
		quiet(t, g, a, b)
	})
}

// The call that is refused is part of the deadlock, even if a newer call waits that is not.
func TestCycleByShrinkingSparesBystanders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b, c := g.NewClass(2, 10), g.NewClass(1, 10), g.NewClass(1, 10)
		a1, a2, b1, c1 := begin(t, a, nil), begin(t, a, nil), begin(t, b, nil), begin(t, c, nil)
		ab, back, bystander := begin(t, b, a1), begin(t, a, b1), begin(t, a, c1)
		a.Resize(1)
		a2.end()
		refused(t, admission.ErrCycle, back)
		waits(t, ab, bystander)
		b1.end()
		runs(t, ab)
		end(ab, a1)
		runs(t, bystander)
		end(bystander, c1)
		quiet(t, g, a, b, c)
	})
}
