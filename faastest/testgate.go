package faastest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/inproc/faas"
)

// TestGate checks that a [faas.Gate] keeps to what the router relies on, in
// subtests of t. Call it from the tests of the package that implements one:
//
//	func TestGateConforms(t *testing.T) {
//		faastest.TestGate(t, func(t *testing.T) (faas.Gate, func() int) {
//			g := budget.NewGate(1_000_000)
//			return g, g.Reserved
//		})
//	}
//
// newGate is called for each subtest, with the subtest's t, and returns a new
// gate that says yes at first, to a function it has not heard of and for
// nobody in particular, and a function that tells how much the gate holds for calls that
// are not over: slots, reserved money. The function may be nil for a gate that
// holds nothing. The subtests run in bubbles of [testing/synctest]: what newGate
// starts has to end in t.Cleanup, and must not be shared with what is outside.
//
// It checks that
//
//   - the gate holds nothing when all calls are over, however they ended: with a
//     record of any outcome, or refused after its yes, for which it gets Done
//     with nil; and that many calls at once do not confuse it;
//   - Admit returns when the caller's context ends, also if it had ended before;
//     yes or no is up to the gate;
//   - Done does not wait: not for time to pass, nor for another goroutine that
//     waits. Waiting for a disk or a network can't be seen;
//   - the record given to Done is not kept;
//   - nothing panics.
func TestGate(t *testing.T, newGate func(t *testing.T) (g faas.Gate, held func() int)) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(gateCheck)
	}{
		{"holds nothing after the last call", gateCheck.balance},
		{"holds nothing for refused calls", gateCheck.refused},
		{"heeds the caller's context", gateCheck.callersContext},
		{"is done at once", gateCheck.done},
		{"does not keep the record", gateCheck.record},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, held := newGate(t)
				c.check(gateCheck{TB: t, g: g, held: held})
			})
		})
	}
}

// gateCheck is one subtest of TestGate, as meterCheck is of TestMeter.
type gateCheck struct {
	testing.TB
	g    faas.Gate
	held func() int
}

const (
	gateCallers = 8
	gateCalls   = 14 // of each caller: twice each outcome
)

// balance has calls end in all ways there are.
func (c gateCheck) balance() {
	c.Helper()
	// One kind of call runs on for a second: it is meant to, and not worth a warning.
	r := New(c.TB, faas.WithGate(c.g), faas.WithTimeout(time.Second), faas.WithStuck(time.Hour, nil))
	f := faas.Register(r, "gate-test", gateTestHandler)
	var wg sync.WaitGroup
	for range gateCallers {
		wg.Go(func() {
			for i := range gateCalls {
				ctx, cancel := context.WithTimeout(context.Background(), gatePatience(i))
				_, _ = f.Invoke(ctx, i) // what it comes to is told to the gate
				cancel()
			}
		})
	}
	wg.Wait()
	c.settled(r, r.Stats().Admitted)
}

// gatePatience is the caller's: one kind of call ends as Canceled.
func gatePatience(i int) time.Duration {
	if i%7 == 6 {
		return time.Millisecond
	}
	return time.Hour
}

func gateTestHandler(ctx context.Context, i int) (int, error) {
	switch i % 7 {
	case 1:
		return 0, errors.New("failed for the test")
	case 2:
		panic("panicked for the test")
	case 3:
		runtime.Goexit()
	case 4: // TimedOut
		<-ctx.Done()
	case 5: // TimedOut, and a runaway
		time.Sleep(2 * time.Second)
	case 6: // Canceled
		<-ctx.Done()
	}
	return i, nil
}

// settled looks at the gate when no call is left.
func (c gateCheck) settled(r *faas.Router, yes uint64) {
	c.Helper()
	if n := r.Stats().HookPanics; n > 0 {
		c.Errorf("the gate panicked in %d calls; see the log", n)
	}
	if yes == 0 {
		c.Errorf("the gate refused every call; newGate has to return one that says yes at first")
	}
	c.holdsNothing()
}

func (c gateCheck) holdsNothing() {
	c.Helper()
	if c.held == nil {
		return
	}
	if n := c.held(); n != 0 {
		c.Errorf("the gate holds %d when all calls are over", n)
	}
}

// refused has another gate, asked later, say no to everything.
func (c gateCheck) refused() {
	c.Helper()
	later := &refusingGate{}
	r := New(c.TB, faas.WithGate(c.g, later))
	f := faas.Register(r, "gate-test", gateTestHandler)
	var wg sync.WaitGroup
	for range gateCallers {
		wg.Go(func() {
			for range gateCalls {
				_, _ = f.Invoke(context.Background(), 0) // refused
			}
		})
	}
	wg.Wait()
	c.settled(r, later.asked.Load())
}

