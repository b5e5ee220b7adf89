package access_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

var (
	ana = access.Principal{Kind: access.User, ID: "ana", Tenant: "acme", Roles: []string{"clerk"}}
	bob = access.Principal{Kind: access.User, ID: "bob", Tenant: "bolt"}
)

func as(t *testing.T, p access.Principal) context.Context {
	t.Helper()
	return faas.WithTenant(access.WithPrincipal(t.Context(), p), p.Tenant)
}

// book is a writer for logs that keeps their text.
type book struct{ logtest.Text }

func (b *book) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// site is a router behind an authorizer, with a function that counts its calls.
type site struct {
	*faas.Router
	records faastest.Recorder
	entered atomic.Int64
	log     book
	f       *faas.Function[int, int]
}

func newSite(t *testing.T, authorize access.Authorize, opts ...access.Option) *site {
	t.Helper()
	s := &site{}
	gate := access.Authorizer(authorize, append([]access.Option{access.WithLogger(s.log.logger())}, opts...)...)
	s.Router = faastest.New(t, faas.WithGate(gate), faas.WithMeter(&s.records))
	s.f = faas.Register(s.Router, "f", func(_ context.Context, in int) (int, error) { s.entered.Add(1); return in, nil })
	return s
}

// ways are the two ways to run an authorizer: inline and on a goroutine.
func ways(t *testing.T, f func(t *testing.T, opts ...access.Option)) {
	t.Helper()
	t.Parallel()
	for name, opts := range map[string][]access.Option{"goroutine": nil, "inline": {access.WithInline()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, opts...) })
		})
	}
}
