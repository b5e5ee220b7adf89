package admin_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
)

func TestUsageIsOfTheFunctionAndTheTenantThatAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, tenant := range []string{"acme", "acme", "bolt", ""} {
			require.NoError(t, w.call("export", tenant, `{}`))
		}
		require.NoError(t, w.call("resize", "acme", `{"url": "a"}`))
		for path, want := range map[string][]admin.Use{
			"/v1/usage?by=function,tenant&function=resize":             {{Function: "resize", Tenant: "acme", Calls: 1}},
			"/v1/usage?by=function&tenant=acme":                        {{Function: "export", Calls: 2}, {Function: "resize", Calls: 1}},
			"/v1/usage?by=function&tenant=":                            {{Function: "export", Calls: 1}},
			"/v1/usage?by=function,tenant&function=export&tenant=bolt": {{Function: "export", Tenant: "bolt", Calls: 1}},
			"/v1/usage?function=absent":                                {},
		} {
			got := get[admin.Usage](w, root, path)
			var sum admin.Count
			for i, u := range got.Rows {
				got.Rows[i] = admin.Use{Function: u.Function, Tenant: u.Tenant, Calls: u.Calls}
				sum += u.Calls
			}
			assert.Equal(t, want, got.Rows, path)
			assert.Equal(t, sum, got.Total.Calls, path)
		}
	})
}

func TestATenantHasTheNumbersOfItsOwnFunctions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.call("export", "acme", `{}`))
		require.NoError(t, w.call("export", "bolt", `{}`))
		require.Error(t, w.call("resize", "acme", `{}`))
		require.Error(t, w.call("resize", "acme", `{}`))
		counts := func(who access.Principal, path string) (all []admin.Tenant) {
			for _, one := range get[admin.Tenants](w, who, path).Tenants {
				all = append(all, admin.Tenant{Tenant: one.Tenant, Functions: one.Functions, Calls: one.Calls, Failures: one.Failures})
			}
			return all
		}
		acme, bolt := admin.Tenant{Tenant: "acme", Functions: 2, Calls: 3, Failures: 2}, admin.Tenant{Tenant: "bolt", Functions: 1, Calls: 1}
		assert.Equal(t, []admin.Tenant{acme, bolt}, counts(root, "/v1/tenants"))
		assert.Equal(t, []admin.Tenant{bolt}, counts(root, "/v1/tenants?tenant=bolt"))
		assert.Equal(t, []admin.Tenant{{Tenant: "acme", Functions: 1, Calls: 1}, bolt}, counts(other, "/v1/tenants"))
	})
}

func TestATenantHasTheRefusalsOfTheFunctionsThatTheViewerSees(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.router.SetConcurrency("export", 0))
		require.NoError(t, w.router.SetConcurrency("resize", 0))
		for _, call := range [][2]string{{"export", "acme"}, {"export", "acme"}, {"resize", "acme"}, {"export", "bolt"}} {
			require.ErrorIs(t, w.call(call[0], call[1], `{}`), faas.ErrOverloaded)
		}
		refused := func(who access.Principal, path string) map[string]map[string]admin.Count {
			all := map[string]map[string]admin.Count{}
			for _, one := range get[admin.Tenants](w, who, path).Tenants {
				assert.Zero(t, one.Calls)
				all[one.Tenant] = one.Refused
			}
			return all
		}
		assert.Equal(t, map[string]map[string]admin.Count{"acme": {"off": 3}, "bolt": {"off": 1}}, refused(root, "/v1/tenants"))
		assert.Equal(t, map[string]map[string]admin.Count{"bolt": {"off": 1}}, refused(root, "/v1/tenants?tenant=bolt"))
		assert.Equal(t, map[string]map[string]admin.Count{"acme": {"off": 2}, "bolt": {"off": 1}}, refused(other, "/v1/tenants"), "of export alone")
		assert.Equal(t, map[string]map[string]admin.Count{"acme": {"off": 3}}, refused(acme, "/v1/tenants"))
	})
}
