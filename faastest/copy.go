package faastest

import "reflect"

// deepCopy is a value that shares no memory with its original, except for what
// can't be copied: channels, functions and what unexported fields refer to. A
// pointer to a struct with unexported fields is copied as a pointer, because a
// copy of the struct may not work in its place: for example, a copy of a lock
// does not lock the original.
type deepCopy[T any] struct {
	value T

	// owned is the memory that was allocated for the copy: pointers, slices,
	// maps. It is listed when it is made. A search of the copy at a later time
	// would also find memory that the handler has linked into it.
	owned []reflect.Value

	shared map[reflect.Type]bool // structs that were not copied
}

func copyOf[T any](v T) deepCopy[T] {
	c := copier{seen: map[place]reflect.Value{}, shared: map[reflect.Type]bool{}}
	var d deepCopy[T]
	to := reflect.ValueOf(&d.value).Elem()
	to.Set(c.copy(reflect.ValueOf(&v).Elem())) // through pointers: reflect.ValueOf(v) would unwrap an interface
	d.owned, d.shared = c.owned, c.shared
	return d
}

// wipe zeroes the memory of the copy, like a caller that reuses its buffers.
func (d deepCopy[T]) wipe() {
	for _, v := range d.owned {
		if v.Kind() == reflect.Pointer {
			v.Elem().SetZero()
		} else {
			v.Clear()
		}
	}
}

type copier struct {
	seen   map[place]reflect.Value // copies by their original, finished or not; it ends cycles
	owned  []reflect.Value
	shared map[reflect.Type]bool
}

// place identifies a value. The address alone is not enough: a struct and its first field
// differ only in type, a slice and a shorter one of the same array only in length.
type place struct {
	typ reflect.Type
	ptr uintptr
	n   int
}

func (c *copier) copy(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return c.reference(v)
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		to := reflect.New(v.Type()).Elem()
		to.Set(c.copy(v.Elem()))
		return to
	case reflect.Struct:
		to := reflect.New(v.Type()).Elem()
		to.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				to.Field(i).Set(c.copy(v.Field(i)))
			}
		}
		return to
	case reflect.Array:
		to := reflect.New(v.Type()).Elem()
		c.fill(to, v)
		return to
	default:
		return v
	}
}

// reference copies what v refers to. It enters the copy into seen before it fills it: in a
// cycle, for example a node that points to itself, the inner reference then finds it.
func (c *copier) reference(v reflect.Value) reflect.Value {
	if v.IsNil() {
		return v
	}
	if v.Kind() == reflect.Pointer && opaque(v.Type().Elem()) {
		c.shared[v.Type().Elem()] = true
		return v
	}
	at := place{typ: v.Type(), ptr: v.Pointer()}
	if v.Kind() == reflect.Slice {
		at.n = v.Len()
	}
	if to, ok := c.seen[at]; ok {
		return to
	}
	var to reflect.Value
	switch v.Kind() {
	case reflect.Pointer:
		to = reflect.New(v.Type().Elem()).Convert(v.Type())
		c.own(at, to)
		to.Elem().Set(c.copy(v.Elem()))
	case reflect.Slice:
		to = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		c.own(at, to)
		c.fill(to, v)
	default:
		to = reflect.MakeMapWithSize(v.Type(), v.Len())
		c.own(at, to)
		for it := v.MapRange(); it.Next(); {
			to.SetMapIndex(it.Key(), c.copy(it.Value())) // not a copy of the key: a copied pointer would be another key
		}
	}
	return to
}

// own notes that the memory of `to` was allocated for the copy of the value at `at`.
func (c *copier) own(at place, to reflect.Value) {
	c.seen[at] = to
	c.owned = append(c.owned, to)
}

func (c *copier) fill(to, from reflect.Value) {
	if k := from.Type().Elem().Kind(); k <= reflect.Complex128 || k == reflect.String {
		reflect.Copy(to, from) // at once, since a []byte may be large
		return
	}
	for i := range from.Len() {
		to.Index(i).Set(c.copy(from.Index(i)))
	}
}

// opaque reports whether t is a struct with unexported fields, which reflection
// can't set.
func opaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for f := range t.Fields() {
		if !f.IsExported() {
			return true
		}
	}
	return false
}