// refusingGate says no, and counts.
type refusingGate struct{ asked atomic.Uint64 }

func (g *refusingGate) Admit(context.Context, faas.Invocation) error {
	g.asked.Add(1)
	return errors.New("refused for the test")
}

func (g *refusingGate) Done(faas.Invocation, *faas.Execution) {}

// callersContext asks until the gate says no, or has said yes often.
func (c gateCheck) callersContext() {
	c.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var yes []faas.Invocation
	for range 2 {
		if ok, inv := c.admit(ended, "its context has ended before", 0); ok {
			yes = append(yes, inv)
		}
	}
	for range many {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		ok, inv := c.admit(ctx, "its context ended after 1s", time.Second)
		cancel()
		if !ok {
			break
		}
		yes = append(yes, inv)
	}
	for _, inv := range yes {
		c.callDone(inv, nil)
	}
	c.holdsNothing()
}

// admit asks the gate, and reports if it takes longer than its context lasts.
func (c gateCheck) admit(ctx context.Context, when string, lasts time.Duration) (ok bool, inv faas.Invocation) {
	c.Helper()
	inv = faas.Invocation{ID: newID(), Function: "gate-test", Version: "$LATEST", Attempt: 1, Timeout: time.Second, Memory: 128 << 20}
	start := time.Now()
	answer := make(chan error, 1)
	go func() {
		answer <- c.call("Admit", func() error { return c.g.Admit(ctx, inv) })
	}()
	select {
	case err := <-answer:
		if d := time.Since(start); d > lasts {
			c.Errorf("Admit took %v although %s", d, when)
		}
		return err == nil, inv
	case <-time.After(forever):
		c.Errorf("Admit is blocked for good although %s", when)
		return false, inv
	}
}

// call calls a method of the gate, and reports its panic.
func (c gateCheck) call(what string, f func() error) (err error) {
	c.Helper()
	defer func() {
		c.Helper()
		if p := recover(); p != nil {
			c.Errorf("%s panicked: %v", what, p)
			err = fmt.Errorf("%s panicked", what)
		}
	}()
	return f()
}

func (c gateCheck) callDone(inv faas.Invocation, e *faas.Execution) bool {
	c.Helper()
	return returnsAtOnce(c.TB, "Done", func() {
		_ = c.call("Done", func() error { c.g.Done(inv, e); return nil })
	})
}

// done ends calls one by one, with every outcome there is and with none.
func (c gateCheck) done() {
	c.Helper()
	for o := faas.OK; o <= faas.InitFailed+1; o++ { // the last stands for a call that was refused
		ok, inv := c.admitForTest()
		if !ok {
			return
		}
		e := gateTestExecution(inv, o)
		if o > faas.InitFailed {
			e = nil
		}
		if !c.callDone(inv, e) {
			return
		}
	}
	c.holdsNothing()
}

// admitForTest is a yes that a check needs.
func (c gateCheck) admitForTest() (bool, faas.Invocation) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ok, inv := c.admit(ctx, "its context ended after 1s", time.Second)
	if !ok {
		c.Errorf("the gate refused a call; newGate has to return one that says yes at first")
	}
	return ok, inv
}

func gateTestExecution(inv faas.Invocation, o faas.Outcome) *faas.Execution {
	e := &faas.Execution{
		ID: inv.ID, Function: inv.Function, Version: inv.Version, Attempt: inv.Attempt,
		Outcome: o, Start: time.Now(), Memory: inv.Memory,
	}
	if o != faas.OK {
		e.Err = fmt.Errorf("%v for the test", o)
	}
	return e
}

// record looks whether the garbage collector can have the record after Done.
func (c gateCheck) record() {
	c.Helper()
	ok, inv := c.admitForTest()
	if !ok {
		return
	}
	p := c.doneWith(inv)
	runtime.GC()
	if p.Value() != nil {
		c.Errorf("the gate keeps the record that it was given: copy what is needed")
	}
	runtime.KeepAlive(c.g) // or the record would go with the gate that keeps it
}

// doneWith is apart so that no frame is left that refers to the record.
//
//go:noinline
func (c gateCheck) doneWith(inv faas.Invocation) weak.Pointer[faas.Execution] {
	e := gateTestExecution(inv, faas.OK)
	p := weak.Make(e)
	c.callDone(inv, e)
	return p
}
