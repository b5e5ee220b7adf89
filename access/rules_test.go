package access_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

func TestRulesAllowWhatOneOfThemAllowsAndNothingElse(t *testing.T) {
	t.Parallel()
	hook := access.Principal{Kind: access.Webhook, ID: "github"}
	for _, c := range []struct {
		rule access.Rule
		p    access.Principal
		inv  faas.Invocation
		want bool
	}{
		{access.Rule{Functions: []string{"f"}, Principals: []string{"webhook:github"}}, hook, faas.Invocation{Function: "f"}, true},
		{access.Rule{Functions: []string{"f"}, Principals: []string{"webhook:github"}}, hook, faas.Invocation{Function: "ff"}, false},
		{access.Rule{Functions: []string{"f*"}, Principals: []string{"webhook:*"}}, hook, faas.Invocation{Function: "ff"}, true},
		{access.Rule{Functions: []string{"*"}, Principals: []string{"user:*"}}, hook, faas.Invocation{Function: "f"}, false},
		{access.Rule{Functions: []string{"*"}, Principals: []string{"*"}}, access.Principal{}, faas.Invocation{Function: "f"}, true},
		{access.Rule{Functions: []string{"*"}, Principals: []string{"anonymous"}}, access.Principal{}, faas.Invocation{Function: "f"}, true},
		{access.Rule{Functions: []string{"*"}, Principals: []string{"anonymous"}}, hook, faas.Invocation{Function: "f"}, false},
		{access.Rule{Functions: []string{"*"}, Principals: []string{":*"}}, access.Principal{}, faas.Invocation{Function: "f"}, false},
		{access.Rule{Functions: []string{"*"}, Roles: []string{"clerk"}}, ana, faas.Invocation{Function: "f", Tenant: "acme"}, true},
		{access.Rule{Functions: []string{"*"}, Roles: []string{"clerk"}}, ana, faas.Invocation{Function: "f", Tenant: "bolt"}, false},
		{access.Rule{Functions: []string{"*"}, Roles: []string{"clerk"}, AnyTenant: true}, ana, faas.Invocation{Function: "f", Tenant: "bolt"}, true},
		{access.Rule{Functions: []string{"*"}, Roles: []string{"admin"}}, ana, faas.Invocation{Function: "f", Tenant: "acme"}, false},
		{access.Rule{Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Tenant: "acme"}, false},
		{access.Rule{Functions: []string{"*"}}, ana, faas.Invocation{Function: "f", Tenant: "acme"}, false},
		// A name matches all versions, and a name with a version matches that version.
		{access.Rule{Functions: []string{"f"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Version: "2", Tenant: "acme"}, true},
		{access.Rule{Functions: []string{"f:2"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Version: "2", Tenant: "acme"}, true},
		{access.Rule{Functions: []string{"f:2"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Version: "22", Tenant: "acme"}, false},
		{access.Rule{Functions: []string{"f:2"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Version: "$LATEST", Tenant: "acme"}, false},
		{access.Rule{Functions: []string{"f:$LATEST"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Version: "$LATEST", Tenant: "acme"}, true},
		{access.Rule{Functions: []string{"f:2"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "ff", Version: "2", Tenant: "acme"}, false},
		{access.Rule{Functions: []string{"f:"}, Principals: []string{"*"}}, ana, faas.Invocation{Function: "f", Tenant: "acme"}, false},
		// IDs that look like a pattern or like another kind.
		{access.Rule{Functions: []string{"*"}, Principals: []string{"function:f"}}, access.Principal{Kind: access.User, ID: "function:f"}, faas.Invocation{}, false},
		{access.Rule{Functions: []string{"*"}, Principals: []string{"user:ana"}}, access.Principal{Kind: access.User, ID: "*"}, faas.Invocation{}, false},
		{access.Rule{Functions: []string{"*"}, Roles: []string{"*", ""}}, access.Principal{Kind: access.User, ID: "x", Roles: []string{"*", ""}}, faas.Invocation{}, false},
	} {
		err := access.Rules{{}, c.rule, {}}.Authorize(t.Context(), c.p, c.inv)
		assert.Equal(t, c.want, err == nil, "%+v %+v %+v", c.rule, c.p, c.inv)
	}
	assert.Error(t, access.Rules(nil).Authorize(t.Context(), ana, faas.Invocation{Function: "f", Tenant: "acme"}), "no rules let nobody in")
}

func TestRulesThatCannotMeanWhatTheySayAreNamed(t *testing.T) {
	t.Parallel()
	for cure, text := range map[string]string{
		"has no functions":                     `[{"principals":["*"]}]`,
		"neither principals nor roles":         `[{"functions":["*"]}]`,
		`function "a*b"`:                       `[{"functions":["a*b"],"principals":["*"]}]`,
		`function "f:"`:                        `[{"functions":["f:"],"principals":["*"]}]`,
		`rule 1: function ""`:                  `[{"functions":["a"],"principals":["*"]},{"functions":[""],"principals":["*"]}]`,
		`principal "ana"`:                      `[{"functions":["*"],"principals":["ana"]}]`,
		`principal "*:ana"`:                    `[{"functions":["*"],"principals":["*:ana"]}]`,
		`principal "user:a*a": a * is allowed`: `[{"functions":["*"],"principals":["user:a*a"]}]`,
		`"delete" is not a right`:              `[{"functions":["*"],"principals":["*"],"rights":["see","delete"]}]`,
		"a role is a name":                     `[{"functions":["*"],"roles":["*"]}]`,
		"unknown field":                        `[{"functions":["*"],"principals":["*"],"deny":true}]`,
		"more data follows":                    `[] []`,
		"cannot unmarshal":                     `{}`,
		"EOF":                                  ``,
	} {
		_, err := access.ParseRules([]byte(text))
		require.ErrorIs(t, err, access.ErrSetup, text)
		assert.ErrorContains(t, err, cure)
	}
	rules, err := access.ParseRules([]byte(`[{"functions":["a","b-*"],"principals":["user:*"],"roles":["r"],"any_tenant":true,"rights":["see","replay"]}]`))
	require.NoError(t, err)
	assert.Equal(t, access.Rules{{Functions: []string{"a", "b-*"}, Principals: []string{"user:*"}, Roles: []string{"r"}, AnyTenant: true, Rights: []access.Right{access.See, access.Replay}}}, rules)
}

// FuzzParseRules looks for rules that decide differently after they were encoded and decoded again.
func FuzzParseRules(f *testing.F) {
	f.Add([]byte(`[{"functions":["a","b-*"],"principals":["user:*","anonymous"],"roles":["r"],"any_tenant":true}]`))
	f.Add([]byte(`[{"functions":["*"],"principals":["*"]}]`))
	f.Add([]byte(`[{"functions":["*"],"principals":["*"],"rights":["invoke","manage"]}]`))
	f.Add([]byte(`[null]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := access.ParseRules(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(rules)
		require.NoError(t, err)
		again, err := access.ParseRules(text)
		require.NoError(t, err)
		for _, p := range []access.Principal{{}, ana, {Kind: access.Function, ID: "f"}} {
			inv := faas.Invocation{Function: "b-1", Tenant: p.Tenant}
			a, b := rules.Authorize(t.Context(), p, inv), again.Authorize(t.Context(), p, inv)
			require.Equal(t, a == nil, b == nil)
		}
	})
}
