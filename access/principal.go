package access

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/inproc/faas"
)

// Kind says what sort of caller a [Principal] is. The set is open: a host adds
// its own, in words without a colon.
type Kind string

// The kinds that this package knows.
const (
	Anonymous Kind = ""         // no principal was put on the context
	User      Kind = "user"     // a person, or a program with credentials
	Function  Kind = "function" // a function of a router, in the calls it makes
	Webhook   Kind = "webhook"  // a service that signs what it sends
)

// Principal is a caller that was authenticated. The zero value is the anonymous
// caller. Copies share Roles and Claims: neither the code that makes a principal nor
// the code that reads it may change them afterwards.
type Principal struct {
	Kind   Kind              `json:"kind"`
	ID     string            `json:"id"`               // unique within the kind
	Tenant string            `json:"tenant,omitempty"` // the tenant that it works for; of a function: its call's
	Roles  []string          `json:"roles,omitempty"`  // for rules and policies; a function has no roles
	Claims map[string]string `json:"claims,omitempty"` // what else is known of it; of a function: its labels
}

// String names the principal by kind and ID, for example user "ana". It shows no
// claims. The ID is quoted, and so is safe to log.
func (p Principal) String() string {
	if p.Kind == Anonymous {
		return "anonymous"
	}
	return fmt.Sprintf("%s %q", string(p.Kind), p.ID)
}

// LogValue is String: loggers write kind and ID, and no claims.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.String()) }

type principalKey struct{}

// WithPrincipal makes p the principal of the calls that are made with the context that
// it returns. It is for fronts, after they have authenticated a request: p must not
// come from what a caller sends unchecked. Inside a handler it does not change the
// principal of nested calls, see [Caller].
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal that [WithPrincipal] has put on ctx or, in the
// handler of a function with [Carry], the caller of the function.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Caller returns the principal of the calls that are made with ctx, which is the one
// that an [Authorizer] judges. With a handler's context it is the handler's function,
// and neither the caller of that function nor a [WithPrincipal] changes it. With
// other contexts it is the principal of WithPrincipal, or else the anonymous one.
//
// So a caller gains no rights by going through a function: the function may call what
// it may call itself, for the tenant that it was called for.
func Caller(ctx context.Context) Principal {
	if inv, ok := faas.FromContext(ctx); ok {
		return Principal{Kind: Function, ID: inv.Function, Tenant: inv.Tenant, Claims: inv.Labels}
	}
	p, _ := FromContext(ctx)
	return p
}

// Carry tells a handler its caller: with faas.WithContext(access.Carry), [FromContext]
// in the handler returns it. Without it no handler learns its caller. The handler's
// own calls are judged as its function's in any case.
func Carry(caller, fresh context.Context) context.Context {
	return WithPrincipal(fresh, Caller(caller))
}
