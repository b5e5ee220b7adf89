package faastest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// slots is a correct gate: it admits n calls at a time, and others wait.
type slots struct {
	free chan struct{}
	n    int
}

func newSlots(n int) *slots {
	s := &slots{free: make(chan struct{}, n), n: n}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

func (s *slots) Admit(ctx context.Context, _ faas.Invocation) error {
	select {
	case <-s.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slots) Done(faas.Invocation, *faas.Execution) { s.free <- struct{}{} }

func (s *slots) held() int { return s.n - len(s.free) }

func TestGatePassesAnHonestOne(t *testing.T) {
	t.Parallel()
	faastest.TestGate(t, func(*testing.T) (faas.Gate, func() int) {
		s := newSlots(5)
		return s, s.held
	})
}

func TestGatePassesOneThatHoldsNothing(t *testing.T) {
	t.Parallel()
	faastest.TestGate(t, func(*testing.T) (faas.Gate, func() int) {
		return &countingGate{}, nil
	})
}

// countingGate counts the calls that it has admitted, and can have faults.
type countingGate struct {
	admit func(ctx context.Context) error
	done  func(e *faas.Execution) (back int)

	mu sync.Mutex
	n  int
}

func (g *countingGate) Admit(ctx context.Context, _ faas.Invocation) error {
	if g.admit != nil {
		if err := g.admit(ctx); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
	return nil
}

func (g *countingGate) Done(_ faas.Invocation, e *faas.Execution) {
	back := 1
	if g.done != nil {
		back = g.done(e)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n -= back
}

func (g *countingGate) held() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

type gateCheck interface {
	Balance()
	Refused()
	CallersContext()
	IsDone()
	Record()
}

func gateFailures(t *testing.T, g *countingGate, check func(gateCheck)) string {
	t.Helper()
	tb := &fakeTB{TB: t}
	synctest.Test(t, func(t *testing.T) {
		tb.TB = t
		check(faastest.GateCheck(tb, g, g.held))
	})
	return tb.failed()
}

func backIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func TestGateCatches(t *testing.T) {
	t.Parallel()
	var kept []*faas.Execution
	for name, c := range map[string]struct {
		gate  *countingGate
		check func(gateCheck)
		want  string
	}{
		"no fault": {&countingGate{}, gateCheck.Balance, ""},
		"a gate that keeps what failed": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e.Outcome != faas.Failed)
		}}, gateCheck.Balance, "holds 16 when all calls are over"},
		"a gate that keeps what was canceled": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e.Outcome != faas.Canceled)
		}}, gateCheck.Balance, "holds 16 when all calls are over"},
		"a gate that keeps what timed out": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e.Outcome != faas.TimedOut)
		}}, gateCheck.Balance, "holds 32 when all calls are over"},
		"a gate that keeps what exited or panicked": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e.Outcome != faas.Exited && e.Outcome != faas.Panicked)
		}}, gateCheck.Balance, "holds 32 when all calls are over"},
		"a gate that keeps what was refused": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e != nil)
		}}, gateCheck.Refused, "holds 112 when all calls are over"},
		"a gate that panics for refused calls": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e.Outcome == faas.OK)
		}}, gateCheck.Refused, "panicked in 112 calls"},
		"a gate that panics for refused calls, directly": {&countingGate{done: func(e *faas.Execution) int {
			return backIf(e.Outcome <= faas.InitFailed)
		}}, gateCheck.IsDone, "Done panicked"},
		"a gate that says no to everything": {&countingGate{admit: func(context.Context) error {
			return errors.New("no")
		}}, gateCheck.Balance, "refused every call"},
		"a gate that says no to everything, directly": {&countingGate{admit: func(context.Context) error {
			return errors.New("no")
		}}, gateCheck.Record, "refused a call"},
		"a gate that panics when the context has ended": {&countingGate{admit: func(ctx context.Context) error {
			if ctx.Err() != nil {
				panic(ctx.Err())
			}
			return nil
		}}, gateCheck.CallersContext, "Admit panicked: context canceled"},
		"a gate that waits longer than the context": {&countingGate{admit: func(context.Context) error {
			time.Sleep(time.Minute)
			return nil
		}}, gateCheck.CallersContext, "Admit took 1m0s although its context ended after 1s"},
		"a gate that waits when the context has ended": {&countingGate{admit: func(context.Context) error {
			time.Sleep(time.Second)
			return nil
		}}, gateCheck.CallersContext, "Admit took 1s although its context has ended before"},
		"a gate that waits in Done": {&countingGate{done: func(*faas.Execution) int {
			time.Sleep(time.Second)
			return 1
		}}, gateCheck.IsDone, "Done took 1s"},
		"a gate that keeps the record": {&countingGate{done: func(e *faas.Execution) int {
			kept = append(kept, e)
			return 1
		}}, gateCheck.Record, "keeps the record"},
		"a gate that keeps what it gave back twice": {&countingGate{done: func(*faas.Execution) int {
			return 2
		}}, gateCheck.IsDone, "holds -9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := gateFailures(t, c.gate, c.check)
			if c.want == "" {
				assert.Empty(t, got)
			} else {
				assert.Contains(t, got, c.want)
			}
		})
	}
}

func TestGateCatchesAGateThatIsBlockedForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		g := &countingGate{admit: func(context.Context) error { <-stop; return nil }}
		tb := &fakeTB{TB: t}
		faastest.GateCheck(tb, g, nil).Record()
		assert.Contains(t, tb.failed(), "Admit is blocked for good")
		close(stop)
	})
}

// keeper keeps the record, and only the check refers to the keeper.
type keeper struct{ last *faas.Execution }

func (*keeper) Admit(context.Context, faas.Invocation) error { return nil }
func (k *keeper) Done(_ faas.Invocation, e *faas.Execution)  { k.last = e }

func TestGateCatchesAGateThatIsCollectedWithTheRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := &fakeTB{TB: t}
		faastest.GateCheck(tb, &keeper{}, nil).Record()
		assert.Contains(t, tb.failed(), "keeps the record")
	})
}
