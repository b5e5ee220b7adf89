package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/examples/internal/table"
)

// agent calls tools for a tenant, again and again.
type agent struct {
	tenant  string
	callers int           // how many goroutines call at once
	pause   time.Duration // the pause of each between two calls
}

var agents = []agent{{"calm", 1, 40 * time.Millisecond}, {"eager", 4, 5 * time.Millisecond}, {"steady", 1, 20 * time.Millisecond}}

// daily is each agent's budget for a day. It is so small that it can be spent within a second.
const daily = "0.0004 USD"

// host is a router with tools, a budget and a ledger.
type host struct {
	router  *faas.Router
	tools   []*faas.Function[string, string]
	ledger  *cost.Ledger
	budgets *cost.Budgets
	book    *cost.Book

	mu      sync.Mutex
	answers map[string]*answers // by tenant
}

// answers counts how a tenant's calls ended.
type answers struct {
	ok, refused, failed int
	refusal             *faas.Error // the last refusal with a RetryAfter
}

func newHost(book *cost.Book) (*host, error) {
	limit, err := cost.ParseMoney(daily)
	if err != nil {
		return nil, err
	}
	// The bill is for today. The time zone is one in which the day does not end while this program runs.
	today := cost.Calendar{Every: cost.Day, Zone: whereItIsNoon(time.Now())}
	h := &host{book: book, ledger: cost.NewLedger(today, book), answers: make(map[string]*answers)}
	h.budgets, err = cost.NewBudgets(cost.Budget{
		Name:     "agents",
		Limit:    cost.Spend(limit, book),
		Per:      cost.Tenant,
		Calendar: cost.Calendar{Every: cost.Day},
		Reserve:  true,
		Logger:   slog.New(slog.DiscardHandler), // the table shows the same
	})
	if err != nil {
		return nil, err
	}
	for _, a := range agents {
		h.answers[a.tenant] = new(answers)
	}
	// The budget is a gate, which decides before a call is admitted, and also a meter, which gets the runaways' records.
	h.router = faas.New(faas.WithGate(h.budgets), faas.WithMeter(h.budgets), faas.WithMeter(h.ledger), faas.WithTimeout(250*time.Millisecond))
	h.tools = []*faas.Function[string, string]{
		faas.Register(h.router, "search", work(20*time.Millisecond), faas.WithMemory(256<<20)),
		faas.Register(h.router, "summarize", work(60*time.Millisecond), faas.WithMemory(8<<30)),
	}
	return h, nil
}

// work returns a tool that waits for another service, as most tools do.
func work(d time.Duration) faas.Handler[string, string] {
	return func(ctx context.Context, question string) (string, error) {
		return "an answer to " + question, sleep(ctx, d)
	}
}

// live makes the agents call the tools for the time d. Meanwhile it draws a line on screen; at the end it prints a report
// to stdout.
func live(ctx context.Context, book *cost.Book, d time.Duration, stdout, screen io.Writer) error {
	book = book.AnyTime() // prices for any date, because a test's clock begins in 2000
	h, err := newHost(book)
	if err != nil {
		return err
	}
	defer h.router.Close()
	fmt.Fprintf(stdout, "Live, for %s: %d agents call %d tools. Each has a budget of %s a day.\n\n", d, len(agents), len(h.tools), daily)

	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	for _, a := range agents {
		for range a.callers {
			wg.Go(func() { h.callAll(limited, a) })
		}
	}
	wg.Go(func() { h.draw(limited, screen) })
	wg.Wait()
	if err := h.router.Shutdown(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	bill, err := h.ledger.Statement(start, book)
	if err != nil {
		return err
	}
	h.print(stdout, bill)
	if ctx.Err() != nil {
		fmt.Fprintln(stdout, "Interrupted; the calls that had begun were finished.")
	}
	return nil
}

// callAll calls the tools in turn, until ctx ends. A call that has begun then is not cut short. A refused call has a
// Retry-After, which callAll ignores: it calls again after the usual pause.
func (h *host) callAll(ctx context.Context, a agent) {
	tenant := faas.WithTenant(context.WithoutCancel(ctx), a.tenant)
	for i := 0; ctx.Err() == nil; i++ {
		_, err := h.tools[i%len(h.tools)].Invoke(tenant, "life")
		h.count(a.tenant, err)
		_ = sleep(ctx, a.pause) // the loop sees when ctx ends
	}
}

func (h *host) count(tenant string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.answers[tenant]
	var refusal *faas.Error
	switch {
	case err == nil:
		a.ok++
	case errors.Is(err, cost.ErrBudget) && errors.As(err, &refusal):
		a.refused++
		if refusal.RetryAfter > 0 { // 0 means that the rest of the budget is only reserved, and running calls may leave some of it
			a.refusal = refusal
		}
	default: // on a very busy machine, calls can time out
		a.failed++
	}
}

// draw updates one line on the screen until ctx ends, and then removes it.
func (h *host) draw(ctx context.Context, screen io.Writer) {
	if screen == io.Discard {
		return
	}
	for ctx.Err() == nil {
		if s, err := h.ledger.Statement(time.Now(), h.book); err == nil {
			fmt.Fprintf(screen, "\r%d calls, %s so far, %d refused ", s.Total.Calls, dollars(s.Total.Billed, 9), h.router.Stats().Rejected[cost.ReasonBudget])
		}
		_ = sleep(ctx, 50*time.Millisecond) // the loop sees when ctx ends
	}
	fmt.Fprint(screen, "\r\x1b[K")
}

func (h *host) print(w io.Writer, bill cost.Statement) {
	h.printAgents(w)
	for _, a := range agents {
		if refusal := h.answers[a.tenant].refusal; refusal != nil {
			fmt.Fprintf(w, "\n%s is told: %v\nRetry after: %s\n", a.tenant, refusal, refusal.RetryAfter.Round(time.Second))
		}
	}
	stats := h.router.Stats()
	fmt.Fprintf(w, "\n%d calls refused by the budget, before a handler ran. %d admitted, %d on the bill, which is exactly %s:\nthat is %s by list price, as the budgets count, and what is left of it after the free tier.\n",
		stats.Rejected[cost.ReasonBudget], stats.Admitted, bill.Total.Calls, bill.Total.Billed, dollars(bill.Total.List, 9))
}

func (h *host) printAgents(w io.Writer) {
	t := table.New("AGENT", "OK", "FAILED", "REFUSED", "SPENT", "LEFT")
	for _, a := range agents {
		got := h.answers[a.tenant]
		b, _ := h.budgets.Balance("agents", a.tenant)
		t.Line(a.tenant, got.ok, got.failed, got.refused, dollars(b.Spent.Money(), 9), dollars(b.Left.Money(), 9))
	}
	t.Print(w)
}

// sleep waits for d, or returns ctx's error if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
