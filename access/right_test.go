package access_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

func TestARuleWithoutRightsLetsCallAndNothingElse(t *testing.T) {
	t.Parallel()
	rules := access.Rules{{Functions: []string{"*"}, Principals: []string{"*"}, AnyTenant: true}}
	for _, right := range append(access.Rights(), "") {
		err := rules.Permit(t.Context(), ana, access.Action{Right: right, Function: "f"})
		assert.Equal(t, right == access.Invoke, err == nil, "%q", right)
	}
}

func TestARuleGivesTheRightsThatItNames(t *testing.T) {
	t.Parallel()
	every := func(rights ...access.Right) access.Rule {
		return access.Rule{Functions: []string{"*"}, Principals: []string{"*"}, AnyTenant: true, Rights: rights}
	}
	for _, given := range access.Rights() {
		for _, asked := range append(access.Rights(), "") {
			rules := access.Rules{every(given)}
			assert.Equal(t, given == asked, rules.Permit(t.Context(), ana, access.Action{Right: asked, Function: "f"}) == nil, "%q by a rule with %q", asked, given)
		}
		inv := faas.Invocation{Function: "f"}
		assert.Equal(t, given == access.Invoke, access.Rules{every(given)}.Authorize(t.Context(), ana, inv) == nil, "a call by a rule with %q", given)
	}
	assert.Error(t, access.Rules{every("")}.Permit(t.Context(), ana, access.Action{Function: "f"}), "an empty right is none")
}

func TestAnActionIsPermittedByFunctionVersionAndTenant(t *testing.T) {
	t.Parallel()
	see := []access.Right{access.See}
	own := access.Rule{Functions: []string{"f"}, Principals: []string{"*"}, Rights: see}
	all := access.Rule{Functions: []string{"f"}, Principals: []string{"*"}, Rights: see, AnyTenant: true}
	second := access.Rule{Functions: []string{"f:2"}, Principals: []string{"*"}, Rights: see, AnyTenant: true}
	host := access.Rule{Functions: []string{"*"}, Principals: []string{"*"}, Rights: see, AnyTenant: true}
	nothing := access.Rule{Functions: []string{""}, Principals: []string{"*"}, Rights: see, AnyTenant: true}
	for _, c := range []struct {
		what string
		rule access.Rule
		a    access.Action
		want bool
	}{
		{"its own tenant", own, access.Action{Function: "f", Tenant: "acme"}, true},
		{"another tenant", own, access.Action{Function: "f", Tenant: "bolt"}, false},
		{"no tenant", own, access.Action{Function: "f"}, false},
		{"all tenants together", own, access.Action{Function: "f", AllTenants: true}, false},
		{"all tenants together, by a rule for any", all, access.Action{Function: "f", AllTenants: true}, true},
		{"another tenant, by a rule for any", all, access.Action{Function: "f", Tenant: "bolt"}, true},
		{"another function", all, access.Action{Function: "g", AllTenants: true}, false},
		{"the host, by a rule for a function", all, access.Action{AllTenants: true}, false},
		{"the host", host, access.Action{AllTenants: true}, true},
		{"the host, by a rule that means nothing", nothing, access.Action{AllTenants: true}, false},
		{"a version", second, access.Action{Function: "f", Version: "2", Tenant: "bolt"}, true},
		{"another version", second, access.Action{Function: "f", Version: "3", Tenant: "bolt"}, false},
		{"all versions, by a rule for one", second, access.Action{Function: "f", Tenant: "bolt"}, false},
	} {
		c.a.Right = access.See
		assert.Equal(t, c.want, access.Rules{c.rule}.Permit(t.Context(), ana, c.a) == nil, c.what)
	}
	// A principal without a tenant may not do what concerns all tenants.
	plain := access.Principal{Kind: access.User, ID: "x"}
	assert.Error(t, access.Rules{own}.Permit(t.Context(), plain, access.Action{Right: access.See, Function: "f", AllTenants: true}))
	assert.NoError(t, access.Rules{own}.Permit(t.Context(), plain, access.Action{Right: access.See, Function: "f"}))
}
