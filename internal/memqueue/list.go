package memqueue

import (
	"container/heap"
	"iter"
	"slices"
	"time"
)

// looks is the largest number of jobs that one call of List examines, and that Overdue returns.
const looks = 1000

// List returns the jobs that were accepted after the job with number seq and for which match
// returns true, in that order. It also returns the seq for the next call; 0: there are no more
// jobs. If function is not empty, List examines only jobs of that function. It examines a bounded
// number of jobs, so it may return none although there are more. match is called with the lock held.
func (q *Queue[B]) List(seq uint64, function string, match func(*Item[B]) bool) ([]View[B], uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, 0, ErrClosed
	}
	jobs := q.after(seq)
	if function != "" {
		jobs = q.afterOf(function, seq)
	}
	now, looked := time.Now().UnixNano(), 0
	var found []View[B]
	for acc := range jobs {
		if looked == looks {
			return found, seq, nil
		}
		seq = acc.seq
		if looked++; acc.gone {
			continue
		}
		if n, _ := q.lookup(&acc.id); (!n.State.settled() || n.At > now) && match(&n.Item) {
			found = append(found, q.view(n, now))
		}
	}
	return found, 0, nil
}

// afterOf yields the jobs of a function whose numbers are above seq, in their order.
func (q *Queue[B]) afterOf(function string, seq uint64) iter.Seq[acceptance] {
	f := q.functions[function]
	if f == nil {
		return slices.Values[[]acceptance](nil)
	}
	return slices.Values(f.accepted.after(seq))
}

// after yields the jobs of all functions whose numbers are above seq, in their order. Before the
// first job there is a binary search for each function.
func (q *Queue[B]) after(seq uint64) iter.Seq[acceptance] {
	return func(yield func(acceptance) bool) {
		var m merge
		for _, f := range q.functions {
			if jobs := f.accepted.after(seq); len(jobs) > 0 {
				m = append(m, jobs)
			}
		}
		heap.Init(&m)
		for len(m) > 0 && yield(m[0][0]) {
			if m[0] = m[0][1:]; len(m[0]) > 0 {
				heap.Fix(&m, 0)
			} else {
				heap.Pop(&m)
			}
		}
	}
}

// merge is a heap of lists of jobs, one for each of several functions. No list is empty. The first
// list is the one whose first job was accepted first. It implements [heap.Interface].
type merge [][]acceptance //nolint:recvcheck // as container/heap asks

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i][0].seq < m[j][0].seq }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

func (m *merge) Push(x any) {
	jobs, _ := x.([]acceptance)
	*m = append(*m, jobs)
}

func (m *merge) Pop() any {
	last := len(*m) - 1
	jobs := (*m)[last]
	*m = (*m)[:last]
	return jobs
}

// Overdue returns jobs that wait for their order keys although their Expires has passed, at most
// 1,000. again is the first Expires of the other jobs that wait for their keys; 0: there are
// none.
func (q *Queue[B]) Overdue() (all []View[B], again int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overdue(0, time.Now().UnixNano(), &all, &again)
	return all, again
}

// overdue does the work of Overdue for the node with the index at in the heap q.aging, and for the
// nodes below it. Below a node that has not expired, none has.
func (q *Queue[B]) overdue(at int, now int64, all *[]View[B], again *int64) {
	if at >= q.aging.len() {
		return
	}
	n := q.aging.nodes[at]
	if n.Expires > now || len(*all) == looks {
		if *again == 0 || n.Expires < *again {
			*again = n.Expires
		}
		return
	}
	*all = append(*all, q.view(n, now))
	q.overdue(2*at+1, now, all, again)
	q.overdue(2*at+2, now, all, again)
}

// Count counts the jobs of one function.
type Count struct {
	States [7]int // by State
	Bytes  int64  // of the jobs that are not settled
	Oldest int64  // when the first of the jobs that could be leased was due, in Unix nanoseconds; 0: there is none
}

// Count counts the jobs by function. Its cost grows with the number of lanes, and with the number
// of jobs that have become due since the last Lease.
func (q *Queue[B]) Count() (map[string]Count, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	all := make(map[string]Count, len(q.functions))
	for name, f := range q.functions {
		c := Count{States: f.counts, Bytes: f.bytes}
		for _, l := range f.lanes {
			if n := l.oldest(); n != nil && (c.Oldest == 0 || n.At < c.Oldest) {
				c.Oldest = n.At
			}
		}
		all[name] = c
	}
	q.countDue(0, time.Now().UnixNano(), all)
	return all, nil
}

// countDue counts as ready the jobs in the heap q.later that are due but not promoted yet: the job
// with the index at, and those below it.
func (q *Queue[B]) countDue(at int, now int64, all map[string]Count) {
	if at >= q.later.len() || q.later.nodes[at].At > now {
		return
	}
	n := q.later.nodes[at]
	c := all[n.Function]
	c.States[n.waits()]--
	c.States[Ready]++
	if c.Oldest == 0 || n.At < c.Oldest {
		c.Oldest = n.At
	}
	all[n.Function] = c
	q.countDue(2*at+1, now, all)
	q.countDue(2*at+2, now, all)
}
