package access

import (
	"context"
	"fmt"
	"slices"
)

// Right is something that a rule allows a principal to do with a function. A right includes no
// other right: a principal that may replay a call can't see its input without [SeeInputs].
type Right string

// These are all rights.
const (
	See       Right = "see"        // to see the function, its numbers, its calls and jobs, without inputs and without stacks
	SeeInputs Right = "see_inputs" // to see inputs and outputs of calls and jobs, and the texts of errors, which may contain inputs
	SeeStacks Right = "see_stacks" // to see stacks of goroutines
	Invoke    Right = "invoke"     // to call it
	Replay    Right = "replay"     // to repeat a call or a job that has ended, also with another input
	Manage    Right = "manage"     // to change limits and aliases, to cancel and purge jobs, to pause sources
)

// Rights returns all rights, for a rule for the operators of the host.
func Rights() []Right { return []Right{See, SeeInputs, SeeStacks, Invoke, Replay, Manage} }

// Action is an operation of a principal, on a function and for a tenant. [Rules.Permit] decides
// about it.
type Action struct {
	Verb  string // the exact operation, for example "alias.set"; for authorizers that are finer than rights, and for audits
	Right Right  // the right that the action needs

	// Function is the function's name, without a qualifier. It is empty if the action is about
	// the host as a whole, or about something that belongs to no function, such as a log line.
	Function string
	// Version is the function's version, if the action is about one, as in faas.Invocation.
	Version string
	// Tenant is the tenant that the action is about. It is empty if the action is about no
	// particular tenant.
	Tenant string
	// AllTenants is true for an action about something that all tenants share, such as the
	// number of all calls of a function, or its limit. Tenant is then empty.
	AllTenants bool
}

// Permit decides about an action: it returns nil if a rule allows it. A rule allows an action
// if the right is one of its Rights and all other fields hold; [Rules.Authorize] does the same
// for calls. An action about all tenants needs AnyTenant. An action about the host as a whole
// needs the function "*". Permit is a pure function of p and a, and has the form of an option
// of package admin.
func (rs Rules) Permit(_ context.Context, p Principal, a Action) error {
	for _, r := range rs {
		if r.permits(p, a) {
			return nil
		}
	}
	return fmt.Errorf("no rule gives %v the right %q to function %q for tenant %q", p, string(a.Right), a.Function, a.Tenant)
}

// permits reports whether the rule allows the action. No other function evaluates a rule's
// fields.
func (r Rule) permits(p Principal, a Action) bool {
	return r.gives(a.Right) &&
		slices.ContainsFunc(r.Functions, func(entry string) bool { return covers(entry, a.Function, a.Version) }) &&
		(r.AnyTenant || !a.AllTenants && p.Tenant == a.Tenant) &&
		(slices.ContainsFunc(r.Principals, p.is) || slices.ContainsFunc(r.Roles, p.has))
}

// gives reports whether the rule has the right. A rule without Rights has only Invoke.
func (r Rule) gives(right Right) bool {
	if len(r.Rights) == 0 {
		return right == Invoke
	}
	return right != "" && slices.Contains(r.Rights, right)
}

// checkRights checks the Rights of rule i.
func checkRights(i int, rights []Right) error {
	for _, right := range rights {
		if !slices.Contains(Rights(), right) {
			return setupMistake("rule %d: %q is not a right; the rights are %v", i, string(right), Rights())
		}
	}
	return nil
}
