package memqueue

import "math"

// settled has the jobs that are settled, and the IDs of those that were forgotten last. The
// settled jobs together must stay within the queue's bounds (maxCount and maxBytes), and so must
// the jobs that are not settled.
type settled[B any] struct {
	done  journal[B] // the jobs that succeeded or were canceled, in the order in which they settled
	dead  journal[B] // the jobs that are Dead, apart because they are kept for much longer
	count usage
	names fifo[ID] // the IDs of forgotten jobs, in the order in which they were forgotten
}

func (s *settled[B]) journal(n *node[B]) *journal[B] {
	if n.State == Dead {
		return &s.dead
	}
	return &s.done
}

// add adds the node n, whose item is settled. While there are more settled jobs than the bounds
// allow, it forgets the oldest, but never n: a goroutine that waits for n must see its end.
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

// oldest returns the first job of s.done or of s.dead, whichever was written first. At least one
// of the two must have a job.
func (s *settled[B]) oldest() *node[B] {
	a, b := s.done.first(), s.dead.first()
	if b == nil || a != nil && a.Revision < b.Revision {
		return a
	}
	return b
}

// rewrite replaces the item of a settled node, but not its state, which is final.
func (s *settled[B]) rewrite(n *node[B], it Item[B]) {
	it.State = n.State
	s.count.sub(n.Size)
	n.Item = it
	s.charge(n)
}

// forget removes a job, and keeps its ID as that of a forgotten one.
func (s *settled[B]) forget(q *Queue[B], n *node[B]) {
	n.place = gone
	s.count.sub(n.Size)
	s.journal(n).lost()
	f := q.functions[n.Function]
	f.accepted.lost()
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
	if s.journal(n).hasNone() && f.accepted.hasNone() {
		q.spare(n)
	}
}

// expirations is the largest number of jobs that one critical section forgets because of their
// age, in each of the journals settled.done and settled.dead. It is more than one, so that jobs
// are forgotten faster than others settle.
const expirations = 4

// expire forgets the oldest jobs of s.done and of s.dead whose At has passed. A job that may be
// forgotten before an older one is forgotten after the older one, or when it is read.
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

// forever is the At of a settled job that is kept without a limit of time.
const forever = math.MaxInt64
