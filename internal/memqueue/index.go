package memqueue

import (
	"encoding/binary"
	"slices"
)

// index finds jobs by their IDs. It is sorted by ID and not a hash map. Most IDs are made in the
// order of time, and jobs end and are forgotten in about the same order. So entries that are used
// one after the other stand side by side, and are in the processor's cache; a map would spread
// them over memory, and each look-up of an old job would wait for memory. IDs in a random order
// cost somewhat more than in a map.
//
// The entries stand in leaves, none of which is empty; firsts and leaves are slices, and a search
// is two binary searches. A deeper tree is not needed: a million jobs are 8,000 leaves.
type index[B any] struct {
	firsts []ID // the first ID of each leaf
	leaves []*leaf[B]
}

// leafSize makes a leaf as large as one of the allocator's size classes, 4 KiB.
const leafSize = 127

type leaf[B any] struct {
	from  int // the entries are those from here on; the oldest are removed first, which moves no other
	used  int // … and before here
	ids   [leafSize]ID
	nodes [leafSize]*node[B] // nil: the job has no node, since it is forgotten or shelved
	slots [leafSize]uint64   // the number of a shelved job's slot; 0: the job is not shelved
}

func (id *ID) before(other *ID) bool {
	a, b := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(other[:8])
	if a != b {
		return a < b
	}
	return binary.BigEndian.Uint64(id[8:]) < binary.BigEndian.Uint64(other[8:])
}

// get returns the node of the job with an ID. A nil n means that the job is forgotten or shelved if
// known is true, and that the ID is not known otherwise.
func (x *index[B]) get(id *ID) (n *node[B], known bool) {
	if at, i, found := x.seek(id); found {
		return x.leaves[at].nodes[i], true
	}
	return nil, false
}

// number returns the number of the slot of the job with an ID; 0: the job is not shelved.
func (x *index[B]) number(id *ID) uint64 {
	if at, i, found := x.seek(id); found {
		return x.leaves[at].slots[i]
	}
	return 0
}

// shelve sets the slot of a job whose ID is known. The job has no node from then on.
func (x *index[B]) shelve(id *ID, number uint64) {
	at, i, _ := x.seek(id)
	l := x.leaves[at]
	l.nodes[i], l.slots[i] = nil, number
}

// set sets the node of the job with an ID, which is not shelved from then on; a nil n marks the job
// as forgotten.
func (x *index[B]) set(id *ID, n *node[B]) {
	at, i, found := x.seek(id)
	switch {
	case found:
		x.leaves[at].nodes[i], x.leaves[at].slots[i] = n, 0
		return
	case len(x.leaves) == 0:
		x.addLeaf(0, &leaf[B]{})
	case x.leaves[at].used < leafSize:
	case x.leaves[at].from > 0:
		i -= x.leaves[at].from
		x.leaves[at].pack()
	default:
		at, i = x.split(at, i)
	}
	l := x.leaves[at]
	copy(l.ids[i+1:l.used+1], l.ids[i:l.used])
	copy(l.nodes[i+1:l.used+1], l.nodes[i:l.used])
	copy(l.slots[i+1:l.used+1], l.slots[i:l.used])
	l.ids[i], l.nodes[i], l.slots[i] = *id, n, 0
	l.used++
	x.firsts[at] = l.ids[l.from]
}

// remove removes the entry of an ID, if there is one.
func (x *index[B]) remove(id *ID) {
	at, i, found := x.seek(id)
	if !found {
		return
	}
	l := x.leaves[at]
	if l.cut(i); l.len() == 0 {
		x.dropLeaf(at)
		return
	}
	x.firsts[at] = l.ids[l.from]
	if l.len() <= leafSize/4 {
		x.merge(at)
	}
}

// cut removes the entry at index i.
func (l *leaf[B]) cut(i int) {
	if i == l.from {
		l.nodes[i] = nil
		l.from++
		return
	}
	copy(l.ids[i:], l.ids[i+1:l.used])
	copy(l.nodes[i:], l.nodes[i+1:l.used])
	copy(l.slots[i:], l.slots[i+1:l.used])
	l.used--
	l.nodes[l.used] = nil
}

