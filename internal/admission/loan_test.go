package admission_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/admission"
)

func TestRecursionNeedsOneSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 0)
		var chain []*call
		var parent *call
		for range 11 {
			parent = begin(t, c, parent)
			runs(t, parent)
			chain = append(chain, parent)
		}
		assert.Equal(t, 1, c.Used())
		assert.Equal(t, 1, g.Used())
		for _, k := range slices.Backward(chain) {
			assert.Equal(t, 1, g.Used())
			k.end()
		}
		quiet(t, g, c)
	})
}

func TestChainOfClassesNeedsOneSlotOfTheGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		var classes []*admission.Class
		var chain []*call
		var parent *call
		for range 10 {
			c := g.NewClass(1, 0)
			parent = begin(t, c, parent)
			runs(t, parent)
			assert.Equal(t, 1, c.Used())
			classes, chain = append(classes, c), append(chain, parent)
		}
		assert.Equal(t, 1, g.Used())
		for i, k := range slices.Backward(chain) {
			k.end()
			assert.Zero(t, classes[i].Used())
		}
		quiet(t, g, classes...)
	})
}

// a → b → a → b, each of one slot: the calls below use the slots of those above.
func TestMutualRecursionNeedsOneSlotOfEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		cs := []*admission.Class{g.NewClass(1, 0), g.NewClass(1, 0), g.NewClass(1, 0)}
		var chain []*call
		var parent *call
		for i := range 15 {
			parent = begin(t, cs[i%3], parent)
			runs(t, parent)
			if i >= 3 {
				assert.Same(t, &chain[i-3].hold, parent.hold.ClassLender(), "the nearest of its class")
			}
			chain = append(chain, parent)
		}
		for _, c := range append(cs[:0:0], cs...) {
			assert.Equal(t, 1, c.Used())
		}
		for _, k := range slices.Backward(chain) {
			k.end()
		}
		quiet(t, g, cs...)
	})
}

// A free slot is left to others as long as one can be lent.
func TestASlotIsBorrowedBeforeAFreeOneIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(5, 10), g.NewClass(5, 10)
		a1 := begin(t, a, nil)
		b1, b2 := begin(t, b, a1), begin(t, b, a1)
		back1, back2 := begin(t, a, b1), begin(t, a, b2)
		assert.Same(t, &a1.hold, back1.hold.ClassLender())
		assert.Nil(t, back2.hold.ClassLender(), "it is lent to one at a time")
		assert.Equal(t, 2, a.Used())
		back1.end()
		below := begin(t, b, back2)
		assert.Same(t, &b2.hold, below.hold.ClassLender())
		deeper := begin(t, a, below)
		assert.Same(t, &back2.hold, deeper.hold.ClassLender(), "the nearest")
		beside := begin(t, a, below)
		assert.Same(t, &a1.hold, beside.hold.ClassLender(), "the next, as the nearest has lent its own")
		end(beside, deeper, below, back2, b1, b2, a1)
		quiet(t, g, a, b)
	})
}

// The class's slot can be lent to one and the group's to another.
func TestHalvesOfASlotAreLentApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(1, 10), g.NewClass(10, 10)
		a1 := begin(t, a, nil)
		b1 := begin(t, b, a1)
		again := begin(t, a, a1)
		runs(t, b1, again)
		assert.False(t, again.hold.OwnsClass())
		assert.True(t, again.hold.OwnsGroup())
		assert.Equal(t, []int{1, 2}, []int{a.Used(), a.Held() + b.Held()})
		third := begin(t, a, a1)
		waits(t, third)
		again.end()
		runs(t, third)
		end(b1, third, a1)
		quiet(t, g, a, b)
	})
}

// A waiter with a slot of its class to borrow lacks one of the group's: it takes part
// in the turns of those that wait for it.
func TestABorrowerWaitsForTheGroupAsItsClassDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(1, 10), g.NewClass(10, 10)
		a1, busy := begin(t, a, nil), begin(t, b, nil)
		b1 := begin(t, b, a1)
		again, other := begin(t, a, a1), begin(t, b, nil)
		waits(t, again, other)
		busy.end()
		runs(t, other) // which class has fewer slots
		waits(t, again)
		other.end()
		runs(t, again)
		end(again, b1, a1)
		quiet(t, g, a, b)
	})
}

