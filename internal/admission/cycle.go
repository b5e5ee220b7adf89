package admission

// deadlocked tells whether calls that wait for c wait for themselves: every
// slot of c is held by a call that has a nested call waiting for such a class
// in its turn. The answer is the greatest set of classes with that property,
// found by striking out the ones that lack it.
//
// A handler that makes a nested call in a goroutine of its own, and would have
// returned without it, counts as waiting: from outside the two look alike.
func (g *Group) deadlocked(c *Class) bool {
	if !c.allBlocked() { // nearly always; and it costs no search
		return false
	}
	set := map[*Class]bool{}
	for w := range g.nested {
		if k := w.hold.class; k.allBlocked() {
			set[k] = true
		}
	}
	for again := true; again; {
		again = false
		held := g.heldBelow(set)
		for k := range set {
			if held[k] < k.word.used() {
				delete(set, k)
				again = true
			}
		}
	}
	return set[c]
}

func (c *Class) allBlocked() bool { return !c.word.room() && c.blocked >= c.word.used() }

// heldBelow counts, for each class, the slots held by calls that have a nested
// call waiting for a class of set.
func (g *Group) heldBelow(set map[*Class]bool) map[*Class]int {
	seen := map[*Hold]bool{}
	held := map[*Class]int{}
	for w := range g.nested {
		if !set[w.hold.class] {
			continue
		}
		for a := w.hold.parent; a != nil && !seen[a]; a = a.parent {
			seen[a] = true
			if a.ownsClass() {
				held[a.class]++
			}
		}
	}
	return held
}
