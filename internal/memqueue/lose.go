package memqueue

import "time"

// LoseLeases ends all leases as if their holders had died, and returns the number of leases.
func (q *Queue[B]) LoseLeases() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	var lost []*node[B]
	for acc := range q.after(0) {
		if n, _ := q.nodes.get(&acc.id); n != nil && n.lease != 0 {
			lost = append(lost, n)
		}
	}
	now := time.Now().UnixNano()
	for _, n := range lost {
		it := n.Item
		it.Crashes++
		q.write(n, it, now)
	}
	return len(lost)
}

// LoseJobs drops all jobs that are not settled, as if the process had died, and returns their
// number. It frees their IDs and unique keys, and ends their leases.
func (q *Queue[B]) LoseJobs() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	var lost []*node[B]
	for acc := range q.after(0) {
		if n, _ := q.nodes.get(&acc.id); n != nil && !n.State.settled() {
			lost = append(lost, n)
		}
	}
	for _, n := range lost {
		q.lose(n)
	}
	q.unique.free(func(id ID) bool { _, kept := q.nodes.get(&id); return !kept })
	return len(lost)
}

// lose drops a job that is not settled.
func (q *Queue[B]) lose(n *node[B]) {
	q.takeOut(n)
	q.discharge(n)
	l := n.lane
	q.leave(n)
	n.place = gone
	f := l.function
	if f.accepted.lose(n.seq); f.counts == [states]int{} {
		q.dropFunction(f)
	}
	q.nodes.remove(&n.ID)
	n.lost()
}
