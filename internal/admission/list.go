package admission

import "iter"

// list is a queue that anybody may leave from the middle. The places are part
// of the values that stand in it, so that standing in line allocates nothing.
type list[T any] struct {
	head, tail *node[T]
	len        int
}

// node is a place in a list.
type node[T any] struct {
	value      T
	in         *list[T] // nil while value does not stand in line
	next, prev *node[T]
}

func (l *list[T]) push(n *node[T]) {
	n.in, n.prev = l, l.tail
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}
	l.tail = n
	l.len++
}

// leave takes n out of the list that it is in, if any.
func (n *node[T]) leave() {
	l := n.in
	if l == nil {
		return
	}
	if n.prev == nil {
		l.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.in, n.next, n.prev = nil, nil, nil
	l.len--
}

// all yields the values in order; the one that is yielded may leave, the ones
// after it must stay.
func (l *list[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for n := l.head; n != nil; {
			next := n.next
			if !yield(n.value) {
				return
			}
			n = next
		}
	}
}
