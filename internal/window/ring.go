package window

import "time"

// ring holds the latest cells of an endless sequence: cell i is stored at i modulo
// the number of cells.
type ring[T int64 | float64] struct {
	cells []T
	head  int64 // the index of the latest cell
}

func (r *ring[T]) size() int64 { return int64(len(r.cells)) }

// index returns where cell i is stored; i may be negative.
func (r *ring[T]) index(i int64) int64 {
	n := r.size()
	return ((i % n) + n) % n
}

func (r *ring[T]) at(i int64) *T { return &r.cells[r.index(i)] }

// advance moves the head to a later cell. It sets the cells after the old head, up
// to the new head, to v. It sets each cell at most once, however far the head moves.
func (r *ring[T]) advance(to int64, v T) {
	for i := max(r.head, to-r.size()) + 1; i <= to; i++ {
		*r.at(i) = v
	}
	r.head = to
}

// sum adds up the cells from..to, both included, as far as they are still held.
func (r *ring[T]) sum(from, to int64) (total T) {
	from, to = max(from, r.head-r.size()+1), min(to, r.head)
	if from > to {
		return 0
	}
	start := r.index(from)
	run := min(to-from+1, r.size()-start) // the cells before the end of the slice
	for _, v := range r.cells[start : start+run] {
		total += v
	}
	for _, v := range r.cells[:to-from+1-run] {
		total += v
	}
	return total
}

// floorDiv returns a/b rounded down (Go rounds to zero, which is wrong for times
// before the epoch). b must be positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// cellsFor returns the number of cells that cover span: rounded up, and at least 1.
func cellsFor(span, granularity time.Duration) int {
	return int(max(1, -floorDiv(-int64(span), int64(granularity))))
}
