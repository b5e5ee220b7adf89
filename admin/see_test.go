package admin_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/admin"
)

func TestEachPathShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.call("resize", "acme", `{"url":"u","width":9007199254740993}`))
		require.ErrorIs(t, w.call("resize:2", "acme", `{"width":9007199254740993}`), errBadURL)
		require.NoError(t, w.call("export", "bolt", ``))

		fns := get[admin.Functions](w, root, "/v1/functions")
		require.Len(t, fns.Functions, 2)
		assert.Equal(t, "export", fns.Functions[0].Name)
		assert.Equal(t, admin.Count(3), fns.Totals.Admitted)
		assert.Equal(t, admin.Count(3), fns.Totals.Minute.Calls)
		assert.Equal(t, admin.StateFailing, fns.Functions[1].State)
		f := get[admin.Function](w, root, "/v1/functions/resize")
		assert.NotNil(t, f.Schema)
		assert.Len(t, f.Versions, 2)
		assert.Equal(t, map[string]admin.Count{"1": 90, "2": 10}, f.Aliases[1].Weights)
		assert.Len(t, get[admin.Versions](w, root, "/v1/functions/resize/versions").Versions, 2)
		assert.Len(t, get[admin.Aliases](w, root, "/v1/functions/resize/aliases").Aliases, 2)
		assert.NotEmpty(t, get[admin.Decisions](w, root, "/v1/decisions").Decisions)
		assert.Len(t, get[admin.SeriesAnswer](w, root, "/v1/series?step=10s").Series, 2)
		failures := get[admin.Failures](w, root, "/v1/failures")
		require.Len(t, failures.Failures, 1)
		id := failures.Failures[0].ID
		assert.Equal(t, "Failed", get[admin.Failure](w, root, "/v1/failures/"+id).Outcome)
		assert.JSONEq(t, `{"width":9007199254740993}`, *get[admin.Data](w, root, "/v1/failures/"+id+"/input").Text)
		assert.Equal(t, admin.Count(3), get[admin.Usage](w, root, "/v1/usage").Total.Calls)
		assert.Len(t, get[admin.Tenants](w, root, "/v1/tenants").Tenants, 2)
		assert.Len(t, get[admin.Budgets](w, root, "/v1/budgets").Budgets, 2)
		assert.NotEmpty(t, get[admin.Log](w, root, "/v1/log").Lines)
		assert.Equal(t, admin.Count(3), get[admin.Process](w, root, "/v1/process").Admitted)
		assert.Equal(t, []string{"recorder", "ledger", "budgets", "ring", "tail"}, get[admin.Host](w, root, "/v1/host").Parts)
		assert.NotEmpty(t, get[admin.Schema](w, root, "/v1/openapi.json"))
		assert.Empty(t, get[admin.Jobs](w, root, "/v1/jobs").Jobs)
		assert.Empty(t, get[admin.DeadLetters](w, root, "/v1/dead-letters").Groups)
		assert.NotEmpty(t, get[admin.Audit](w, root, "/v1/audit").Entries)
		assert.Equal(t, "WithDrivers", problem(t, w.do(root, http.MethodGet, "/v1/sources", "")).Option)
	})
}
