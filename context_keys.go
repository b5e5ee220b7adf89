package faas

import (
	"context"
	"reflect"
	"slices"
)

// CarryKeys is what most have [WithContext] do: it lets the values of these keys
// through to the handler, and no other:
//
//	faas.New(faas.WithContext(faas.CarryKeys(userKey{}, localeKey{})))
//
// Given to [New] it holds for all functions, and so for the nested calls of their
// handlers: a value goes down with them as far as functions let it through. A key
// without a value in the caller's context has none in the handler's. The values
// are shared with the caller, and with handlers that outlive their calls.
//
// It panics with an [*Error] if a key is nil or can't be compared, which no context
// takes as a key.
func CarryKeys(keys ...any) func(caller, fresh context.Context) context.Context {
	for _, key := range keys {
		if key == nil || !reflect.TypeOf(key).Comparable() {
			panic(usageError("carry keys", "", ErrInput, "%T is no key of a context; give a value of a type that can be compared", key))
		}
	}
	keys = slices.Clone(keys)
	return func(caller, fresh context.Context) context.Context {
		for _, key := range keys {
			if v := caller.Value(key); v != nil {
				fresh = context.WithValue(fresh, key, v) //nolint:fatcontext // one for each key
			}
		}
		return fresh
	}
}