// len returns how many entries the leaf has.
func (l *leaf[B]) len() int { return l.used - l.from }

// pack moves the entries to the beginning of the leaf.
func (l *leaf[B]) pack() {
	copy(l.ids[:], l.ids[l.from:l.used])
	copy(l.nodes[:], l.nodes[l.from:l.used])
	copy(l.slots[:], l.slots[l.from:l.used])
	clear(l.nodes[l.len():l.used])
	l.from, l.used = 0, l.len()
}

// all calls the function do with each job that has a node.
func (x *index[B]) all(do func(n *node[B])) {
	for _, l := range x.leaves {
		for _, n := range l.nodes[l.from:l.used] {
			if n != nil {
				do(n)
			}
		}
	}
}

// seek returns the position of an ID's entry, or the position where it would be inserted: the
// index of the leaf, and the index in that leaf.
func (x *index[B]) seek(id *ID) (at, i int, found bool) {
	if len(x.leaves) == 0 {
		return 0, 0, false
	}
	if at = len(x.leaves) - 1; id.before(&x.firsts[at]) { // if it is not, the ID is in the last leaf or new, as most are
		at = max(0, least(at, func(i int) bool { return id.before(&x.firsts[i]) })-1)
	}
	l := x.leaves[at]
	if l.ids[l.used-1].before(id) {
		return at, l.used, false
	}
	i = l.from + least(l.len(), func(i int) bool { return !l.ids[l.from+i].before(id) })
	return at, i, l.ids[i] == *id
}

// least returns the smallest i < n for which holds(i) is true, or n if there is none. If holds is
// true for i it must be true for every larger one.
func least(n int, holds func(i int) bool) int {
	low := 0
	for low < n {
		if mid := int(uint(low+n) / 2); holds(mid) {
			n = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// split makes room for an entry at index i of the leaf at, all of which is used, and returns the position where the
// entry goes. It divides the leaf in two. Only an entry after all others gets a new, empty leaf:
// so IDs that only grow leave full leaves behind them.
func (x *index[B]) split(at, i int) (int, int) {
	l, next := x.leaves[at], &leaf[B]{}
	if at == len(x.leaves)-1 && i == l.used {
		x.addLeaf(at+1, next)
		return at + 1, 0
	}
	const half = leafSize / 2
	l.moveTo(next, half)
	x.addLeaf(at+1, next)
	x.firsts[at+1] = next.ids[0]
	if i <= half {
		return at, i
	}
	return at + 1, i - half
}

// merge joins a nearly empty leaf with the one before or after it, if the two together fill at
// most half a leaf. Without this, each job that is kept for long could keep a leaf for itself.
func (x *index[B]) merge(at int) {
	for first := max(at-1, 0); first <= at && first+1 < len(x.leaves); first++ {
		l, next := x.leaves[first], x.leaves[first+1]
		if l.len()+next.len() <= leafSize/2 {
			l.pack()
			next.moveTo(l, next.from)
			x.dropLeaf(first + 1)
			return
		}
	}
}

// moveTo moves the entries from index i on to the end of another leaf.
func (l *leaf[B]) moveTo(to *leaf[B], i int) {
	copy(to.ids[to.used:], l.ids[i:l.used])
	copy(to.slots[to.used:], l.slots[i:l.used])
	to.used += copy(to.nodes[to.used:], l.nodes[i:l.used])
	clear(l.nodes[i:l.used])
	l.used = i
}

func (x *index[B]) addLeaf(at int, l *leaf[B]) {
	x.leaves = slices.Insert(x.leaves, at, l)
	x.firsts = slices.Insert(x.firsts, at, ID{})
}

func (x *index[B]) dropLeaf(at int) {
	x.leaves = slices.Delete(x.leaves, at, at+1)
	x.firsts = slices.Delete(x.firsts, at, at+1)
}
