package admin_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/admin"
)

func TestListsAndSumsHoldWhatTheViewerMaySee(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
		require.NoError(t, w.call("resize", "bolt", `{"url":"u"}`))
		require.NoError(t, w.call("export", "bolt", ``))

		assert.Equal(t, admin.Count(3), get[admin.Functions](w, viewer, "/v1/functions").Totals.Admitted)
		own := get[admin.Functions](w, acme, "/v1/functions")
		require.Len(t, own.Functions, 2)
		assert.Nil(t, own.Functions[1].Numbers, "other tenants are a part of them")
		assert.Zero(t, own.Totals.Admitted)
		one := get[admin.Functions](w, other, "/v1/functions")
		require.Len(t, one.Functions, 1)
		assert.Equal(t, admin.Count(1), one.Totals.Admitted)
		assert.Equal(t, admin.Count(1), get[admin.Usage](w, acme, "/v1/usage").Total.Calls)
		assert.Equal(t, admin.Count(1), get[admin.Usage](w, other, "/v1/usage").Total.Calls)

		assert.Equal(t, http.StatusUnauthorized, w.do(nobody, http.MethodGet, "/v1/functions", "").Code)
		assert.Equal(t, admin.ResultDenied, w.last().Result)
		denied, none := w.do(other, http.MethodGet, "/v1/functions/resize", ""), w.do(other, http.MethodGet, "/v1/functions/nothing", "")
		assert.Equal(t, http.StatusNotFound, denied.Code)
		assert.Equal(t, none.Body.String(), denied.Body.String())
		assert.Equal(t, none.Header(), denied.Header())
	})
}

func TestAViewerWithoutARightToTheHostHasAnEmptyListOfRights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		assert.Contains(t, w.do(other, http.MethodGet, "/v1/host", "").Body.String(), `"rights":[]`)
	})
}
