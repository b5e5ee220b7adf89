package access

import (
	"context"
	"fmt"
	"slices"
)

// Right is what a rule lets a principal do with a function. A right includes no other:
// who may replay a call does not see its input unless it has that right too.
type Right string

// The rights.
const (
	See       Right = "see"        // that the function is there, its numbers, its calls and jobs, without inputs and without stacks
	SeeInputs Right = "see_inputs" // inputs and outputs of calls and jobs, and the texts of errors, in which an input may stand
	SeeStacks Right = "see_stacks" // stacks of goroutines
	Invoke    Right = "invoke"     // to call it
	Replay    Right = "replay"     // to make a call or a job that has ended again, also with another input
	Manage    Right = "manage"     // to change limits and aliases, to cancel and purge jobs, to pause sources
)

// Rights returns all rights, for a rule of those who run the host.
func Rights() []Right { return []Right{See, SeeInputs, SeeStacks, Invoke, Replay, Manage} }

// Action is what a principal wants to do, with which function and for which tenant. It is
// what [Rules.Permit] decides about.
type Action struct {
	Verb  string // what exactly, for example "alias.set"; for authorizers that are finer than rights, and for audits
	Right Right  // that it needs

	// Function is the function's name, without a qualifier. Empty: the action is about the host
	// as a whole, or about something that is not of a function, such as a log line without one.
	Function string
	// Version is the function's version, if the action is about one, as in faas.Invocation.
	Version string
	// Tenant is the tenant that the action is about; empty: what has none in particular.
	Tenant string
	// AllTenants: the action is about what all tenants have in common, such as the number of
	// all calls of a function, or its limit. Tenant is empty then.
	AllTenants bool
}

// Permit decides whether a principal may do something: nil for yes. It is to Rights what
// [Rules.Authorize] is to calls: a rule allows the action if the right is one of its
// Rights and all other fields hold. What is about all tenants needs AnyTenant. What is
// about the host as a whole needs the function "*". It is a pure function of p and a, and
// has the form of an option of package admin.
func (rs Rules) Permit(_ context.Context, p Principal, a Action) error {
	for _, r := range rs {
		if r.permits(p, a) {
			return nil
		}
	}
	return fmt.Errorf("no rule gives %v the right %q to function %q for tenant %q", p, string(a.Right), a.Function, a.Tenant)
}

// permits is the one place in which the fields of a rule are read.
func (r Rule) permits(p Principal, a Action) bool {
	return r.gives(a.Right) &&
		slices.ContainsFunc(r.Functions, func(entry string) bool { return covers(entry, a.Function, a.Version) }) &&
		(r.AnyTenant || !a.AllTenants && p.Tenant == a.Tenant) &&
		(slices.ContainsFunc(r.Principals, p.is) || slices.ContainsFunc(r.Roles, p.has))
}

// gives reports whether the rule has the right: one without any has Invoke.
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
			return setupMistake("rule %d: %q is no right; the rights are %v", i, string(right), Rights())
		}
	}
	return nil
}
