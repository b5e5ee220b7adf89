package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/observe"
)

// The principals of the tests.
var (
	root   = access.Principal{Kind: access.User, ID: "root", Roles: []string{"root"}}
	viewer = access.Principal{Kind: access.User, ID: "viewer", Roles: []string{"viewer"}}              // may see everything, and do nothing else
	acme   = access.Principal{Kind: access.User, ID: "ana", Tenant: "acme", Roles: []string{"tenant"}} // may do everything for its tenant
	other  = access.Principal{Kind: access.User, ID: "olga", Tenant: "bolt", Roles: []string{"other"}} // may do everything with another function
	nobody = access.Principal{}                                                                        // not a principal
	rules  = access.Rules{
		{Functions: []string{"*"}, Roles: []string{"root"}, AnyTenant: true, Rights: access.Rights()},
		{Functions: []string{"*"}, Roles: []string{"viewer"}, AnyTenant: true, Rights: []access.Right{access.See}},
		{Functions: []string{"*"}, Roles: []string{"tenant"}, Rights: access.Rights()},
		{Functions: []string{"export"}, Roles: []string{"other"}, AnyTenant: true, Rights: access.Rights()},
	}
)

type photo struct {
	URL   string `json:"url"`
	Width int64  `json:"width"`
}

// world is a host with all parts of the API.
type world struct {
	tb      testing.TB
	router  *faas.Router
	ring    *faas.Ring
	rec     *observe.Recorder
	tail    *observe.RecentLog
	ledger  *cost.Ledger
	budgets *cost.Budgets
	api     http.Handler

	mu      sync.Mutex
	entries []admin.Entry
}

var errBadURL = errors.New("no image at that URL")

// newWorld makes a host with two functions: resize, which has the versions 1 and 2 and the
// alias live, and export.
func newWorld(tb testing.TB, opts ...admin.Option) *world {
	tb.Helper()
	book, err := cost.Preset("aws-lambda-x86")
	require.NoError(tb, err)
	w := &world{
		tb: tb, ring: faas.NewRing(100, 1<<20, func(key string) bool { return key == "password" }), rec: observe.NewRecorder(observe.WithBooks(book)),
		tail: observe.Tail(100), ledger: cost.NewLedger(cost.Calendar{}, book),
	}
	w.budgets, err = cost.NewBudgets(cost.Budget{Name: "calls", Limit: cost.Calls(100), Per: cost.Tenant})
	require.NoError(tb, err)
	logger := slog.New(w.tail)
	w.router = faastest.New(tb, faas.WithLogger(logger), faas.WithMeter(w.rec), faas.WithRefusals(w.rec.Refused), faas.WithMeter(w.ledger),
		faas.WithGate(w.budgets), faas.WithCapture(w.ring), faas.WithMeter(observe.Log(logger)))
	resize := func(version int) faas.Handler[photo, photo] {
		return func(ctx context.Context, in photo) (photo, error) {
			faas.Logger(ctx).Info("resizing", "url", in.URL)
			if in.URL == "" {
				return photo{}, fmt.Errorf("version %d: %w", version, errBadURL)
			}
			return in, nil
		}
	}
	for _, n := range []int{1, 2} {
		faas.Register(w.router, "resize", resize(n), faas.WithVersion(n))
	}
	require.NoError(tb, w.router.SetAlias("resize", "", faas.Weights{1: 1}))
	require.NoError(tb, w.router.SetAlias("resize", "live", faas.Weights{1: 90, 2: 10}))
	faas.Register(w.router, "export", func(context.Context, struct{}) (string, error) { return "done", nil }, faas.WithConcurrency(4))
	all := append([]admin.Option{
		admin.WithAuthorize(rules.Permit), admin.WithAudit(w.audit), admin.WithWrites(), admin.WithName("host"), admin.WithRecorder(w.rec),
		admin.WithRing(w.ring), admin.WithTail(w.tail), admin.WithLedger(w.ledger, book), admin.WithBudgets(w.budgets),
	}, opts...)
	w.api = admin.Handler(w.router, all...)
	return w
}

func (w *world) audit(e admin.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = append(w.entries, e)
}

// books returns the price list of the world.
func (w *world) books() *cost.Book {
	book, err := cost.Preset("aws-lambda-x86")
	require.NoError(w.tb, err)
	return book
}

// last returns the newest audit entry.
func (w *world) last() admin.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(w.tb, w.entries)
	return w.entries[len(w.entries)-1]
}

// call calls a function for a tenant.
func (w *world) call(function, tenant, payload string) error {
	_, err := w.router.Invoke(faas.WithTenant(w.tb.Context(), tenant), function, []byte(payload))
	return err
}

// request makes a request with the principal who, as a front would.
func (w *world) request(who access.Principal, method, path, body string) *http.Request {
	r := httptest.NewRequestWithContext(access.WithPrincipal(w.tb.Context(), who), method, path, strings.NewReader(body))
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// do sends a request, and returns the answer.
func (w *world) do(who access.Principal, method, path, body string) *httptest.ResponseRecorder {
	a := httptest.NewRecorder()
	w.api.ServeHTTP(a, w.request(who, method, path, body))
	return a
}

// get sends a GET request and decodes its answer as a T. It fails the test if the answer is an
// error.
func get[T any](w *world, who access.Principal, path string) (out T) {
	w.tb.Helper()
	return decode[T](w.tb, w.do(who, http.MethodGet, path, ""))
}

func decode[T any](tb testing.TB, a *httptest.ResponseRecorder) (out T) {
	tb.Helper()
	require.Equal(tb, http.StatusOK, a.Code, a.Body.String())
	require.Equal(tb, "application/json", a.Header().Get("Content-Type"))
	dec := json.NewDecoder(a.Body)
	dec.DisallowUnknownFields()
	require.NoError(tb, dec.Decode(&out))
	return out
}

// problem decodes an answer that is a problem.
func problem(tb testing.TB, a *httptest.ResponseRecorder) (p admin.Problem) {
	tb.Helper()
	require.Equal(tb, "application/problem+json", a.Header().Get("Content-Type"))
	require.NoError(tb, json.Unmarshal(a.Body.Bytes(), &p))
	require.Equal(tb, a.Code, p.Status)
	return p
}
