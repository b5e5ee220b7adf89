package admission_test

import (
	"testing"
	"testing/synctest"

	"github.com/inproc/faas/internal/admission"
)

// One sibling's descendant has the slot that the other's waits for, and needs one that
// the other has.
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

// Two chains, each with a slot of its own lent to the end of its own line, and each in
// need of the other's.
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

// Three classes in a ring, two slots each: only the call that leaves no way
// out is refused.
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
		roots[5].end() // cs[2]
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
		waits(t, ab, bc) // for c1, which runs
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

// Each of a, b and c is held by a call that waits, and waited for; but at the
// end of the line one runs.
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

// The parent has ended, but its class's slot is lent to a child that waits.
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

// The loan is with a call that waits for d1, which waits for b1, and the group has no
// other slot: b1 must not begin to wait for the loan.
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
		waits(t, wait, back) // b1 will end
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

// A grandparent does not wait for what its ended child has left behind.
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
		back := begin(t, a, b1) // a1 runs, and will end
		waits(t, back)
		a1.end()
		runs(t, back)
		end(back, b1)
		runs(t, wait)
		end(wait, low)
		quiet(t, g, a, b, c)
	})
}

// A class that shrinks may leave only calls that wait for it: then the newest
// is refused.
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
		waits(t, ab, back, bystander) // a2 runs
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
		waits(t, ab, back) // back for a slot of the group, or b1's
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

// The refused one is a call that waits for itself, not the newest at hand.
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
