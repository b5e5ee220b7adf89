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
	Anonymous Kind = ""         // nobody has said who calls
	User      Kind = "user"     // a person, or a program with credentials
	Function  Kind = "function" // a function of a router, in the calls it makes
	Webhook   Kind = "webhook"  // a service that signs what it sends
)

// Principal is who calls. The zero value is the anonymous caller. It is a
// value, but for Roles and Claims, which all copies share: whoever makes a
// principal does not change them afterwards, and neither does who reads it.
type Principal struct {
	Kind   Kind              `json:"kind"`
	ID     string            `json:"id"`               // unique within the kind
	Tenant string            `json:"tenant,omitempty"` // whom it works for; of a function: its call's
	Roles  []string          `json:"roles,omitempty"`  // for rules and policies; a function has none
	Claims map[string]string `json:"claims,omitempty"` // what else is known; of a function: its labels
}

// String names the principal by kind and ID, such as user "ana", without what
// its claims tell about it. The ID is quoted, and safe to log.
func (p Principal) String() string {
	if p.Kind == Anonymous {
		return "anonymous"
	}
	return fmt.Sprintf("%s %q", string(p.Kind), p.ID)
}

// LogValue has a logger write kind and ID, and no claims.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.String()) }

type principalKey struct{}

// WithPrincipal says who makes the calls that are made with this context. It is
// for fronts, once they know who is there, and must not be reached by what a
// caller sends. Inside a call it changes nothing about whom its nested calls
// are made by, see [Caller].
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal that was put on ctx by [WithPrincipal], or,
// in a handler whose function has [Carry], who called it.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Caller returns who makes the calls that are made with ctx: inside a call its
// function, whoever called that and whatever [WithPrincipal] says; elsewhere the
// principal of WithPrincipal; else the anonymous one. This is whom an
// [Authorizer] judges.
//
// So nobody gains by going through a function: what it may call is what it was
// allowed to call itself, and its tenant stays the one it is called for.
func Caller(ctx context.Context) Principal {
	if inv, ok := faas.FromContext(ctx); ok {
		return Principal{Kind: Function, ID: inv.Function, Tenant: inv.Tenant, Claims: inv.Labels}
	}
	p, _ := FromContext(ctx)
	return p
}

// Carry lets a handler know who called it: with faas.WithContext(access.Carry),
// [FromContext] in the handler answers that. Without it no handler learns the
// name of its caller. The handler's own calls are judged as its function's all
// the same.
func Carry(caller, fresh context.Context) context.Context {
	return WithPrincipal(fresh, Caller(caller))
}
