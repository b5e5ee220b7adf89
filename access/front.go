package access

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/inproc/faas"
)

// Ask asks a gate whether the caller of ctx may call a function for a tenant. It
// returns nil, or an error that Is [faas.ErrDenied] and nothing else, also if the gate
// panics. There need be no such function, and the answer does not tell whether there
// is.
//
// It is for fronts. Router.Invoke finds the function and decodes the payload before it
// asks the gates: by its error for a wrong or too large payload, a caller without
// rights would learn that the function exists. So a front asks first, with the gate
// that it has given to the router, and answers a denied call like a call to an unknown
// function:
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
// The call is judged again when it is made. Ask calls the gate's Done at once, so that
// nothing stays reserved. A gate that counts its questions counts this one too.
func Ask(ctx context.Context, r *faas.Router, g faas.Gate, name, tenant string) error {
	// A name with a qualifier that is not there is asked about as the name and a version, so
	// that the answer does not tell that it is not there.
	function, version, _ := strings.Cut(name, ":")
	inv := faas.Invocation{Function: function, Version: version, Tenant: tenant, Attempt: 1}
	info, err := r.Info(name)
	switch {
	case err == nil:
		inv.Function, inv.Version, inv.Labels, inv.Timeout, inv.Memory = info.Name, info.Version, info.Labels, info.Timeout, info.Memory
	case !errors.Is(err, faas.ErrNotFound): // not a name of a function, so that no caller has rights to it
		return &faas.Error{Op: "authorize", Reason: faas.ReasonDenied, Err: faas.ErrDenied}
	}
	return askGate(ctx, g, inv)
}

// Functions returns the functions that the gate lets the caller of ctx call for a
// tenant, in the order of their names. It asks as [Ask] does, once for each function.
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

// askGate asks the gate about a call that is not made, and ends it at once. The error
// is always the same one, so that a caller learns nothing of the gate's reasons.
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
