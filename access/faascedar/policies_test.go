package faascedar_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/faascedar"
	"github.com/inproc/faas/faastest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func shop(t *testing.T) *faascedar.Policies {
	t.Helper()
	p, err := faascedar.Load(os.DirFS("testdata"), "*.cedar")
	require.NoError(t, err)
	return p
}

func parse(t *testing.T, text string, opts ...faascedar.Option) *faascedar.Policies {
	t.Helper()
	p, err := faascedar.Parse("test.cedar", []byte(text), opts...)
	require.NoError(t, err)
	return p
}

var (
	clerk  = access.Principal{Kind: access.User, ID: "ana", Tenant: "acme", Roles: []string{"clerk"}}
	tester = access.Principal{Kind: access.User, ID: "eve", Tenant: "acme", Roles: []string{"clerk", "tester"}}
	hook   = access.Principal{Kind: access.Webhook, ID: "stripe"}
)

func TestACallIsAllowedIfAPolicyPermitsItAndNoneForbidsIt(t *testing.T) {
	t.Parallel()
	p := shop(t)
	beta := map[string]string{"stage": "beta"}
	for _, c := range []struct {
		who  access.Principal
		inv  faas.Invocation
		says string // empty: allowed
	}{
		{clerk, faas.Invocation{Function: "checkout", Tenant: "acme"}, ""},
		{clerk, faas.Invocation{Function: "checkout", Tenant: "bolt"}, "no policy lets"},
		{clerk, faas.Invocation{Function: "charge", Tenant: "acme"}, "no policy lets"},
		{clerk, faas.Invocation{Function: "checkout", Tenant: "acme", Labels: beta}, "stages.cedar:1:1 forbids"},
		{tester, faas.Invocation{Function: "checkout", Tenant: "acme", Labels: beta}, ""},
		{hook, faas.Invocation{Function: "paid"}, ""},
		{hook, faas.Invocation{Function: "paid", Depth: 1}, "no policy lets"},
		{access.Principal{}, faas.Invocation{Function: "checkout"}, "no policy lets"},
		{access.Principal{Kind: access.User, ID: "checkout"}, faas.Invocation{Function: "charge"}, "no policy lets"},
		{access.Principal{Kind: access.Function, ID: "checkout"}, faas.Invocation{Function: "charge"}, ""},
		{access.Principal{Kind: "robot", ID: "r", Roles: []string{"clerk"}}, faas.Invocation{Function: "checkout"}, "WithKinds"},
	} {
		err := p.Authorize(t.Context(), c.who, c.inv)
		if c.says == "" {
			assert.NoError(t, err, "%v %v", c.who, c.inv)
		} else {
			assert.ErrorContains(t, err, c.says, "%v %v", c.who, c.inv)
		}
	}
}

func TestAPolicyCanAskForWhatIsDocumented(t *testing.T) {
	t.Parallel()
	everything := access.Principal{Kind: access.User, ID: "ana", Tenant: "acme", Claims: map[string]string{"email": "a@b"}}
	inv := faas.Invocation{Function: "f", Tenant: "bolt", Depth: 2, Version: "$LATEST", Memory: 128 << 20, Labels: map[string]string{"team": "x"}}
	for _, when := range []string{
		`principal == User::"ana"`, `resource == Function::"f"`, `action == Action::"invoke"`,
		`context.tenant == "bolt"`, `context.principalTenant == "acme"`, `context.depth == 2`,
		`context.version == "$LATEST"`, `context.memory == 134217728`, `context.now > datetime("2000-01-01")`,
		`principal.hasTag("email") && principal.getTag("email") == "a@b"`,
		`resource.hasTag("team") && resource.getTag("team") == "x"`, `!resource.hasTag("x")`,
	} {
		text := `permit (principal is User, action, resource) when { ` + when + ` };`
		assert.NoError(t, parse(t, text).Authorize(t.Context(), everything, inv), when)
		text = `permit (principal is User, action, resource) unless { ` + when + ` };`
		assert.Error(t, parse(t, text).Authorize(t.Context(), everything, inv), when)
	}
}

func TestTimeIsTheCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := shop(t)
		inv := faas.Invocation{Function: "checkout", Tenant: "acme"}
		require.NoError(t, p.Authorize(t.Context(), clerk, inv))
		time.Sleep(time.Until(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
		assert.ErrorContains(t, p.Authorize(t.Context(), clerk, inv), "stages.cedar:5:1 forbids")
	})
}

