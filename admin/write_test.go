package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/cost"
)

// order sends a request that changes something, and decodes the answer.
func order[T any](w *world, who access.Principal, method, path, body string) T {
	w.tb.Helper()
	return decode[T](w.tb, w.do(who, method, path, body))
}

// fails makes a call of resize that fails, and returns its ID.
func (w *world) fails(tenant string) string {
	w.tb.Helper()
	require.ErrorIs(w.tb, w.call("resize:1", tenant, `{"width":9007199254740993}`), errBadURL)
	for c := range w.ring.All() {
		return c.ID.String()
	}
	return ""
}

func TestAFailedCallIsMadeAgainWithACorrectedInput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ring.KeepErrors()
		id := w.fails("acme")
		assert.Equal(t, "version 1: no image at that URL", *get[admin.Failure](w, root, "/v1/failures/"+id).Error)
		assert.Nil(t, get[admin.Failure](w, viewer, "/v1/failures/"+id).Error, "an input may stand in it")

		same := order[admin.Result](w, root, http.MethodPost, "/v1/failures/"+id+"/replay", ``)
		assert.Equal(t, []any{"Failed", "1", "acme", id}, []any{same.Outcome, same.Version, same.Tenant, same.ReplayOf})
		assert.Contains(t, same.Log, "resizing")
		again := order[admin.Result](w, root, http.MethodPost, "/v1/failures/"+id+"/replay",
			`{"target":"resize:2","input":{"url":"u","width":9007199254740993}}`)
		assert.Equal(t, []any{"OK", "2", "acme", id}, []any{again.Outcome, again.Version, again.Tenant, again.ReplayOf})
		assert.JSONEq(t, `{"url":"u","width":9007199254740993}`, *again.Output.Text)
		// The first replay failed as the call did. Its record says which call it replays.
		replayed := get[admin.Failures](w, root, "/v1/failures").Failures[0]
		assert.Equal(t, []any{id, "admin", same.RequestID}, []any{replayed.ReplayOf, replayed.Origin.Door, replayed.Origin.RequestID})

		p := problem(t, w.do(root, http.MethodPost, "/v1/failures/"+id+"/replay", `{"target":"export"}`))
		assert.Equal(t, "input", p.Reason)
	})
}

func TestAReplayIsForTheTenantOfTheCallUnlessTheViewerHasTheRightForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.fails("acme")
		path := "/v1/failures/" + id + "/replay"
		assert.Equal(t, "acme", order[admin.Result](w, acme, http.MethodPost, path, ``).Tenant)
		assert.Equal(t, "bolt", order[admin.Result](w, root, http.MethodPost, path, `{"tenant":"bolt"}`).Tenant)
		assert.Equal(t, http.StatusNotFound, w.do(acme, http.MethodPost, path, `{"tenant":"bolt"}`).Code)
		assert.Equal(t, admin.ResultDenied, w.last().Result)
		assert.Equal(t, http.StatusNotFound, w.do(viewer, http.MethodPost, path, ``).Code)
	})
}

func TestAReplayGoesThroughTheGatesAsTheViewer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		faas.Register(w.router, "kept", func(context.Context, photo) (photo, error) { return photo{}, errBadURL },
			faas.WithGate(access.Authorizer(func(_ context.Context, p access.Principal, _ faas.Invocation) error {
				if p.ID == "root" {
					return nil
				}
				return fmt.Errorf("not %v", p)
			}, access.WithInline())))
		_, err := w.router.Invoke(access.WithPrincipal(faas.WithTenant(t.Context(), "acme"), root), "kept", []byte(`{}`))
		require.ErrorIs(t, err, errBadURL)
		id := get[admin.Failures](w, root, "/v1/failures").Failures[0].ID
		assert.Equal(t, "Failed", order[admin.Result](w, root, http.MethodPost, "/v1/failures/"+id+"/replay", ``).Outcome)
		assert.Equal(t, "Denied", order[admin.Result](w, acme, http.MethodPost, "/v1/failures/"+id+"/replay", ``).Kind)
	})
}

func TestAliasesMoveUnlessTheyWereMovedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		path := "/v1/functions/resize/aliases/live"
		a := order[admin.Alias](w, root, http.MethodPut, path, `{"weights":{"1":50,"2":50},"sticky":true,"description":"half","ifRevision":1}`)
		assert.Equal(t, []any{admin.Count(2), true, "half", `user "root"`}, []any{a.Revision, a.Sticky, a.Description, a.By})
		assert.Equal(t, "1: 50, 2: 50", w.last().Detail)
		assert.Equal(t, "stale", problem(t, w.do(root, http.MethodPut, path, `{"weights":{"1":1},"ifRevision":1}`)).Reason)
		assert.Equal(t, admin.ResultRefused, w.last().Result)
		assert.Equal(t, "input", problem(t, w.do(root, http.MethodPut, path, `{"weights":{"live":1}}`)).Reason)
		assert.Equal(t, "absent", problem(t, w.do(root, http.MethodPut, path, `{"weights":{"7":1}}`)).Reason)
		order[admin.Alias](w, root, http.MethodPut, "/v1/functions/resize/aliases/$default", `{"weights":{"2":1}}`)
		aliases, err := w.router.Aliases("resize")
		require.NoError(t, err)
		assert.Equal(t, faas.Weights{2: 1}, aliases[0].Weights)
		assert.Equal(t, "stale", problem(t, w.do(root, http.MethodDelete, path+"?ifRevision=1", "")).Reason)
		assert.True(t, order[admin.Done](w, root, http.MethodDelete, path+"?ifRevision=2", "").Done)
		d := get[admin.Decisions](w, root, "/v1/decisions?function=resize").Decisions[0]
		assert.Equal(t, []any{"live", `user "root"`}, []any{*d.Alias, d.By})
	})
}

