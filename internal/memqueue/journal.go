package memqueue

import "slices"

// journal has nodes in the order in which they were added. A node whose place is gone stays in it
// until half of the nodes are gone, so that a removal costs little on average. Most nodes become
// gone in the order in which they were added. Then only the first is read, and the memory of the
// others, which was not used for long, need not be fetched.
type journal[B any] struct {
	nodes []*node[B]
	head  int // nodes before this index are gone, and nil
	dead  int // how many nodes from head on are gone
}

func (j *journal[B]) add(n *node[B]) { j.nodes = append(j.nodes, n) }

// lost counts one more node whose place is gone. It drops gone nodes at the head of the journal,
// and all gone nodes once they are half of it.
func (j *journal[B]) lost() {
	j.dead++
	for j.head < len(j.nodes) && j.nodes[j.head].place == gone {
		j.nodes[j.head] = nil
		j.head++
		j.dead--
	}
	if live := j.live(); 2*j.dead >= len(live) && j.dead > 0 {
		live = slices.DeleteFunc(live, func(n *node[B]) bool { return n.place == gone })
		j.nodes, j.dead = j.nodes[:j.head+len(live)], 0
	}
	if 2*j.head >= len(j.nodes) { // each node is moved once on average
		n := copy(j.nodes, j.live())
		clear(j.nodes[n:])
		j.nodes, j.head = j.nodes[:n], 0
	}
}

// hasNone reports whether no node that is gone is left in the journal.
func (j *journal[B]) hasNone() bool { return j.dead == 0 }

// live returns the nodes from head on; fewer than half of them are gone.
func (j *journal[B]) live() []*node[B] { return j.nodes[j.head:] }

// first returns the first node that is not gone, or nil.
func (j *journal[B]) first() *node[B] {
	if j.head == len(j.nodes) {
		return nil
	}
	return j.nodes[j.head] // not gone: lost moves head past such nodes
}
