package faas

import "errors"

// This file holds how a name becomes the version that a call runs.

// target is what a name stands for at one moment: the version that a call runs. A call
// goes to one, and to another only if that is removed before the call has its slot.
type target struct {
	fn     *function
	who    *identity // what the call's context knows of fn
	byName bool      // the name can be looked up again; false: a handle, which is bound to fn
}

// itself is the target of a call by fn's own handle.
func (fn *function) itself() target { return target{fn: fn, who: fn.who} }

// route looks up what a call by a name runs. op names the operation in the error.
func (r *Router) route(op, name string) (target, *Error) {
	fn, err := r.find(op, name)
	if err != nil {
		return target{}, err
	}
	return target{fn: fn, who: fn.who, byName: true}, nil
}

// errGone says that the target of a call by name was removed before the call had its slot.
// It stays inside the package: the name is looked up again. That comes to an end, since
// a name never stands for a function that is removed: each errGone takes a removal that
// came after the look-up.
var errGone = errors.New("removed before the call had its slot")

// isGone tells whether refused has the removal of the target for its cause, and the name can be
// looked up again. If it is true no trace of the call is left here: it goes to another
// target, or is refused as one of an unknown name.
func (to target) isGone(refused *Error) bool {
	if !to.byName || refused.Reason != ReasonNotFound || !to.fn.gone.Load() {
		return false
	}
	to.fn.part.Entered.Add(^uint64(0)) // minus one
	to.fn.tellIfEnding()
	return true
}
