package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// trial is the name of an agent that may make a few calls a day, and tries more. The other agents have no budget.
const (
	trial      = "trial"
	tenant     = "client:" + trial // the agent's tenant in the router
	trialCalls = 10
	trialAsks  = 30
)

// allowance is the trial agent's budget, and the number of handlers that ran for this agent.
type allowance struct {
	budgets *cost.Budgets
	ran     atomic.Int64
}

func newAllowance() (*allowance, error) {
	budgets, err := cost.NewBudgets(cost.Budget{
		Name:     "trial of the tools",
		Limit:    cost.Calls(trialCalls),
		Where:    map[cost.Dimension]string{cost.Tenant: tenant},
		Calendar: cost.Calendar{Every: cost.Day},
		Logger:   slog.New(slog.DiscardHandler), // the program prints the same
	})
	return &allowance{budgets: budgets}, err
}

// options returns the options of the router: the budget is a gate, which decides before a call is admitted.
func (a *allowance) options() []faas.RouterOption {
	return []faas.RouterOption{faas.WithGate(a.budgets), faas.WithMiddleware(a.count)}
}

// count is a middleware around every handler. It counts the handlers that run for the trial agent.
func (a *allowance) count(next faas.Runner) faas.Runner {
	return func(ctx context.Context, inv faas.Invocation) error {
		if inv.Tenant == tenant {
			a.ran.Add(1)
		}
		return next(ctx, inv)
	}
}

// overspend makes all calls of the agent at once, and prints how they ended.
func (a *allowance) overspend(ctx context.Context, server *mcp.Server, stdout io.Writer) error {
	agent, err := connect(ctx, server, trial)
	if err != nil {
		return err
	}
	defer agent.close()
	var got spending
	var wg sync.WaitGroup
	for i := range trialAsks {
		wg.Go(func() {
			start := time.Now()
			_, err := agent.call(ctx, "search", fmt.Sprintf("question %d", i))
			got.add(err, time.Since(start))
		})
	}
	wg.Wait()
	if got.unexpected != nil {
		return got.unexpected
	}
	fmt.Fprintf(stdout, "An agent with a budget of %d calls a day asks %d times at once: %d answers, %d refusals after %s at most, %d runs of a handler.\n",
		trialCalls, trialAsks, got.ok, got.refused, ms(got.slowestRefusal), a.ran.Load())
	fmt.Fprintf(stdout, "It is told to try again in %s.\n", got.retryAfter.Round(time.Second))
	return nil
}

// spending counts how the agent's calls ended.
type spending struct {
	mu             sync.Mutex
	ok, refused    int
	slowestRefusal time.Duration
	retryAfter     time.Duration
	unexpected     error // any other error
}

func (s *spending) add(err error, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var refusal *toolError
	switch {
	case err == nil:
		s.ok++
	case errors.As(err, &refusal) && refusal.Reason == cost.ReasonBudget:
		s.refused++
		s.slowestRefusal = max(s.slowestRefusal, took)
		s.retryAfter = time.Duration(refusal.RetryAfterMs) * time.Millisecond
	default:
		s.unexpected = err
	}
}
