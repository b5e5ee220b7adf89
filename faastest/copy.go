package faastest

import "reflect"

// deepCopy is a value that shares no memory with the one it was copied from,
// but what can't be copied: what is behind unexported fields (a pointer to a
// struct that has some stays as it is, for a copy of a lock or of a
// time.Location is another one), channels and functions.
type deepCopy[T any] struct {
	value T

	// owned is the memory that was allocated for the copy: pointers, slices,
	// maps. It is listed when it is made, not looked for later, because whoever
	// had the copy may have hung memory of his own into it.
	owned []reflect.Value

	shared map[reflect.Type]bool // structs that stay as they are
}

func copyOf[T any](v T) deepCopy[T] {
	c := copier{seen: map[place]reflect.Value{}, shared: map[reflect.Type]bool{}}
	var d deepCopy[T]
	to := reflect.ValueOf(&d.value).Elem()
	to.Set(c.copy(reflect.ValueOf(&v).Elem())) // through pointers, so that an interface stays one
	d.owned, d.shared = c.owned, c.shared
	return d
}

// wipe zeroes what the copy points to, as a caller does who uses his buffers
// again.
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
	seen   map[place]reflect.Value // what is copied or being copied, against cycles
	owned  []reflect.Value
	shared map[reflect.Type]bool
}

// place is where a value lies; a struct and its first field differ in type, a
// slice and a longer one in length.
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
			to.SetMapIndex(it.Key(), c.copy(it.Value())) // keys are compared, and copies would not be equal
		}
	}
	return to
}

func (c *copier) own(at place, to reflect.Value) {
	c.seen[at] = to
	c.owned = append(c.owned, to)
}

func (c *copier) fill(to, from reflect.Value) {
	if k := from.Type().Elem().Kind(); k <= reflect.Complex128 || k == reflect.String {
		reflect.Copy(to, from) // bytes, above all
		return
	}
	for i := range from.Len() {
		to.Index(i).Set(c.copy(from.Index(i)))
	}
}

// opaque tells whether t is a struct that can't be copied from outside.
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
