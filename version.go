package faas

// functionOption is an option only for functions: a router can't have it as a default.
type functionOption func(*settings)

func (o functionOption) applyFunction(s *settings) { o(s) }

// WithVersion registers version n ≥ 1 of a function, beside the other versions of the name
// and the version without a number, which is called $LATEST. For example, two versions
// of "resize" are called as "resize:1" and "resize:2"; "resize" and "resize:$LATEST"
// call the version without a number. A version is another handler, or the same handler with
// other options. Methods that take a name also take such a name with a version, unless their
// documentation says otherwise.
//
// All versions of a name have the same types as its first version. For other types, Register
// returns an error that Is [ErrType]. The versions share the limit and the queue of the name,
// that is, [WithConcurrency], [WithReserved], [WithWeight], [WithTenantConcurrency],
// [WithQueue] and [WithRunaways]. The version that is registered first sets these options. If
// a later version has one of them with another value, that is an error that Is [ErrInput].
// All other options belong to the version, for example [WithTimeout] and the
// options of instances. A number that is taken is an error that Is [ErrDuplicate].
//
// Calls of a version that is removed continue to their end. A handle that Register
// returned is bound to its version. Invocation, Execution and Info have the number as
// their Version.
func WithVersion(n int) FunctionOption {
	if n == 0 {
		n = -1 // newFunction refuses -1; 0 stands for $LATEST
	}
	return functionOption(func(s *settings) { s.number = n })
}

// Versions describes each version of a function, $LATEST first and then the others by number.
// The versions are read one after the other, so calls may begin and end in between. It
// returns an error that Is [ErrNotFound] or [ErrName], or [ErrInput] if the name has a qualifier.
func (r *Router) Versions(name string) ([]Info, error) {
	f, err := r.findName("versions", name)
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, fn := range f.table.Load().all() {
		all = append(all, fn.info())
	}
	return all, nil
}
