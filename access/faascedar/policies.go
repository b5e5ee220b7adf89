package faascedar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// Policies are Cedar policies that decide about calls. They never change, and many goroutines
// may use them at once. To change the policies, load new ones.
type Policies struct {
	set   cedar.PolicyMap                  // the ID of a policy is its file, line and column
	types map[access.Kind]cedar.EntityType // the type of each kind of principal
}

// Option is an option of [Load] and [Parse]. Nil options are ignored.
type Option interface{ applyPolicies(*Policies) error }

type option func(*Policies) error

func (o option) applyPolicies(p *Policies) error { return o(p) }

// WithKinds adds kinds of principals, so that policies can name them: for example, the kind
// access.Kind("robot") has the type Robot. A kind consists of the letters a to z. A principal
// whose kind has no type is denied.
func WithKinds(kinds ...access.Kind) Option {
	return option(func(p *Policies) error {
		for _, k := range kinds {
			if k == "" || strings.Trim(string(k), "abcdefghijklmnopqrstuvwxyz") != "" {
				return fmt.Errorf("faascedar: WithKinds(%q): a kind must consist of the letters a to z", k)
			}
			if k == "role" || k == "anonymous" {
				return fmt.Errorf("faascedar: WithKinds(%q): a type of that name exists already", k)
			}
			p.types[k] = cedar.EntityType(strings.ToUpper(string(k[:1])) + string(k[1:]))
		}
		return nil
	})
}

// Load loads the policies of all files that match a pattern of [fs.Glob], sorted by name. It
// returns an error if no file matches, because an empty set would deny every call. The error
// contains the file and the line of each mistake.
func Load(files fs.FS, pattern string, opts ...Option) (*Policies, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, fmt.Errorf("faascedar: pattern %q: %w", pattern, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("faascedar: no file matches %q", pattern)
	}
	texts := make([]text, len(names))
	for i, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("faascedar: %w", err)
		}
		texts[i] = text{name, data}
	}
	return parse(texts, opts)
}

// Parse parses the policies in a text. Errors use name as the name of the file.
func Parse(name string, data []byte, opts ...Option) (*Policies, error) {
	return parse([]text{{name, data}}, opts)
}

// text is a file with policies.
type text struct {
	name string
	data []byte
}

// parse makes Policies of the texts. It goes on after a mistake, so that the error contains all
// mistakes.
func parse(texts []text, opts []Option) (*Policies, error) {
	p := &Policies{set: cedar.PolicyMap{}, types: map[access.Kind]cedar.EntityType{
		access.Anonymous: "Anonymous", access.User: "User", access.Function: typeFunction, access.Webhook: "Webhook",
	}}
	for _, o := range opts {
		if o != nil {
			if err := o.applyPolicies(p); err != nil {
				return nil, err
			}
		}
	}
	v, err := p.validator()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, t := range texts {
		errs = append(errs, p.add(t, v))
	}
	return p, errors.Join(errs...)
}

// add parses and validates the policies of a file. The ID of a policy is the position where it
// begins, so that the errors of Authorize contain that position.
func (p *Policies) add(t text, v *validate.Validator) error {
	if !utf8.Valid(t.data) {
		return fmt.Errorf("faascedar: %s: not UTF-8", t.name)
	}
	list, err := cedar.NewPolicyListFromBytes(t.name, t.data)
	if err != nil {
		return fmt.Errorf("faascedar: %s: %w", t.name, place(t.name, err))
	}
	var errs []error
	for _, policy := range list {
		at := policy.Position()
		id := cedar.PolicyID(fmt.Sprintf("%s:%d:%d", t.name, at.Line, at.Column))
		if err := v.Policy(string(id), (*ast.Policy)(policy.AST())); err != nil {
			errs = append(errs, fmt.Errorf("faascedar: %s: %w", id, err))
		}
		p.set[id] = policy
	}
	return errors.Join(errs...)
}

// place puts the name of the file into an error of the parser. The parser does not get the name
// and writes "<input>" before line and column.
func place(name string, err error) error {
	return errors.New(strings.Replace(err.Error(), "<input>", name, 1))
}

const typeFunction = cedar.EntityType("Function")

