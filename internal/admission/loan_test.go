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

// a → b → a → b, where each class has one slot: the lower calls borrow the slots of the upper
// ones.
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

// A call borrows a slot if it can, and leaves a free slot to other calls.
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

// A call can lend its slot of the class to one call, and its slot of the group to another.
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

// A waiter that can borrow its slot of the class, and lacks only a slot of the group, takes
// part in the turns of the classes that wait for the group.
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
		runs(t, other) // the class of other has fewer slots
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
		waits(t, stranger) // the slot comes back to its lender, and not to the pool
		end(back2, b1, b2, a1)
		runs(t, stranger)
		stranger.end()
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

// Parallel recursive calls in a class of one slot take turns. This is not a cycle, since the
// running child gives the loan back.
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

// A recursive call next to a child borrows the slot of the class from their parent. A
// recursive call below that child waits until this slot comes back.
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
