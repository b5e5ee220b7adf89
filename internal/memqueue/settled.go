package memqueue

import "math"

// settled are the jobs that are over, and the IDs of those that were forgotten last. It
// has the same bounds as the rest of the queue.
type settled[B any] struct {
	done  journal[B] // that succeeded or were canceled, in the order in which they settled
	dead  journal[B] // the others: apart, because they are kept for much longer
	count usage
	names fifo[ID] // the forgotten, in their order
}

func (s *settled[B]) journal(n *node[B]) *journal[B] {
	if n.State == Dead {
		return &s.dead
	}
	return &s.done
}

// add takes a node whose item is a settled one, and forgets the oldest beyond the bounds,
// but never n itself: a goroutine that waits for n must see its end.
func (s *settled[B]) add(q *Queue[B], n *node[B]) {
	s.journal(n).add(n)
	s.charge(n)
	for s.count.count > 1 && (s.count.count > q.maxCount || s.count.bytes > q.maxBytes) {
		s.forget(q, s.oldest())
	}
}

func (s *settled[B]) charge(n *node[B]) {
	if n.At == 0 {
		n.At = forever
	}
	s.count.add(n.Size)
}

// oldest returns the job that was changed first, which is when it settled. There must be
// one.
func (s *settled[B]) oldest() *node[B] {
	a, b := s.done.first(), s.dead.first()
	if b == nil || a != nil && a.Revision < b.Revision {
		return a
	}
	return b
}

// rewrite replaces the item of a settled node. It keeps its state: that was for good.
func (s *settled[B]) rewrite(n *node[B], it Item[B]) {
	it.State = n.State
	s.count.sub(n.Size)
	n.Item = it
	s.charge(n)
}

// forget removes a job, and remembers that it was there.
func (s *settled[B]) forget(q *Queue[B], n *node[B]) {
	n.place = gone
	s.count.sub(n.Size)
	s.journal(n).lost()
	q.accepted.lost()
	f := q.functions[n.Function]
	if f.counts[n.State]--; f.counts == [states]int{} {
		q.dropFunction(f)
	}
	q.nodes.set(&n.ID, nil)
	s.names.push(n.ID)
	for s.names.len() > q.maxCount {
		name := s.names.pop()
		q.nodes.remove(&name)
	}
	n.tell()
}

// expirations is the largest number of jobs of each kind, done and dead, that one critical
// section forgets for their age. It is more than one, so that jobs are forgotten faster than others settle.
const expirations = 4

// expire forgets jobs that need not be kept any more, as far as they are the oldest. One
// that is kept for less than those before it is forgotten after them, or when it is read.
func (s *settled[B]) expire(q *Queue[B], now int64) {
	for _, j := range [...]*journal[B]{&s.done, &s.dead} {
		for range expirations {
			n := j.first()
			if n == nil || n.At > now {
				break
			}
			s.forget(q, n)
		}
	}
}

// forever is when a settled job may be forgotten that has no such time.
const forever = math.MaxInt64
