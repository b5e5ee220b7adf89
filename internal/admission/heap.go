package admission

import "container/heap"

// indexed is an element of an [indexedHeap]. It can be compared with other elements, and
// stores its index in the heap, counted from 1; an index of 0 means that it is in no heap.
type indexed[T any] interface {
	before(other T) bool
	index() *int
}

// indexedHeap is a priority queue whose elements may change their rank. Each element stores
// its index, so it can be moved or removed in O(log n).
type indexedHeap[T indexed[T]] struct{ members heapSlice[T] }

func (o *indexedHeap[T]) len() int { return len(o.members) }

// first returns the element that goes before all others. The heap must not be empty.
func (o *indexedHeap[T]) first() T { return o.members[0] }

// put adds x, or moves it to its place if it is in the heap already and its rank has
// changed.
func (o *indexedHeap[T]) put(x T) {
	if at := *x.index(); at > 0 {
		heap.Fix(&o.members, at-1)
		return
	}
	heap.Push(&o.members, x)
}

// remove removes x if it is in the heap.
func (o *indexedHeap[T]) remove(x T) {
	if at := *x.index(); at > 0 {
		heap.Remove(&o.members, at-1)
	}
}

// heapSlice implements [heap.Interface].
type heapSlice[T indexed[T]] []T

func (m heapSlice[T]) Len() int           { return len(m) }
func (m heapSlice[T]) Less(i, j int) bool { return m[i].before(m[j]) }

func (m heapSlice[T]) Swap(i, j int) {
	m[i], m[j] = m[j], m[i]
	*m[i].index(), *m[j].index() = i+1, j+1
}

func (m *heapSlice[T]) Push(x any) {
	v, _ := x.(T)
	*m = append(*m, v)
	*v.index() = len(*m)
}

func (m *heapSlice[T]) Pop() any {
	last := len(*m) - 1
	v := (*m)[last]
	clear((*m)[last:])
	*m = (*m)[:last]
	*v.index() = 0
	return v
}
