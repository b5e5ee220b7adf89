package access

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/inproc/faas"
)

// Ask asks a gate whether the caller of ctx may call a function for a tenant. It returns nil,
// or an error that Is [faas.ErrDenied] and no other sentinel, also if the gate panics. The
// function need not exist, and the answer does not show whether it does.
//
// It is for fronts. Router.Invoke finds the function and decodes the payload before it asks the
// gates. A caller that may not call the function would get its error for a wrong or too large
// payload, and so learn that the function exists. Therefore a front calls Ask first, with the
// gate that it has given to the router, and answers a denied call like a call to an unknown
// function:
//
//	if err := access.Ask(ctx, r, gate, name, tenant); err != nil {
//		notFound(w)
//		return
//	}
//	out, err := r.Invoke(faas.WithTenant(ctx, tenant), name, payload)
//
// The tenant is the one that the call will be made for: the front's argument of
// faas.WithTenant, or the principal's tenant if [Authenticate] sets it.
//
// The call is checked again when it is made. Ask calls the gate's Done at once, so that nothing
// stays reserved. A gate that counts its decisions counts this one too.
func Ask(ctx context.Context, r *faas.Router, g faas.Gate, name, tenant string) error {
	// For an unknown name, the qualifier is asked about as a version of the function. So the
	// answer does not show whether that version exists.
	function, version, _ := strings.Cut(name, ":")
	inv := faas.Invocation{Function: function, Version: version, Tenant: tenant, Attempt: 1}
	info, err := r.Info(name)
	switch {
	case err == nil:
		inv.Function, inv.Version, inv.Labels, inv.Timeout, inv.Memory = info.Name, info.Version, info.Labels, info.Timeout, info.Memory
	case !errors.Is(err, faas.ErrNotFound): // the name can't be that of a function, so no caller may call it
		return &faas.Error{Op: "authorize", Reason: faas.ReasonDenied, Err: faas.ErrDenied}
	}
	return askGate(ctx, g, inv)
}

// Functions returns the functions that the gate allows the caller of ctx to call for a tenant,
// sorted by name. It asks the gate about each function as [Ask] does.
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

// askGate calls the gate's Admit for a call that is not made, and then Done at once. If the gate
// denies the call, the error is always the same, so that a caller learns nothing about the
// gate's reasons.
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
