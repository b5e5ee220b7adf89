package access_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
)

// shop has the functions checkout, which all users may call, charge, which only
// checkout may, and report, which only the auditor may.
func shop(t *testing.T, opts ...faas.RouterOption) (r *faas.Router, entered map[string]int) {
	t.Helper()
	rules := access.Rules{
		{Functions: []string{"checkout"}, Principals: []string{"user:*"}},
		{Functions: []string{"charge"}, Principals: []string{"function:checkout"}},
		{Functions: []string{"report"}, Principals: []string{"user:auditor"}},
	}
	require.NoError(t, rules.Check())
	entered = map[string]int{}
	r = faastest.New(t, append(opts, faas.WithGate(access.Authorizer(rules.Authorize)))...)
	for _, name := range []string{"charge", "report"} {
		faas.Register(r, name, func(context.Context, string) (string, error) { entered[name]++; return name, nil })
	}
	// checkout calls the function that its input names: a confused deputy.
	faas.Register(r, "checkout", func(ctx context.Context, target string) (string, error) {
		entered["checkout"]++
		out, err := r.Invoke(ctx, target, []byte(`""`))
		return string(out), err
	})
	return r, entered
}

func invoke(ctx context.Context, r *faas.Router, name, payload string) error {
	_, err := r.Invoke(ctx, name, []byte(payload))
	return err
}

func TestG04_AFunctionMayCallWhatItIsAllowedThoughItsCallerIsNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, entered := shop(t)
		require.ErrorIs(t, invoke(as(t, ana), r, "charge", `""`), faas.ErrDenied)
		require.NoError(t, invoke(as(t, ana), r, "checkout", `"charge"`))
		assert.Equal(t, map[string]int{"checkout": 1, "charge": 1}, entered)
	})
}

func TestG04_AConfusedDeputyGetsNobodyWhereItMayNotGoItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, entered := shop(t)
		for _, p := range []access.Principal{ana, {Kind: access.User, ID: "auditor"}} {
			err := invoke(as(t, p), r, "checkout", `"report"`)
			require.ErrorIs(t, err, faas.ErrDenied)
			var d *access.DeniedError
			require.ErrorAs(t, err, &d)
			assert.Equal(t, access.Function, d.Principal.Kind)
			assert.Equal(t, "checkout", d.Principal.ID)
			assert.Equal(t, "report", d.Function)
		}
		assert.Zero(t, entered["report"], "the auditor's rights are not the checkout's either")
		require.NoError(t, invoke(as(t, access.Principal{Kind: access.User, ID: "auditor"}), r, "report", `""`))
	})
}

func TestG04_AFunctionCannotPassForSomebodyElseInItsOwnCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, entered := shop(t)
		faas.Register(r, "liar", func(ctx context.Context, _ string) (string, error) {
			ctx = access.WithPrincipal(ctx, access.Principal{Kind: access.User, ID: "auditor"})
			ctx, cancel := context.WithCancel(faas.WithTenant(context.WithoutCancel(ctx), ""))
			defer cancel()
			assert.Equal(t, "liar", access.Caller(ctx).ID)
			out, err := r.Invoke(ctx, "report", []byte(`""`))
			return string(out), err
		})
		require.ErrorIs(t, invoke(as(t, ana), r, "liar", `""`), faas.ErrDenied)
		assert.Zero(t, entered["report"])
	})
}

func TestAFunctionThatCallsForAnotherTenantIsDenied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rules := access.Rules{{Functions: []string{"*"}, Principals: []string{"*"}}}
		r := faastest.New(t, faas.WithGate(access.Authorizer(rules.Authorize)))
		faas.Register(r, "inner", func(context.Context, string) (string, error) { return "", nil })
		faas.Register(r, "outer", func(ctx context.Context, tenant string) (string, error) {
			if tenant != "" {
				ctx = faas.WithTenant(ctx, tenant)
			}
			return "", invoke(ctx, r, "inner", `""`)
		})
		require.NoError(t, invoke(as(t, ana), r, "outer", `""`), "the tenant is inherited")
		require.NoError(t, invoke(as(t, ana), r, "outer", `"acme"`))
		require.ErrorIs(t, invoke(as(t, ana), r, "outer", `"bolt"`), faas.ErrDenied)
		require.ErrorIs(t, invoke(faas.WithTenant(as(t, ana), "bolt"), r, "inner", `""`), faas.ErrDenied)
		require.ErrorIs(t, invoke(faas.WithTenant(as(t, ana), ""), r, "inner", `""`), faas.ErrDenied,
			"nor can somebody get out of the tenant's limits")
	})
}

func TestACallWithoutTheHandlersContextIsNobodys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, entered := shop(t)
		require.ErrorIs(t, invoke(context.Background(), r, "charge", `""`), faas.ErrDenied)
		assert.Zero(t, entered["charge"])
		assert.Equal(t, access.Principal{}, access.Caller(context.Background()))
	})
}

func TestAHandlerLearnsWhoCallsItIfTheHostCarriesItOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithContext(access.Carry))
		var inner, outer access.Principal
		g := faas.Register(r, "inner", func(ctx context.Context, _ int) (int, error) {
			inner, _ = access.FromContext(ctx)
			return 0, nil
		}, faas.WithLabels(map[string]string{"team": "a"}))
		f := faas.Register(r, "outer", func(ctx context.Context, _ int) (int, error) {
			outer, _ = access.FromContext(ctx)
			return g.Invoke(ctx, 0)
		}, faas.WithLabels(map[string]string{"team": "b"}))
		_, err := f.Invoke(as(t, ana), 0)
		require.NoError(t, err)
		assert.Equal(t, ana, outer)
		want := access.Principal{Kind: access.Function, ID: "outer", Tenant: "acme", Claims: map[string]string{"team": "b"}}
		assert.Equal(t, want, inner)

		plain := faas.Register(faastest.New(t), "plain", func(ctx context.Context, _ int) (bool, error) {
			_, ok := access.FromContext(ctx)
			return ok, nil
		})
		known, err := plain.Invoke(as(t, ana), 0)
		require.NoError(t, err)
		assert.False(t, known)
	})
}