func TestCallBackWaitsForTheSlotThatASiblingHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(2, 10)
		a1 := begin(t, a, nil)
		b1, b2 := begin(t, b, a1), begin(t, b, a1)
		back1, back2 := begin(t, a, b1), begin(t, a, b2)
		runs(t, back1)
		waits(t, back2)
		stranger := begin(t, a, nil)
		back1.end()
		runs(t, back2)
		waits(t, stranger) // the slot is not the pool's
		end(back2, b1, b2, a1)
		runs(t, stranger)
		stranger.end()
		quiet(t, g, a, b)
	})
}

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

func TestChildrenTakeTheLoanInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(1, 10), g.NewClass(10, 10)
		root := begin(t, a, nil)
		first := begin(t, b, root)
		runs(t, first)
		assert.Equal(t, 1, g.Used(), "the first has the loan")
		second := begin(t, b, root)
		runs(t, second)
		assert.Equal(t, 2, g.Used(), "the second a slot of its own")
		third, fourth := begin(t, b, root), begin(t, b, root)
		waits(t, third, fourth)
		first.end()
		runs(t, third)
		waits(t, fourth)
		second.end()
		runs(t, fourth)
		end(third, fourth)
		assert.Equal(t, 1, g.Used(), "the root's slot was never the pool's")
		root.end()
		quiet(t, g, a, b)
	})
}

// Parallel recursion in a class of one slot takes turns; it is no cycle, since
// the child that runs brings the loan home.
func TestParallelRecursionTakesTheLoanInTurn(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(limit)
				c := g.NewClass(limit, 10)
				root := begin(t, c, nil)
				var line []*call
				for range 5 {
					line = append(line, begin(t, c, root))
				}
				for i, k := range line {
					runs(t, k)
					waits(t, line[min(i+limit, 5):]...)
					inner := begin(t, c, k)
					runs(t, inner)
					end(inner, k)
				}
				root.end()
				quiet(t, g, c)
			})
		})
	}
}

// Recursion beside a child takes its parent's slot of the class, and one below the
// child waits for it to come home.
func TestParallelRecursionAndRecursionBelowASiblingTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		root := begin(t, a, nil)
		first, second := begin(t, b, root), begin(t, a, root)
		runs(t, first, second)
		below := begin(t, a, first)
		waits(t, below)
		second.end()
		runs(t, below)
		end(below, first, root)
		quiet(t, g, a, b)
	})
}

func TestSlotGoesWithTheChildOfAnEndedParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		root := begin(t, a, nil)
		child := begin(t, b, root)
		other := begin(t, a, nil)
		root.end()
		assert.Zero(t, a.Used())
		assert.Equal(t, 1, g.Used())
		waits(t, other)
		child.end()
		runs(t, other)
		other.end()
		quiet(t, g, a, b)
	})
}

func TestBothHalvesGoWithARecursiveChild(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 10)
		root := begin(t, c, nil)
		child := begin(t, c, root)
		grandchild := begin(t, c, child)
		runs(t, grandchild)
		end(root, child)
		assert.Equal(t, 1, c.Used())
		assert.Equal(t, 1, g.Used())
		other := begin(t, c, nil)
		waits(t, other)
		grandchild.end()
		runs(t, other)
		other.end()
		quiet(t, g, c)
	})
}

// The class's half comes free with the last recursive call, though the group's
// is still with a child of another class.
func TestClassHalfDoesNotGoWithAChildOfAnotherClass(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			g := admission.NewGroup(1)
			a, b := g.NewClass(1, 10), g.NewClass(1, 10)
			line := []*call{begin(t, a, nil)}
			line = append(line, begin(t, a, line[0]))
			last := begin(t, b, line[1])
			line[order[0]].end()
			assert.Equal(t, 1, a.Used())
			line[order[1]].end()
			assert.Zero(t, a.Used())
			assert.Equal(t, 1, g.Used())
			last.end()
			quiet(t, g, a, b)
		})
	}
}

