package memqueue

import (
	"cmp"
	"slices"
)

// journal has nodes in the order in which they were added. Those that are gone stay in it
// until they are half of it, so that a removal costs little.
type journal[B any] struct {
	nodes []*node[B]
	head  int // nodes before it are gone
	dead  int // nodes that are gone
}

func (j *journal[B]) add(n *node[B]) { j.nodes = append(j.nodes, n) }

// lost counts a node that has gone, and sweeps.
func (j *journal[B]) lost() {
	if j.dead++; 2*j.dead < len(j.nodes) {
		return
	}
	j.nodes = slices.DeleteFunc(j.nodes, func(n *node[B]) bool { return n.place == gone })
	j.head, j.dead = 0, 0
}

// first returns the first node that is not gone, or nil.
func (j *journal[B]) first() *node[B] {
	for ; j.head < len(j.nodes); j.head++ {
		if n := j.nodes[j.head]; n.place != gone {
			return n
		}
	}
	return nil
}

// after returns the nodes of a journal of accepted jobs whose numbers are above seq.
func (j *journal[B]) after(seq uint64) []*node[B] {
	at, _ := slices.BinarySearchFunc(j.nodes, seq+1, func(n *node[B], seq uint64) int { return cmp.Compare(n.seq, seq) })
	return j.nodes[at:]
}
