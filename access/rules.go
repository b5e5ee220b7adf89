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
	// Functions are the names it is about, each a name, a beginning of names
	// such as "mail-*", or "*". None: the rule allows nothing.
	Functions []string `json:"functions"`
	// Principals are who it allows, as kind:id, such as "user:ana",
	// "function:checkout", "webhook:*"; "anonymous"; or "*", which is everybody,
	// the anonymous included.
	Principals []string `json:"principals,omitempty"`
	// Roles allow whoever has one of them, in addition to Principals. "*" is no
	// role.
	Roles []string `json:"roles,omitempty"`
	// AnyTenant allows calls for tenants that are not the principal's own. Without
	// it the call's tenant must be the principal's, and be empty if the principal
	// has none. A function's tenant is that of the call which it serves.
	AnyTenant bool `json:"any_tenant,omitempty"`
}

// Rules allow what one of them allows, and nothing else: there is no rule that
// forbids, so their order means nothing, and no rules at all let nobody in.
// They are data; whoever shares them does not change them.
//
//	rules := access.Rules{
//		{Functions: []string{"*"}, Roles: []string{"admin"}, AnyTenant: true},
//		{Functions: []string{"checkout"}, Principals: []string{"user:*"}},
//		{Functions: []string{"charge"}, Principals: []string{"function:checkout"}},
//	}
//	r := faas.New(faas.WithGate(access.Authorizer(rules.Authorize, access.WithInline())))
type Rules []Rule

// ParseRules reads rules from JSON, an array of objects with the fields
// functions, principals, roles and any_tenant. What it does not understand is
// an error that Is [ErrSetup], since a rule that is half understood is worse
// than none.
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

// Check names each rule that can't mean what its author meant, and the cure, in
// an error that Is [ErrSetup]. Such a rule allows nothing in the field that is
// wrong, but nobody would notice.
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
	}
	for _, p := range r.Principals {
		kind, id, ok := strings.Cut(p, ":")
		switch {
		case p == "*" || p == "anonymous":
		case !ok || kind == "" || id == "" || strings.Contains(kind, "*"):
			return setupMistake("rule %d: principal %q: write kind:id, anonymous or *", i, p)
		case strings.Contains(strings.TrimSuffix(id, "*"), "*"):
			return setupMistake("rule %d: principal %q: a * stands at the end or not at all", i, p)
		}
	}
	if slices.Contains(r.Roles, "") || slices.Contains(r.Roles, "*") {
		return setupMistake("rule %d: a role is a name; for everybody, write principals \"*\"", i)
	}
	return nil
}

// Authorize is an [Authorize]: a pure function of p and inv.
func (rs Rules) Authorize(_ context.Context, p Principal, inv faas.Invocation) error {
	for _, r := range rs {
		if r.allows(p, inv) {
			return nil
		}
	}
	return fmt.Errorf("no rule lets %v call %q for tenant %q", p, inv.Function, inv.Tenant)
}

func (r Rule) allows(p Principal, inv faas.Invocation) bool {
	return slices.ContainsFunc(r.Functions, func(f string) bool { return matches(f, inv.Function) }) &&
		(r.AnyTenant || p.Tenant == inv.Tenant) &&
		(slices.ContainsFunc(r.Principals, p.is) || slices.ContainsFunc(r.Roles, p.has))
}

// is tells whether the principal of a rule is p. The kind ends at the first
// colon, so that no ID can pass for another kind's.
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

// has leaves out what is no role, as Check does: a rule that nobody checked must
// not meet a principal with a role of the same nonsense.
func (p Principal) has(role string) bool {
	return role != "" && role != "*" && slices.Contains(p.Roles, role)
}

func matches(pattern, name string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}