func TestLimitsAreSetAndFunctionsSwitchedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		path := "/v1/functions/export/limit"
		assert.Equal(t, admin.Int(7), *order[admin.Limit](w, root, http.MethodPut, path, `{"limit":7}`).Limit)
		order[admin.Limit](w, root, http.MethodPut, path, `{"limit":0}`)
		require.ErrorIs(t, w.call("export", "", ""), faas.ErrOverloaded)
		assert.Equal(t, admin.StateOff, get[admin.Function](w, root, "/v1/functions/export").State)
		assert.Nil(t, order[admin.Limit](w, root, http.MethodPut, path, `{"limit":null}`).Limit)
		require.NoError(t, w.call("export", "", ""))
		for _, bad := range []string{``, `{}`, `{"limit":-1}`, `{"limit":9007199254740993}`, `{"limit":1.5}`} {
			assert.Equal(t, http.StatusBadRequest, w.do(root, http.MethodPut, path, bad).Code, bad)
		}
		assert.Equal(t, admin.Int(5), *order[admin.Limit](w, root, http.MethodPut, "/v1/capacity", `{"capacity":5}`).Limit)
		assert.Equal(t, http.StatusBadRequest, w.do(root, http.MethodPut, "/v1/capacity", `{}`).Code)
	})
}

func TestABudgetIsRaisedForOneTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		path := "/v1/budgets/calls/limit"
		order[admin.Budget](w, root, http.MethodPut, path, `{"account":"acme","limit":"0 calls"}`)
		require.ErrorIs(t, w.call("export", "acme", ""), cost.ErrBudget)
		require.NoError(t, w.call("export", "bolt", ""), "another tenant's account has its own limit")
		b := order[admin.Budget](w, root, http.MethodPut, path, `{"account":"acme","limit":"3 calls"}`)
		assert.Equal(t, []any{"acme", "3 calls", true}, []any{b.Account, b.Limit, b.LimitSet})
		assert.Equal(t, []any{"budget.set", "calls", "account acme: 3 calls"}, []any{w.last().Verb, w.last().Object, w.last().Detail})
		require.NoError(t, w.call("export", "acme", ""))
		for _, bad := range []string{``, `{}`, `{"account":"acme"}`, `{"limit":"nothing"}`, `{"limit":"1 USD"}`, `{"limit":"1m"}`, `{"limit":"-1 calls"}`, `{"limit":3}`} {
			assert.Equal(t, http.StatusBadRequest, w.do(root, http.MethodPut, path, bad).Code, bad)
		}
		assert.Equal(t, http.StatusNotFound, w.do(root, http.MethodPut, "/v1/budgets/none/limit", `{"limit":"1 calls"}`).Code)
		assert.Equal(t, http.StatusNotFound, w.do(acme, http.MethodPut, path, `{"account":"acme","limit":"9 calls"}`).Code, "a tenant can't raise its own budget")
	})
}

func TestFunctionsAreInvokedForATenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		path := "/v1/functions/resize:2/invoke"
		res := order[admin.Result](w, acme, http.MethodPost, path, `{"text":"{\"url\":\"u\",\"width\":9007199254740993}"}`)
		assert.Equal(t, []any{"OK", "2", "acme"}, []any{res.Outcome, res.Version, res.Tenant})
		assert.JSONEq(t, `{"url":"u","width":9007199254740993}`, *res.Output.Text)
		assert.Equal(t, http.StatusNotFound, w.do(acme, http.MethodPost, path, `{"tenant":"bolt"}`).Code)
		assert.Equal(t, http.StatusNotFound, w.do(root, http.MethodPost, "/v1/functions/nothing/invoke", `{}`).Code)
		assert.Equal(t, "Invalid", order[admin.Result](w, root, http.MethodPost, path, `{"text":"{"}`).Kind)
		assert.Equal(t, http.StatusBadRequest, w.do(root, http.MethodPost, path, `{"text":"","input":1}`).Code)
	})
}

