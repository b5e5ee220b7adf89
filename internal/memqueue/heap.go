package memqueue

// nodeHeap is a priority queue of nodes. Each node stores its index in the heap, so that it can
// be removed. A node has one index for heaps with byAge and one for all others, and so may be in
// one of each kind at a time.
type nodeHeap[B any] struct {
	nodes    []*node[B]
	byUrgent bool // the highest Priority goes first; false: Priority does not count
	byAge    bool // the first Expires goes first
}

// index returns the field in which n keeps its index in this heap.
func (h *nodeHeap[B]) index(n *node[B]) *int32 {
	if h.byAge {
		return &n.aging
	}
	return &n.index
}

func (h *nodeHeap[B]) len() int { return len(h.nodes) }

// first returns the node that goes before all others. The heap must not be empty.
func (h *nodeHeap[B]) first() *node[B] { return h.nodes[0] }

func (h *nodeHeap[B]) push(n *node[B]) {
	*h.index(n) = int32(len(h.nodes))
	h.nodes = append(h.nodes, n)
	h.up(len(h.nodes) - 1)
}

// remove removes n, which must be in this heap.
func (h *nodeHeap[B]) remove(n *node[B]) {
	at, last := int(*h.index(n)), len(h.nodes)-1
	h.swap(at, last)
	h.nodes[last] = nil
	h.nodes = h.nodes[:last]
	if at < last && !h.down(at) {
		h.up(at)
	}
	if last == 0 && cap(h.nodes) > 64 {
		h.nodes = nil // so that a heap that was large once does not keep its memory
	}
}

func (h *nodeHeap[B]) before(i, j int) bool {
	a, b := h.nodes[i], h.nodes[j]
	if h.byAge {
		return a.Expires < b.Expires
	}
	if h.byUrgent && a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	return a.earlier(b)
}

func (h *nodeHeap[B]) swap(i, j int) {
	h.nodes[i], h.nodes[j] = h.nodes[j], h.nodes[i]
	*h.index(h.nodes[i]), *h.index(h.nodes[j]) = int32(i), int32(j)
}

func (h *nodeHeap[B]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

// down moves the node at i down to its place, and reports whether it has moved.
func (h *nodeHeap[B]) down(i int) bool {
	start := i
	for {
		least := 2*i + 1
		if least >= len(h.nodes) {
			break
		}
		if right := least + 1; right < len(h.nodes) && h.before(right, least) {
			least = right
		}
		if !h.before(least, i) {
			break
		}
		h.swap(i, least)
		i = least
	}
	return i > start
}

// fifo is a first-in-first-out queue. Its zero value is empty.
type fifo[T any] struct {
	items []T
	head  int // items before this index were taken
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

// at returns the item before which i others are in the queue.
func (q *fifo[T]) at(i int) T { return q.items[q.head+i] }

func (q *fifo[T]) push(x T) { q.items = append(q.items, x) }

func (q *fifo[T]) pop() T {
	x := q.items[q.head]
	clear(q.items[q.head : q.head+1])
	q.head++
	if 2*q.head >= len(q.items) { // each element is moved once on average
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return x
}
