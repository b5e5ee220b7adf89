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

// Rule allows some principals to use some functions. A rule allows a call only if all its
// fields match.
type Rule struct {
	// Functions are the functions of the rule. Each entry is a name, the beginning of names
	// such as "mail-*", or "*". A name means all versions of the function; "mail:2" and
	// "mail:$LATEST" mean one. A rule without Functions allows nothing.
	Functions []string `json:"functions"`
	// Principals are the callers of the rule. Each entry is kind:id, for example "user:ana",
	// "function:checkout" or "webhook:*"; or "anonymous"; or "*" for every principal, including
	// the anonymous one.
	Principals []string `json:"principals,omitempty"`
	// Roles allow the principals that have one of these roles, in addition to Principals. "*"
	// is not a role.
	Roles []string `json:"roles,omitempty"`
	// AnyTenant allows calls for tenants other than the principal's own. Without it the call's
	// tenant must equal the principal's, and must be empty if the principal has none. A
	// function's tenant is that of the call that it serves.
	AnyTenant bool `json:"any_tenant,omitempty"`
	// Rights are the operations that the rule allows on the functions. Without Rights the rule
	// allows only to call them.
	Rights []Right `json:"rights,omitempty"`
}

// Rules allow what at least one of them allows. No rule forbids, so their order does not
// matter. Without any rule, no call is allowed. Many goroutines read them at once, so they must
// not be changed while they are in use.
//
//	rules := access.Rules{
//		{Functions: []string{"*"}, Roles: []string{"admin"}, AnyTenant: true},
//		{Functions: []string{"checkout"}, Principals: []string{"user:*"}},
//		{Functions: []string{"charge"}, Principals: []string{"function:checkout"}},
//	}
//	r := faas.New(faas.WithGate(access.Authorizer(rules.Authorize, access.WithInline())))
type Rules []Rule

// ParseRules decodes rules from JSON, an array of objects with the fields functions,
// principals, roles, any_tenant and rights. It returns an error that Is [ErrSetup] for other
// fields, and for text after the array: a misspelled field would otherwise change what a rule
// allows. It also returns the error of Check.
func ParseRules(data []byte) (Rules, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var rules Rules
	if err := dec.Decode(&rules); err != nil {
		return nil, setupMistake("rules: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, setupMistake("rules: more data follows the array")
	}
	return rules, rules.Check()
}

// Check returns an error that Is [ErrSetup] for rules that can't work as written. The error
// names each such rule and says how to correct it. The wrong field of such a rule allows
// nothing, which would be hard to notice without Check.
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
		return setupMistake("rule %d: has neither principals nor roles; for every caller, write principals \"*\"", i)
	}
	for _, f := range r.Functions {
		if f == "" || strings.Contains(strings.TrimSuffix(f, "*"), "*") {
			return setupMistake("rule %d: function %q: a * is allowed only at the end", i, f)
		}
		if name, version, ok := strings.Cut(f, ":"); ok && (name == "" || version == "") {
			return setupMistake("rule %d: function %q: a colon must have a name before it and a version after it", i, f)
		}
	}
	for _, p := range r.Principals {
		if err := checkPrincipal(i, p); err != nil {
			return err
		}
	}
	if slices.Contains(r.Roles, "") || slices.Contains(r.Roles, "*") {
		return setupMistake("rule %d: a role is a name; for every caller, write principals \"*\"", i)
	}
	return checkRights(i, r.Rights)
}

// checkPrincipal checks an entry of Principals. The rule has the index i.
func checkPrincipal(i int, p string) error {
	kind, id, ok := strings.Cut(p, ":")
	switch {
	case p == "*" || p == "anonymous":
	case !ok || kind == "" || id == "" || strings.Contains(kind, "*"):
		return setupMistake("rule %d: principal %q: write kind:id, anonymous or *", i, p)
	case strings.Contains(strings.TrimSuffix(id, "*"), "*"):
		return setupMistake("rule %d: principal %q: a * is allowed only at the end", i, p)
	}
	return nil
}

// Authorize is an [Authorize] func: it allows a call if a rule gives p the right to [Invoke].
// It is a pure function of p and inv.
func (rs Rules) Authorize(_ context.Context, p Principal, inv faas.Invocation) error {
	call := Action{Right: Invoke, Function: inv.Function, Version: inv.Version, Tenant: inv.Tenant}
	for _, r := range rs {
		if r.permits(p, call) {
			return nil
		}
	}
	return fmt.Errorf("no rule lets %v call %q for tenant %q", p, inv.Function, inv.Tenant)
}

// is reports whether an entry of Principals matches p. The kind ends at the first colon, so
// that no ID can make a principal look like one of another kind.
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

// has reports whether p has the role. "" and "*" never match, also in a rule that was not
// checked: a principal may have received the role "*" from outside.
func (p Principal) has(role string) bool {
	return role != "" && role != "*" && slices.Contains(p.Roles, role)
}

// covers reports whether an entry of Functions matches that version of the function. The text
// after a colon is the version, because no name contains a colon.
func covers(entry, function, version string) bool {
	name, only, ok := strings.Cut(entry, ":")
	if ok {
		return name == function && only != "" && matches(only, version)
	}
	return entry != "" && matches(entry, function) // "" is not a function: in an Action it means the host
}

// matches reports whether a pattern matches a name. The pattern may have one *, at its end.
func matches(pattern, name string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}