func TestJobsAreCanceledReplayedAndPurgedOneByOneAndInBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		faas.Register(w.router, "mail", func(context.Context, string) (string, error) { return "", faas.Permanent(errors.New("no such box")) })
		send := func(tenant string, opts ...faas.SendOption) string {
			job, err := w.router.Send(faas.WithTenant(t.Context(), tenant), "mail", []byte(`"ana"`), opts...)
			require.NoError(t, err)
			return job.ID().String()
		}
		dead := send("acme")
		send("bolt")
		waits := send("acme", faas.WithDelay(time.Hour))
		synctest.Wait()

		groups := get[admin.DeadLetters](w, root, "/v1/dead-letters").Groups
		require.Len(t, groups, 1)
		assert.Equal(t, []any{admin.Count(2), "Permanent", []string{"acme", "bolt"}}, []any{groups[0].Count, groups[0].Condition, groups[0].Tenants})
		assert.Len(t, get[admin.Jobs](w, acme, "/v1/jobs").Jobs, 2)
		page := get[admin.Jobs](w, root, "/v1/jobs?limit=2")
		require.Len(t, page.Jobs, 2)
		rest := get[admin.Jobs](w, root, "/v1/jobs?limit=2&cursor="+page.Next)
		require.Len(t, rest.Jobs, 1)
		assert.Equal(t, []any{waits, "scheduled", "due"}, []any{rest.Jobs[0].ID, rest.Jobs[0].State, rest.Jobs[0].Waiting.For})
		assert.Equal(t, `"ana"`, *get[admin.Data](w, root, "/v1/jobs/"+dead+"/input").Text)
		assert.Equal(t, "no such box", *get[admin.Job](w, root, "/v1/jobs/"+dead).Last.Error)
		assert.Nil(t, get[admin.Job](w, viewer, "/v1/jobs/"+dead).Last.Error)

		again := order[admin.Job](w, root, http.MethodPost, "/v1/jobs/"+dead+"/replay", `{"input":"bo"}`)
		assert.Equal(t, dead, again.ReplayOf)
		synctest.Wait()
		assert.Equal(t, "canceled", order[admin.Job](w, root, http.MethodPost, "/v1/jobs/"+waits+"/cancel", ``).State)
		assert.Equal(t, "conflict", problem(t, w.do(root, http.MethodPost, "/v1/jobs/"+dead+"/cancel", ``)).Reason)

		count := order[admin.Bulk](w, acme, http.MethodPost, "/v1/jobs/replay", `{"filter":{"states":["dead"]}}`)
		assert.Equal(t, admin.Bulk{Matched: 2, Dry: true}, count)
		assert.Equal(t, http.StatusConflict, w.do(acme, http.MethodPost, "/v1/jobs/replay", `{"filter":{"states":["dead"]},"expect":3}`).Code)
		done := order[admin.Bulk](w, acme, http.MethodPost, "/v1/jobs/replay", `{"filter":{"states":["dead"]},"expect":2}`)
		assert.Equal(t, admin.Count(2), done.Done)
		assert.Len(t, done.Jobs, 2)
		synctest.Wait()
		purged := order[admin.Bulk](w, acme, http.MethodPost, "/v1/jobs/purge", `{"filter":{},"expect":5}`)
		assert.Equal(t, admin.Count(5), purged.Done)
		assert.Len(t, get[admin.Jobs](w, root, "/v1/jobs").Jobs, 1, "that of another tenant")
		assert.Equal(t, admin.Bulk{Dry: true}, order[admin.Bulk](w, viewer, http.MethodPost, "/v1/jobs/purge", `{"filter":{}}`))
		assert.Equal(t, admin.ResultDenied, w.last().Result)
	})
}

func TestChangesAreRefusedUnlessTheHostHasEnabledThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.api = admin.Handler(w.router, admin.WithAuthorize(rules.Permit), admin.WithAudit(w.audit))
		assert.Equal(t, "writes", problem(t, w.do(root, http.MethodPut, "/v1/functions/export/limit", `{"limit":7}`)).Reason)
		assert.Equal(t, admin.ResultRefused, w.last().Result)
		assert.Equal(t, "absent", problem(t, w.do(viewer, http.MethodPut, "/v1/functions/export/limit", `{"limit":7}`)).Reason)
		info, err := w.router.Info("export")
		require.NoError(t, err)
		assert.Equal(t, 4, info.Limit)
	})
}

func TestARunawayIsShownWithItsStack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		faas.Register(w.router, "deaf", func(context.Context, struct{}) (struct{}, error) {
			<-release
			return struct{}{}, nil
		}, faas.WithTimeout(time.Second))
		require.ErrorIs(t, w.call("deaf", "acme", ""), faas.ErrTimeout)
		time.Sleep(time.Second)
		all := get[admin.Runaways](w, viewer, "/v1/runaways").Runaways
		require.Len(t, all, 1)
		assert.Equal(t, []any{"deaf", "acme", admin.Int(time.Second)}, []any{all[0].Function, all[0].Tenant, all[0].OverNS})
		stack := "/v1/runaways/" + all[0].ID + "/stack"
		assert.Contains(t, get[admin.Stack](w, root, stack).Stack, "TestARunawayIsShownWithItsStack")
		assert.Equal(t, http.StatusNotFound, w.do(viewer, http.MethodGet, stack, "").Code)
		assert.Equal(t, admin.StateStuck, get[admin.Function](w, root, "/v1/functions/deaf").State)
		close(release)
		synctest.Wait()
		assert.Empty(t, get[admin.Runaways](w, viewer, "/v1/runaways").Runaways)
	})
}
