package access_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
)

func TestAJobIsJudgedAsItsSendersCallWhenItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		judged := make(chan access.Principal, 8)
		gate := access.Authorizer(func(_ context.Context, p access.Principal, inv faas.Invocation) error {
			judged <- p
			if p.ID == "ana" || p.Kind == access.Function && p.ID == "outer" && inv.Function == "inner" {
				return nil
			}
			return faas.ErrDenied
		}, access.WithInline())
		r := faastest.New(t, faas.WithGate(gate), faas.WithCarrier(access.Carrier()))
		inner := faas.Register(r, "inner", func(context.Context, int) (int, error) { return 1, nil })
		outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) {
			_, err := inner.Send(ctx, n)
			return n, err
		})
		ana := access.Principal{Kind: access.User, ID: "ana", Tenant: "acme", Roles: []string{"admin"}, Claims: map[string]string{"aud": "x"}}
		job, err := outer.Send(access.WithPrincipal(t.Context(), ana), 7)
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		close(judged)
		var all []access.Principal
		for p := range judged {
			all = append(all, p)
		}
		function := access.Principal{Kind: access.Function, ID: "outer"}
		assert.Equal(t, []access.Principal{ana, ana, function, function}, all)

		bob := access.WithPrincipal(t.Context(), access.Principal{Kind: access.User, ID: "bob"})
		judged = make(chan access.Principal, 8)
		_, err = outer.Send(bob, 7)
		require.ErrorIs(t, err, faas.ErrDenied)
	})
}

func TestAPrincipalThatWasSpoiledOnItsWayIsNone(t *testing.T) {
	t.Parallel()
	c := access.Carrier()
	saved, err := c.Save(t.Context())
	require.NoError(t, err)
	assert.Nil(t, saved, "the anonymous principal")
	for _, spoiled := range []string{"", "{", `{"id":7}`, "[]"} {
		_, err := c.Restore(t.Context(), []byte(spoiled))
		require.Error(t, err, spoiled)
	}
}
