package memqueue

import "math"

// settled are the jobs that are over, in the order in which they settled, and the IDs of
// those that were forgotten last. It has the same bounds as the rest of the queue.
type settled[B any] struct {
	ring      journal[B]
	expiring  nodeHeap[B] // all of ring, by when they may be forgotten
	used      usage
	forgotten map[ID]struct{}
	names     fifo[ID] // the forgotten, in their order
}

// add takes a node whose item is a settled one, and forgets the oldest beyond the bounds,
// but never n itself: who waits for n must see its end.
func (s *settled[B]) add(q *Queue[B], n *node[B]) {
	if n.At == 0 {
		n.At = forever
	}
	s.ring.add(n)
	s.keep(n)
	for s.used.count > 1 && (s.used.count > q.maxCount || s.used.bytes > q.maxBytes) {
		s.forget(q, s.ring.first())
	}
}

func (s *settled[B]) keep(n *node[B]) {
	if n.At == 0 {
		n.At = forever
	}
	s.used.add(n.Size)
	s.expiring.push(n)
	n.place = inExpiring
}

// drop is the reverse of keep.
func (s *settled[B]) drop(n *node[B]) {
	s.expiring.remove(n)
	s.used.sub(n.Size)
	n.place = gone
}

// rewrite replaces the item of a settled node. It keeps its state: that was for good.
func (s *settled[B]) rewrite(n *node[B], it Item[B]) {
	it.State = n.State
	s.drop(n)
	n.Item = it
	s.keep(n)
}

// forget removes a job, and remembers that it was there.
func (s *settled[B]) forget(q *Queue[B], n *node[B]) {
	s.drop(n)
	delete(q.nodes, n.ID)
	s.ring.lost()
	q.accepted.lost()
	f := q.functions[n.Function]
	if f.counts[n.State]--; f.counts == [states]int{} {
		delete(q.functions, n.Function)
	}
	s.remember(n.ID, q.maxCount)
	q.tell(n.ID)
}

func (s *settled[B]) remember(id ID, most int) {
	if s.forgotten == nil {
		s.forgotten = map[ID]struct{}{}
	}
	s.forgotten[id] = struct{}{}
	s.names.push(id)
	for s.names.len() > most {
		delete(s.forgotten, s.names.pop())
	}
}

func (s *settled[B]) hasForgotten(id ID) bool {
	_, ok := s.forgotten[id]
	return ok
}

// expirations is how many jobs are forgotten in one critical section at most, for their
// age. It is more than one, so that they don't become more.
const expirations = 4

// expire forgets jobs that need not be kept any more.
func (s *settled[B]) expire(q *Queue[B], now int64) {
	for range expirations {
		if s.expiring.len() == 0 || s.expiring.first().At > now {
			return
		}
		s.forget(q, s.expiring.first())
	}
}

// forever is when a settled job may be forgotten that has no such time.
const forever = math.MaxInt64
