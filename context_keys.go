package faas

import (
	"context"
	"reflect"
	"slices"
)

// CarryKeys returns a func for [WithContext] that copies the values of these keys from the
// caller's context to the handler's, and no other values:
//
//	faas.New(faas.WithContext(faas.CarryKeys(userKey{}, localeKey{})))
//
// Given to [New], it applies to all functions. The handler's context is the caller's context
// of the handler's nested calls, so a value is passed on through each function that carries
// its key. If the caller's context has no value for a key, the handler's context has none
// either. The value itself is not copied: the caller shares it with the handler, which may
// outlive the call.
//
// CarryKeys panics with an [*Error] if a key is nil or of a type that can't be compared,
// because no context accepts such a key.
func CarryKeys(keys ...any) func(caller, fresh context.Context) context.Context {
	for _, key := range keys {
		if key == nil || !reflect.TypeOf(key).Comparable() {
			panic(usageError("carry keys", "", ErrInput, "%T can't be the key of a context; use a value of a type that can be compared", key))
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
