package window

import "time"

// ring holds the latest cells of an endless row: cell i lies at i modulo their
// number. head is the last one that has been reached.
type ring[T int64 | float64] struct {
	cells []T
	head  int64
}

func (r *ring[T]) size() int64 { return int64(len(r.cells)) }

// index is where cell i lies; the row goes on below zero.
func (r *ring[T]) index(i int64) int64 {
	n := r.size()
	return ((i % n) + n) % n
}

func (r *ring[T]) at(i int64) *T { return &r.cells[r.index(i)] }

// advance moves the head on to a later cell. All that it passes, the new head
// included, are set to v; after a long silence that is every cell, once.
func (r *ring[T]) advance(to int64, v T) {
	for i := max(r.head, to-r.size()) + 1; i <= to; i++ {
		*r.at(i) = v
	}
	r.head = to
}

// sum adds up the cells from the first to the last, both included, that are
// still held.
func (r *ring[T]) sum(from, to int64) (total T) {
	from, to = max(from, r.head-r.size()+1), min(to, r.head)
	if from > to {
		return 0
	}
	start := r.index(from)
	run := min(to-from+1, r.size()-start) // up to where the row begins anew
	for _, v := range r.cells[start : start+run] {
		total += v
	}
	for _, v := range r.cells[:to-from+1-run] {
		total += v
	}
	return total
}

// floorDiv is a/b rounded down, as times before the epoch need it; b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// cellsFor is how many cells of that size make up span: rounded up, and one at
// the least.
func cellsFor(span, granularity time.Duration) int {
	return int(max(1, -floorDiv(-int64(span), int64(granularity))))
}
