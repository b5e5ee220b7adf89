package memqueue

import (
	"cmp"
	"slices"
)

// journal has nodes in the order in which they were added. Those that are gone stay in it until
// they are half of it, so that a removal costs little. The first ones go first, mostly: then no
// other node is looked at, and memory that was not used for long is not fetched.
type journal[B any] struct {
	nodes []*node[B]
	head  int // nodes before it are gone, and nil
	dead  int // nodes after it that are gone
}

func (j *journal[B]) add(n *node[B]) { j.nodes = append(j.nodes, n) }

// lost counts a node that has gone, and sweeps.
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
	if 2*j.head >= len(j.nodes) { // moves each node once on average
		n := copy(j.nodes, j.live())
		clear(j.nodes[n:])
		j.nodes, j.head = j.nodes[:n], 0
	}
}

// live returns the nodes, of which few are gone.
func (j *journal[B]) live() []*node[B] { return j.nodes[j.head:] }

// first returns the first node that is not gone, or nil.
func (j *journal[B]) first() *node[B] {
	if j.head == len(j.nodes) {
		return nil
	}
	return j.nodes[j.head] // lost has passed those that are gone
}

// after returns the nodes of a journal of accepted jobs whose numbers are above seq.
func (j *journal[B]) after(seq uint64) []*node[B] {
	live := j.live()
	at, _ := slices.BinarySearchFunc(live, seq+1, func(n *node[B], seq uint64) int { return cmp.Compare(n.seq, seq) })
	return live[at:]
}