func TestLoansOfALineEndInAnyOrder(t *testing.T) {
	t.Parallel()
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, order := range orders {
		for mix := range 8 {
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(1)
				cs := []*admission.Class{g.NewClass(1, 10), g.NewClass(3, 10)}
				line := []*call{begin(t, cs[mix&1], nil)}
				line = append(line, begin(t, cs[mix>>1&1], line[0]))
				line = append(line, begin(t, cs[mix>>2&1], line[1]))
				runs(t, line...)
				assert.Equal(t, 1, g.Used())
				for i, n := range order {
					assert.Equal(t, 1, g.Used(), "%d of %v", i, order)
					line[n].end()
				}
				quiet(t, g, cs...)
			})
		}
	}
}

func TestChildOfAnEndedParentIsARoot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		c := g.NewClass(1, 10)
		root := begin(t, c, nil)
		root.end()
		child := begin(t, c, root)
		runs(t, child)
		assert.True(t, child.hold.OwnsClass())
		assert.True(t, child.hold.OwnsGroup())
		end(child)
		quiet(t, g, c)
	})
}

// A call that waits when its parent ends waits on, for a slot of its own. No call waits
// for it then, so that it completes no deadlock.
func TestWaitingChildOfAnEndedParentIsARoot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		a1, b1 := begin(t, a, nil), begin(t, b, nil)
		ab := begin(t, b, a1)
		waits(t, ab)
		a1.end()
		ba := begin(t, a, b1)
		runs(t, ba)
		other := begin(t, a, nil)
		end(ba, b1)
		runs(t, ab, other)
		assert.True(t, ab.hold.OwnsGroup())
		end(ab, other)
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

// A nested call that borrows its parent's slot of the group takes the last slot of a class
// with a waiter that lacks a slot of the group. The class is not ready then, and other
// classes must not wait behind it.
func TestLoanThatFillsAClassLeavesTheTurnToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b, c := g.NewClass(2, 10), g.NewClass(1, 10), g.NewClass(1, 10)
		a1, a2 := begin(t, a, nil), begin(t, a, nil)
		b1, c1 := begin(t, b, nil), begin(t, c, nil)
		waits(t, b1, c1) // both lack a slot of the group
		ab := begin(t, b, a1)
		runs(t, ab)
		a2.end()
		runs(t, c1)
		waits(t, b1)
		end(ab, c1)
		runs(t, b1)
		end(b1, a1)
		quiet(t, g, a, b, c)
	})
}

// A call that borrows passes waiters that lack a slot of the group, and no others.
func TestLoanDoesNotPassWhoCanGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		root := begin(t, a, nil)
		first := begin(t, b, root)
		other := begin(t, b, nil)
		second := begin(t, b, root)
		waits(t, other, second)
		first.end()
		runs(t, other)
		waits(t, second)
		other.end()
		runs(t, second)
		end(second, root)
		quiet(t, g, a, b)
	})
}

func TestLoanPassesWhoLacksTheGroupsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		root, busy := begin(t, a, nil), begin(t, b, nil)
		other, child := begin(t, b, nil), begin(t, b, root)
		waits(t, other, child)
		g.Resize(1)
		busy.end()
		runs(t, child)
		waits(t, other)
		end(child, root)
		runs(t, other)
		other.end()
		quiet(t, g, a, b)
	})
}

// A call waits for room in its class, and could run in its parent's slot. It gets that slot
// when the class grows, without any other slot becoming free.
func TestAParentsSlotIsLentWhenTheClassGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(2)
		a, b := g.NewClass(1, 10), g.NewClass(1, 10)
		root, busy := begin(t, a, nil), begin(t, b, nil)
		one, two := begin(t, b, root), begin(t, b, root)
		waits(t, one, two)
		b.Resize(3)
		synctest.Wait()
		runs(t, one)
		waits(t, two)
		one.end()
		runs(t, two)
		end(two, busy, root)
		quiet(t, g, a, b)
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

// A slot is stuck while the child that it went to is.
func TestStuckChildMakesItsParentsSlotStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		a := g.NewClass(1, 10)
		root := begin(t, a, nil)
		child := begin(t, a, root)
		waiting := begin(t, a, root)
		child.hold.MarkStuck()
		synctest.Wait()
		refused(t, admission.ErrStuck, waiting, begin(t, a, root), begin(t, a, nil))
		root.hold.MarkStuck()
		root.end()
		refused(t, admission.ErrStuck, begin(t, a, nil))
		child.end()
		other := begin(t, a, nil)
		runs(t, other)
		other.end()
		quiet(t, g, a)
	})
}
