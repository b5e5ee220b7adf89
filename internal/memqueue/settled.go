package memqueue

import "math"

// settled has the jobs that are settled and not on Queue.shelf, and the IDs of those that were
// forgotten last. It counts the shelved jobs too. The
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

// add adds the node n, whose item is settled.
func (s *settled[B]) add(n *node[B]) {
	s.charge(n)
	s.journal(n).add(n)
}

// trim forgets the oldest jobs while there are more settled jobs than the bounds allow, but never
// the last one: a goroutine that waits for a job that has just settled must see its end.
func (s *settled[B]) trim(q *Queue[B]) {
	for s.count.count > 1 && (s.count.count > q.maxCount || s.count.bytes > q.maxBytes) {
		s.forgetOldest(q)
	}
}

func (s *settled[B]) charge(n *node[B]) {
	if n.At == 0 {
		n.At = forever
	}
	s.count.add(n.Size)
}

// forgetOldest forgets the job of s.done, s.dead and q.shelf that was written first. At least one
// of the three must have a job.
func (s *settled[B]) forgetOldest(q *Queue[B]) {
	oldest := s.done.first()
	if n := s.dead.first(); oldest == nil || n != nil && n.Revision < oldest.Revision {
		oldest = n
	}
	if first := q.shelf.oldest(); oldest == nil || first != nil && first.revision < oldest.Revision {
		s.forgetShelved(q, q.shelf.head)
		return
	}
	s.forget(q, oldest)
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
	if n.place == shelved {
		s.forgetShelved(q, q.nodes.number(&n.ID))
		return
	}
	n.place = gone
	s.journal(n).lost()
	s.noteForgotten(q, q.functions[n.Function], &slot{id: n.ID, seq: n.seq, size: n.Size, state: n.State})
	n.tell()
	if s.journal(n).hasNone() {
		q.spare(n)
	}
}

// forgetShelved is forget for the shelved job with that number.
func (s *settled[B]) forgetShelved(q *Queue[B], number uint64) {
	lost, _ := q.shelf.get(number)
	forgotten := *lost
	q.shelf.lose(number)
	s.noteForgotten(q, q.numbered[forgotten.function], &forgotten)
	q.compact()
}

// noteForgotten counts a job of f as forgotten, and keeps its ID. It reads id, seq, size and state.
func (s *settled[B]) noteForgotten(q *Queue[B], f *function[B], lost *slot) {
	s.count.sub(lost.size)
	f.accepted.lose(lost.seq)
	if f.counts[lost.state]--; f.counts == [states]int{} {
		q.dropFunction(f)
	}
	q.nodes.set(&lost.id, nil)
	s.names.push(lost.id)
	for s.names.len() > q.maxCount {
		name := s.names.pop()
		q.nodes.remove(&name)
	}
}

// expirations is the largest number of jobs that one critical section forgets because of their
// age, in each of settled.done, settled.dead and Queue.shelf. It is more than one, so that jobs
// are forgotten faster than others settle.
const expirations = 4

// expire forgets the oldest jobs of s.done, of s.dead and of q.shelf whose At has passed. A job
// that may be forgotten before an older one is forgotten after the older one, or when it is read.
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
	for range expirations {
		first := q.shelf.oldest()
		if first == nil || first.at > now {
			return
		}
		s.forgetShelved(q, q.shelf.head)
	}
}

// forever is the At of a settled job that is kept without a limit of time.
const forever = math.MaxInt64
