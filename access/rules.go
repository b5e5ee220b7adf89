package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/inproc/faas"
)

// Rule allows some principals some functions. All fields of a rule must hold.
type Rule struct {
	// Functions are the functions that it allows: each entry is a name, the beginning
	// of names such as "mail-*", or "*". All versions of a name are meant; one is
	// "mail:2", or "mail:$LATEST". Without any the rule allows nothing.
	Functions []string `json:"functions"`
	// Principals are the callers that it allows: each entry is kind:id, for example
	// "user:ana", "function:checkout" or "webhook:*"; or "anonymous"; or "*", which is
	// every principal, the anonymous one too.
	Principals []string `json:"principals,omitempty"`
	// Roles allow the principals that have one of them, in addition to Principals. "*"
	// is no role.
	Roles []string `json:"roles,omitempty"`
	// AnyTenant allows calls for tenants that are not the principal's own. Without
	// it the call's tenant must be the principal's, and be empty if the principal
	// has none. A function's tenant is that of the call that it serves.
	AnyTenant bool `json:"any_tenant,omitempty"`
	// Rights are what the rule allows to do with the functions. Without any it allows to
	// call them, and nothing else.
	Rights []Right `json:"rights,omitempty"`
}

// Rules allow what one of them allows, and nothing else. No rule forbids, so that
// their order means nothing. Without any rule, no call is allowed. They are read by
// many goroutines at once, and must not be changed while they are in use.
//
//	rules := access.Rules{
//		{Functions: []string{"*"}, Roles: []string{"admin"}, AnyTenant: true},
//		{Functions: []string{"checkout"}, Principals: []string{"user:*"}},
//		{Functions: []string{"charge"}, Principals: []string{"function:checkout"}},
//	}
//	r := faas.New(faas.WithGate(access.Authorizer(rules.Authorize, access.WithInline())))
type Rules []Rule

// ParseRules reads rules from JSON, an array of objects with the fields functions,
// principals, roles, any_tenant and rights. For other fields, and for text after the array, it
// returns an error that Is [ErrSetup]: a misspelled field would otherwise change what a rule
// allows. It also returns the error of Check.
func ParseRules(data []byte) (Rules, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var rules Rules
	if err := dec.Decode(&rules); err != nil {
		return nil, setupMistake("rules: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, setupMistake("rules: something follows the array")
	}
	return rules, rules.Check()
}

// Check returns an error that Is [ErrSetup] and names each rule that can't mean what
// its author meant, with the cure. Such a rule allows nothing by the field that is
// wrong, and without Check that would go unnoticed.
func (rs Rules) Check() error {
	var errs []error
	for i, r := range rs {
		errs = append(errs, r.check(i))
	}
	return errors.Join(errs...)
}

func (r Rule) check(i int) error {
	if len(r.Functions) == 0 {
		return setupMistake("rule %d: has no functions; for all of them, write \"*\"", i)
	}
	if len(r.Principals)+len(r.Roles) == 0 {
		return setupMistake("rule %d: has neither principals nor roles; for everybody, write principals \"*\"", i)
	}
	for _, f := range r.Functions {
		if f == "" || strings.Contains(strings.TrimSuffix(f, "*"), "*") {
			return setupMistake("rule %d: function %q: a * stands at the end or not at all", i, f)
		}
		if name, version, ok := strings.Cut(f, ":"); ok && (name == "" || version == "") {
			return setupMistake("rule %d: function %q: a colon stands between a name and a version", i, f)
		}
	}
	for _, p := range r.Principals {
		if err := checkPrincipal(i, p); err != nil {
			return err
		}
	}
	if slices.Contains(r.Roles, "") || slices.Contains(r.Roles, "*") {
		return setupMistake("rule %d: a role is a name; for everybody, write principals \"*\"", i)
	}
	return checkRights(i, r.Rights)
}

// checkPrincipal checks an entry of Principals of rule i.
func checkPrincipal(i int, p string) error {
	kind, id, ok := strings.Cut(p, ":")
	switch {
	case p == "*" || p == "anonymous":
	case !ok || kind == "" || id == "" || strings.Contains(kind, "*"):
		return setupMistake("rule %d: principal %q: write kind:id, anonymous or *", i, p)
	case strings.Contains(strings.TrimSuffix(id, "*"), "*"):
		return setupMistake("rule %d: principal %q: a * stands at the end or not at all", i, p)
	}
	return nil
}

// Authorize is an [Authorize]: a pure function of p and inv. It asks for the right to
// [Invoke].
func (rs Rules) Authorize(_ context.Context, p Principal, inv faas.Invocation) error {
	call := Action{Right: Invoke, Function: inv.Function, Version: inv.Version, Tenant: inv.Tenant}
	for _, r := range rs {
		if r.permits(p, call) {
			return nil
		}
	}
	return fmt.Errorf("no rule lets %v call %q for tenant %q", p, inv.Function, inv.Tenant)
}

// is reports whether an entry of Principals names p. The kind ends at the first colon,
// so that no ID can make a principal pass for one of another kind.
func (p Principal) is(pattern string) bool {
	switch pattern {
	case "*":
		return true
	case "anonymous":
		return p.Kind == Anonymous
	}
	kind, id, ok := strings.Cut(pattern, ":")
	return ok && kind != "" && kind == string(p.Kind) && matches(id, p.ID)
}

// has reports whether p has the role. "" and "*" are no roles, also in a rule that was
// not checked: a principal may have got the role "*" from outside.
func (p Principal) has(role string) bool {
	return role != "" && role != "*" && slices.Contains(p.Roles, role)
}

// covers reports whether an entry of Functions is about that version of the function. No
// name has a colon.
func covers(entry, function, version string) bool {
	name, only, ok := strings.Cut(entry, ":")
	if ok {
		return name == function && only != "" && matches(only, version)
	}
	return entry != "" && matches(entry, function) // "" is no function, and stands for the host in an Action
}

// matches reports whether a pattern with at most one *, at its end, names name.
func matches(pattern, name string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}