func TestAForbidThatCannotBeEvaluatedDenies(t *testing.T) {
	t.Parallel()
	const overflow = `9223372036854775807 + context.memory > 0`
	inv := faas.Invocation{Function: "f", Memory: 1}
	p := parse(t, `permit (principal, action, resource); forbid (principal, action, resource) when { `+overflow+` };`)
	assert.ErrorContains(t, p.Authorize(t.Context(), clerk, inv), "test.cedar:1:39 can't be evaluated")
	p = parse(t, `permit (principal, action, resource) when { `+overflow+` };`)
	assert.ErrorContains(t, p.Authorize(t.Context(), clerk, inv), "no policy lets")
	p = parse(t, `permit (principal, action, resource); permit (principal, action, resource) when { `+overflow+` };`)
	assert.NoError(t, p.Authorize(t.Context(), clerk, inv), "another permits it")
}

func TestNoPoliciesLetNobodyIn(t *testing.T) {
	t.Parallel()
	assert.Error(t, parse(t, "").Authorize(t.Context(), clerk, faas.Invocation{Function: "f"}))
}

func TestAMistakeIsNamedByFileAndLine(t *testing.T) {
	t.Parallel()
	const head = "// a comment\npermit (principal, action, resource)\n"
	for text, want := range map[string]string{
		head + "when { context.tenant == };":                        "a.cedar:3:27",
		head + "when { foo };":                                      "a.cedar:3:12",
		"permit (principal, action":                                 "a.cedar:1:26",
		head + "when { context.tenat == \"x\" };":                   "a.cedar:2:1",
		head + "when { resource.labels == \"x\" };":                 "a.cedar:2:1",
		head + "when { context.depth == \"x\" };":                   "a.cedar:2:1",
		head + "when { resource.getTag(\"x\") == \"x\" };":          "a.cedar:2:1", // not guarded by hasTag
		"permit (principal == Usr::\"ana\", action, resource);":     "a.cedar:1:1",
		"permit (principal, action == Action::\"call\", resource);": "a.cedar:1:1",
		"permit (principal, action, resource == User::\"ana\");":    "a.cedar:1:1",
		"permit (principal == Robot::\"r\", action, resource);":     "a.cedar:1:1",
	} {
		_, err := faascedar.Load(fstest.MapFS{"a.cedar": {Data: []byte(text)}}, "*")
		assert.ErrorContains(t, err, want, text)
	}
	_, err := faascedar.Load(fstest.MapFS{
		"a.cedar": {Data: []byte("permit (principal, action, resource) when { context.x };")},
		"b.cedar": {Data: []byte("\n\nforbid (principal, action, resource) when { context.y };")},
	}, "*")
	require.ErrorContains(t, err, "a.cedar:1:1")
	require.ErrorContains(t, err, "b.cedar:3:1", "all of them")
	_, err = faascedar.Load(fstest.MapFS{}, "*.cedar")
	require.ErrorContains(t, err, `no file matches "*.cedar"`)
	_, err = faascedar.Load(fstest.MapFS{}, "[")
	require.ErrorContains(t, err, "pattern")
	_, err = faascedar.Parse("a.cedar", []byte("permit (principal, action, resource == Function::\"\xff\");"))
	require.ErrorContains(t, err, "UTF-8")
}

func TestAHostAddsKindsOfItsOwn(t *testing.T) {
	t.Parallel()
	p := parse(t, `permit (principal == Robot::"r", action, resource);`, faascedar.WithKinds("robot"), nil)
	assert.NoError(t, p.Authorize(t.Context(), access.Principal{Kind: "robot", ID: "r"}, faas.Invocation{Function: "f"}))
	for _, bad := range []access.Kind{"", "Robot", "ro bot", "role", "anonymous", "x;entity y"} {
		_, err := faascedar.Parse("x", nil, faascedar.WithKinds(bad))
		assert.ErrorContains(t, err, fmt.Sprintf("WithKinds(%q)", bad))
	}
}

func TestPoliciesAreAGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithGate(access.Authorizer(shop(t).Authorize, access.WithInline())))
		charge := faas.Register(r, "charge", func(context.Context, int) (int, error) { return 1, nil })
		checkout := faas.Register(r, "checkout", func(ctx context.Context, in int) (int, error) { return charge.Invoke(ctx, in) })
		ctx := faas.WithTenant(access.WithPrincipal(t.Context(), clerk), "acme")
		_, err := checkout.Invoke(ctx, 0)
		require.NoError(t, err, "the nested call is the checkout's")
		_, err = charge.Invoke(ctx, 0)
		require.ErrorIs(t, err, faas.ErrDenied)
	})
	faastest.TestGate(t, func(t *testing.T) (faas.Gate, func() int) {
		t.Helper()
		return access.Authorizer(parse(t, `permit (principal, action, resource);`).Authorize), nil
	})
}

// FuzzParse looks for a text that makes the parser or the validator panic, and for one
// that is accepted and makes Authorize panic.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/shop.cedar", "testdata/stages.cedar"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`permit (principal, action, resource) when { if true then [1].contains(2) else "a" like "a*" };`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := faascedar.Parse("f.cedar", data)
		if err != nil {
			return
		}
		_ = p.Authorize(t.Context(), clerk, faas.Invocation{Function: "f"})
	})
}
