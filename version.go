package faas

// functionOption is an option of functions alone: a router can't have it as a default.
type functionOption func(*settings)

func (o functionOption) applyFunction(s *settings) { o(s) }

// WithVersion registers a version of a function, n ≥ 1, beside the other versions of the
// name and the one without a number, which is called $LATEST. For example, two versions
// of "resize" are called as "resize:1" and "resize:2"; "resize" and "resize:$LATEST"
// call the one without a number. A version is another handler, or the same handler with
// other options. Such a name with a version is accepted wherever a name is, except where
// it says otherwise.
//
// All versions of a name have the types of the first: others are an error that Is
// [ErrType]. They share its calls' limit and queue, that is, [WithConcurrency],
// [WithReserved], [WithWeight], [WithTenantConcurrency], [WithQueue] and [WithRunaways].
// The version that is registered first sets them. Another version takes them over; if it
// is given one of these options with another value, that is an error that Is [ErrInput].
// All other options are a version's own, instances and [WithTimeout] among them. A number
// that is taken is an error that Is [ErrDuplicate].
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

// Versions describes each version of a function, $LATEST first and then by number, each as
// it is when its turn comes. It returns an error that Is [ErrNotFound] or [ErrName], or
// [ErrInput] if the name has a qualifier.
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
