package access

import (
	"context"
	"errors"
	"iter"

	"github.com/inproc/faas"
)

// Ask asks a gate whether the caller of ctx may call a function for a tenant,
// before anything else about the call is looked at: nil, or an error that Is
// [faas.ErrDenied] and nothing else, a panic of the gate included. There need
// be no such function, and its answer does not tell.
//
// It is for fronts. Router.Invoke finds the function and decodes the payload
// before it asks the gates, so that a wrong or too large payload would tell
// somebody without rights that a function exists. A front that asks first, with
// the gate it has given to the router, and answers a denied call as one to
// an unknown function, gives the same answer to both:
//
//	if err := access.Ask(ctx, r, gate, name, tenant); err != nil {
//		notFound(w)
//		return
//	}
//	out, err := r.Invoke(faas.WithTenant(ctx, tenant), name, payload)
//
// The tenant is the one that the call will be made for: what the front gives to
// faas.WithTenant or, if it leaves that to [Authenticate], the principal's.
//
// The call is judged again when it is made. The gate is told at once that the
// call it was asked about is over, so nothing stays reserved; a gate that
// counts its questions counts this one.
func Ask(ctx context.Context, r *faas.Router, g faas.Gate, name, tenant string) error {
	inv := faas.Invocation{Function: name, Tenant: tenant, Attempt: 1}
	info, err := r.Info(name)
	switch {
	case err == nil:
		inv.Version, inv.Labels, inv.Timeout, inv.Memory = info.Version, info.Labels, info.Timeout, info.Memory
	case !errors.Is(err, faas.ErrNotFound): // not a name at all: nobody has rights to it
		return &faas.Error{Op: "authorize", Reason: faas.ReasonDenied, Err: faas.ErrDenied}
	}
	return askGate(ctx, g, inv)
}

// Functions describes, in the order of their names, the functions that the
// caller of ctx may call for a tenant, by the gate's word. It asks as [Ask]
// does, once for each function.
func Functions(ctx context.Context, r *faas.Router, g faas.Gate, tenant string) iter.Seq[faas.Info] {
	return func(yield func(faas.Info) bool) {
		for info := range r.Functions() {
			inv := faas.Invocation{
				Function: info.Name, Version: info.Version, Tenant: tenant, Labels: info.Labels,
				Attempt: 1, Timeout: info.Timeout, Memory: info.Memory,
			}
			if askGate(ctx, g, inv) == nil && !yield(info) {
				return
			}
		}
	}
}

func askGate(ctx context.Context, g faas.Gate, inv faas.Invocation) (err error) {
	denied := &faas.Error{Op: "authorize", Function: inv.Function, Reason: faas.ReasonDenied, Err: faas.ErrDenied}
	defer func() {
		if recover() != nil {
			err = denied
		}
	}()
	if g.Admit(ctx, inv) != nil {
		return denied
	}
	g.Done(inv, nil)
	return nil
}
