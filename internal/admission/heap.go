package admission

import "container/heap"

// ranked is what stands in an [order]: it knows whom it goes before, and keeps
// its place, counted from 1; 0 is none.
type ranked[T any] interface {
	before(other T) bool
	place() *int
}

// order is a line whose members may change their rank: a heap, with the places
// in the values as those of a [list] are.
type order[T ranked[T]] struct{ members members[T] }

func (o *order[T]) len() int { return len(o.members) }

// first is who goes before all others; len is not 0.
func (o *order[T]) first() T { return o.members[0] }

// put lines x up, or again, if its rank has changed.
func (o *order[T]) put(x T) {
	if at := *x.place(); at > 0 {
		heap.Fix(&o.members, at-1)
		return
	}
	heap.Push(&o.members, x)
}

// remove takes x out, if it stands there.
func (o *order[T]) remove(x T) {
	if at := *x.place(); at > 0 {
		heap.Remove(&o.members, at-1)
	}
}

// members is what container/heap works on.
type members[T ranked[T]] []T

func (m members[T]) Len() int           { return len(m) }
func (m members[T]) Less(i, j int) bool { return m[i].before(m[j]) }

func (m members[T]) Swap(i, j int) {
	m[i], m[j] = m[j], m[i]
	*m[i].place(), *m[j].place() = i+1, j+1
}

func (m *members[T]) Push(x any) {
	v, _ := x.(T)
	*m = append(*m, v)
	*v.place() = len(*m)
}

func (m *members[T]) Pop() any {
	last := len(*m) - 1
	v := (*m)[last]
	clear((*m)[last:])
	*m = (*m)[:last]
	*v.place() = 0
	return v
}
