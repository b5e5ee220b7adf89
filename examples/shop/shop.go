package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/trigger/faascron"
)

// shop is a host of eight functions, with everything that records what they do.
type shop struct {
	*faas.Router
	recorder *observe.Recorder
	book     *cost.Book
	ledger   *cost.Ledger
	budgets  *cost.Budgets
	ring     *faas.Ring
	tail     *observe.RecentLog

	closed chan struct{} // closed when the shop closes

	timer *faascron.Timer
	fraud *faas.Function[order, bool]
	mail  *faas.Function[letter, string]
}

// tenants are the customers of the shop, each with its share of the traffic and its budget for a day. The last one spends
// its budget within a minute or two.
var tenants = []struct {
	name   string
	share  float64
	budget string
}{
	{"acme", 0.46, "2.00 USD"}, {"initech", 0.30, "1.20 USD"}, {"umbrella", 0.20, "0.40 USD"}, {"globex", 0.04, "0.0005 USD"},
}

// newShop makes the host. The lines of its log are also written to log.
func newShop(log io.Writer) (*shop, error) {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		return nil, err
	}
	s := &shop{
		book:     book,
		recorder: observe.NewRecorder(observe.WithBooks(book)),
		ledger:   cost.NewLedger(cost.Calendar{Every: cost.Day}, book),
		ring:     faas.NewRing(2000, 8<<20, func(key string) bool { return strings.EqualFold(key, "token") || strings.EqualFold(key, "card") }).KeepErrors(),
		tail:     observe.Tail(2000),
		closed:   make(chan struct{}),
	}
	logger := slog.New(slog.NewMultiHandler(s.tail, slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if s.budgets, err = newBudgets(book, logger); err != nil {
		return nil, err
	}
	s.Router = s.router(logger)
	if err := s.register(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// router makes the router, with all recorders.
func (s *shop) router(logger *slog.Logger) *faas.Router {
	calls := observe.Log(logger, observe.WithSampling(100), observe.WithBilled(s.book.Rounding()))
	return faas.New(
		faas.WithCapacity(20), faas.WithLogger(logger), faas.WithGate(s.budgets), faas.WithMeter(s.budgets), faas.WithMeter(s.ledger),
		faas.WithMeter(s.recorder), faas.WithRefusals(s.recorder.Refused), faas.WithDecisions(s.recorder.Decided),
		faas.WithMeter(calls), faas.WithRefusals(calls.Refused), faas.WithCapture(s.ring),
	)
}

// newBudgets gives each tenant its budget, which is spent by list price.
func newBudgets(book *cost.Book, logger *slog.Logger) (*cost.Budgets, error) {
	other, err := cost.ParseMoney("1 USD")
	if err != nil {
		return nil, err
	}
	budgets, err := cost.NewBudgets(cost.Budget{
		Name: "daily", Limit: cost.Spend(other, book), Per: cost.Tenant, Calendar: cost.Calendar{Every: cost.Day}, WarnAt: []int{50, 80, 100}, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	for _, t := range tenants {
		money, err := cost.ParseMoney(t.budget)
		if err == nil {
			err = budgets.SetLimit("daily", t.name, cost.Spend(money, book))
		}
		if err != nil {
			return nil, err
		}
	}
	return budgets, nil
}

// register registers the functions. At first the alias "resize:live" and the plain name "resize" call version 7.
func (s *shop) register() error {
	team := func(name string) faas.Option { return faas.WithLabels(map[string]string{"team": name}) }
	faas.Register(s.Router, "price", price, team("goods"), faas.WithConcurrency(32), faas.WithMemory(128<<20))
	faas.Register(s.Router, "search", search, team("goods"), faas.WithConcurrency(24), faas.WithMemory(512<<20))
	s.fraud = faas.Register(s.Router, "fraud", fraud, team("payments"), faas.WithConcurrency(8), faas.WithMemory(256<<20))
	faas.Register(s.Router, "checkout", s.checkout, team("payments"), faas.WithConcurrency(16), faas.WithTimeout(5*time.Second), faas.WithMemory(256<<20))
	faas.Register(s.Router, "export", s.export, team("reports"), faas.WithConcurrency(8), faas.WithQueue(16), faas.WithTimeout(3*time.Second), faas.WithMemory(2<<30))
	faas.Register(s.Router, "nightly", nightly, team("reports"), faas.WithConcurrency(1), faas.WithMemory(1<<30))
	s.mail = faas.Register(s.Router, "mail", send, team("outbound"), faas.WithConcurrency(8), faas.WithMemory(128<<20),
		faas.WithRetry(faas.Retry{Max: 2, First: 2 * time.Second, Factor: 2}))
	for n, h := range map[int]faas.Handler[picture, int]{7: resize, 8: resizeFaulty} {
		faas.RegisterInit(s.Router, "resize", started(h, 210*time.Millisecond), team("media"), faas.WithVersion(n), faas.WithConcurrency(16), faas.WithQueue(32),
			faas.WithQueueTimeout(2*time.Second), faas.WithTimeout(5*time.Second), faas.WithMemory(1<<30), faas.WithScaler(faas.ConcurrencyScaler{}))
	}
	var err error
	s.timer, err = faascron.Every(s.Router, "nightly", "0 2 * * *", faascron.In("Europe/Berlin"), faascron.Name("nightly"))
	return errors.Join(err,
		s.SetAlias("resize", "live", faas.Weights{7: 100}, faas.WithActor("ci-deploy")),
		s.SetAlias("resize", "", faas.Weights{7: 100}, faas.WithActor("ci-deploy")),
	)
}

// release gives version 8 of resize a part of the calls, as a deployment would.
func (s *shop) release(ctx context.Context, after time.Duration) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(after):
	}
	err := s.SetAlias("resize", "live", faas.Weights{7: 60, 8: 40}, faas.WithActor("ci-deploy"), faas.WithDescription("wider pictures"))
	if err != nil {
		slog.Error("release", "error", err)
	}
}
