package admission

import "iter"

// list is a doubly linked list from which an element can be removed at any place. The nodes
// are fields of the elements, so that adding one allocates nothing.
type list[T any] struct {
	head, tail *node[T]
	len        int
}

// node is an element's link in a list.
type node[T any] struct {
	value      T
	in         *list[T] // nil while the value is in no list
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

// remove removes n from the list that it is in. It does nothing if n is in none.
func (n *node[T]) remove() {
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

// all yields the values in order. The loop body may remove the value that it was given, but
// no value after it.
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
