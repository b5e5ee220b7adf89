package access

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/inproc/faas"
)

// Kind is the sort of caller that a [Principal] is. A host may add kinds of its own, as words
// without a colon.
type Kind string

// These are the kinds that this package uses.
const (
	Anonymous Kind = ""         // no principal was put on the context
	User      Kind = "user"     // a person, or a program with credentials
	Function  Kind = "function" // a function of a router, in the calls it makes
	Webhook   Kind = "webhook"  // a service that signs its requests
)

// Principal is an authenticated caller. The zero value is the anonymous caller. Copies share
// Roles and Claims: neither the code that makes a principal nor the code that reads it may
// change them afterwards.
type Principal struct {
	Kind   Kind              `json:"kind"`
	ID     string            `json:"id"`               // unique within the kind
	Tenant string            `json:"tenant,omitempty"` // the tenant of the principal; for a function, the tenant of its call
	Roles  []string          `json:"roles,omitempty"`  // for rules and policies; a function has no roles
	Claims map[string]string `json:"claims,omitempty"` // further facts about the principal; for a function, its labels
}

// String returns the principal's kind and ID, for example user "ana", without claims. The ID is
// quoted, so it is safe to log.
func (p Principal) String() string {
	if p.Kind == Anonymous {
		return "anonymous"
	}
	return fmt.Sprintf("%s %q", string(p.Kind), p.ID)
}

// LogValue returns String, so that loggers write the kind and the ID and no claims.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.String()) }

type principalKey struct{}

// WithPrincipal returns a context whose calls have the principal p. It is for fronts that have
// authenticated a request: p must not be unchecked input of a caller. Inside a handler it does
// not change the principal of nested calls, see [Caller].
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal that [WithPrincipal] has put on ctx. In the handler of a
// function with [Carry] it returns the caller of the function. It returns false if there is
// none.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Caller returns the principal of the calls that are made with ctx, which is the one that an
// [Authorizer] checks. With a handler's context it is the handler's function, whatever the
// caller of that function is and also after [WithPrincipal]. With any other context it is the
// principal of WithPrincipal, or the anonymous one.
//
// So a caller gains no rights by calling through a function: the function may call only what
// its own rights allow, for the tenant of the call that it serves.
func Caller(ctx context.Context) Principal {
	if inv, ok := faas.FromContext(ctx); ok {
		return Principal{Kind: Function, ID: inv.Function, Tenant: inv.Tenant, Claims: inv.Labels}
	}
	p, _ := FromContext(ctx)
	return p
}

// Carry gives a handler access to its caller: with faas.WithContext(access.Carry),
// [FromContext] in the handler returns it. Without Carry a handler can't find out its caller.
// The handler's own calls are checked as those of its function in any case.
func Carry(caller, fresh context.Context) context.Context {
	return WithPrincipal(fresh, Caller(caller))
}