// validator makes a validator with the schema of p.schema.
func (p *Policies) validator() (*validate.Validator, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(p.schema())); err != nil {
		return nil, fmt.Errorf("faascedar: schema: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("faascedar: schema: %w", err)
	}
	return validate.New(resolved, validate.WithStrict()), nil
}

// schema returns the text of the schema. The anonymous principal has no roles and no tags.
func (p *Policies) schema() string {
	var b strings.Builder
	b.WriteString("entity Role;\nentity Anonymous;\n")
	var principals []string
	for kind, name := range p.types {
		principals = append(principals, string(name))
		if kind != access.Anonymous {
			fmt.Fprintf(&b, "entity %s in [Role] tags String;\n", name)
		}
	}
	fmt.Fprintf(&b, `action invoke appliesTo {
	principal: [%s],
	resource: Function,
	context: { tenant: String, principalTenant: String, depth: Long, version: String, memory: Long, now: datetime },
};`, strings.Join(principals, ", "))
	return b.String()
}

// Authorize is an [access.Authorize] func. It only computes, so it may be used with
// access.WithInline. Its errors contain the file and line of the policies that decided.
func (p *Policies) Authorize(_ context.Context, who access.Principal, inv faas.Invocation) error {
	kind, ok := p.types[who.Kind]
	if !ok {
		return fmt.Errorf("principals of kind %q have no type in policies; see faascedar.WithKinds", who.Kind)
	}
	req := request(kind, who, inv)
	decision, why := cedar.Authorize(p.set, entities(req, who, inv), req)
	if err := p.broken(why); err != nil {
		return err
	}
	if decision == cedar.Allow {
		return nil
	}
	if len(why.Reasons) == 0 {
		return fmt.Errorf("no policy lets %v call %q", who, inv.Function)
	}
	return fmt.Errorf("policy %s forbids %v to call %q", why.Reasons[0].PolicyID, who, inv.Function)
}

// request returns the Cedar request that asks whether a call may be made. Its context has the
// attributes that Policies.schema declares.
func request(kind cedar.EntityType, who access.Principal, inv faas.Invocation) cedar.Request {
	return cedar.Request{
		Principal: cedar.NewEntityUID(kind, cedar.String(who.ID)),
		Action:    cedar.NewEntityUID("Action", "invoke"),
		Resource:  cedar.NewEntityUID(typeFunction, cedar.String(inv.Function)),
		Context: cedar.NewRecord(cedar.RecordMap{
			"tenant":          cedar.String(inv.Tenant),
			"principalTenant": cedar.String(who.Tenant),
			"depth":           cedar.Long(inv.Depth),
			"version":         cedar.String(inv.Version),
			"memory":          cedar.Long(inv.Memory),
			"now":             cedar.NewDatetime(time.Now()),
		}),
	}
}

// broken returns an error if a forbid could not be evaluated, because it might have forbidden
// the call. A permit that could not be evaluated has permitted nothing, which is safe.
func (p *Policies) broken(why cedar.Diagnostic) error {
	for _, e := range why.Errors {
		if p.set[e.PolicyID].Effect() == cedar.Forbid {
			return fmt.Errorf("policy %s can't be evaluated: %s", e.PolicyID, e.Message)
		}
	}
	return nil
}

// entities returns the principal and the function of a request. If a function calls itself,
// both have the same key, and the second entry replaces the first. Nothing is lost: a function
// has no roles, and its claims as a principal are its labels.
func entities(req cedar.Request, who access.Principal, inv faas.Invocation) cedar.EntityMap {
	roles := make([]cedar.EntityUID, len(who.Roles))
	for i, role := range who.Roles {
		roles[i] = cedar.NewEntityUID("Role", cedar.String(role))
	}
	return cedar.EntityMap{
		req.Principal: {UID: req.Principal, Parents: cedar.NewEntityUIDSet(roles...), Tags: tags(who.Claims)},
		req.Resource:  {UID: req.Resource, Tags: tags(inv.Labels)},
	}
}

// tags makes a record of claims or labels, for hasTag and getTag.
func tags(m map[string]string) cedar.Record {
	r := make(cedar.RecordMap, len(m))
	for name, value := range m {
		r[cedar.String(name)] = cedar.String(value)
	}
	return cedar.NewRecord(r)
}
