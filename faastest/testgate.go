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

// TestGate checks, in subtests of t, that a [faas.Gate] keeps the promises that
// the router relies on. Call it from the tests of the package that implements one:
//
//	func TestGateConforms(t *testing.T) {
//		faastest.TestGate(t, func(t *testing.T) (faas.Gate, func() int) {
//			g := budget.NewGate(1_000_000)
//			return g, g.Reserved
//		})
//	}
//
// Each subtest calls newGate with its own t. newGate returns a new gate, and a
// function that returns how much the gate holds for calls that are not over, for
// example slots or reserved money; nil stands for a gate that holds nothing. The
// gate must admit calls at first, also of a function that it does not know and
// without a tenant. The subtests run in bubbles of [testing/synctest]: goroutines
// that newGate starts must end in t.Cleanup and share nothing with code outside
// the bubble.
//
// It checks that
//
//   - the gate holds nothing when all calls are over, however they ended: with a
//     record of any outcome, or refused after this gate had admitted them, for
//     which it gets Done with nil; and that this holds for concurrent calls;
//   - Admit returns when the caller's context ends, also if it had ended before;
//     the gate may then admit or refuse;
//   - Done does not wait for time to pass, nor for another goroutine that waits.
//     A wait for a disk or a network is not detected;
//   - the gate does not keep the record that is passed to Done;
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

// balance checks that the gate holds nothing after calls that ended in every way.
func (c gateCheck) balance() {
	c.Helper()
	// The handler of a call with i%7 == 5 outlives its timeout by a second on purpose:
	// WithStuck keeps the router from logging a warning.
	r := New(c.TB, faas.WithGate(c.g), faas.WithTimeout(time.Second), faas.WithStuck(time.Hour, nil))
	f := faas.Register(r, "gate-test", gateTestHandler)
	var wg sync.WaitGroup
	for range gateCallers {
		wg.Go(func() {
			for i := range gateCalls {
				ctx, cancel := context.WithTimeout(context.Background(), gatePatience(i))
				_, _ = f.Invoke(ctx, i) // the gate learns the outcome
				cancel()
			}
		})
	}
	wg.Wait()
	c.settled(r, r.Stats().Admitted)
}

// gatePatience is how long the caller's context lasts: a millisecond for each seventh call,
// so that it ends as Canceled.
func gatePatience(i int) time.Duration {
	if i%7 == 6 {
		return time.Millisecond
	}
	return time.Hour
}

// gateTestHandler ends in a different way for each i modulo 7.
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

// settled checks the gate when all calls are over. The parameter admitted is the number of calls
// that the gate has admitted.
func (c gateCheck) settled(r *faas.Router, admitted uint64) {
	c.Helper()
	if n := r.Stats().HookPanics; n > 0 {
		c.Errorf("the gate panicked in %d calls; see the log", n)
	}
	if admitted == 0 {
		c.Errorf("the gate refused every call; newGate must return a gate that admits calls at first")
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

// refused checks the gate after calls that a later gate has refused.
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

// refusingGate refuses every call, and counts them.
type refusingGate struct{ asked atomic.Uint64 }

func (g *refusingGate) Admit(context.Context, faas.Invocation) error {
	g.asked.Add(1)
	return errors.New("refused for the test")
}

func (g *refusingGate) Done(faas.Invocation, *faas.Execution) {}

// callersContext calls Admit until the gate refuses, or has admitted many calls: a
// gate with a queue starts to wait only when it is full.
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

// admit calls Admit, and reports if that takes longer than its context lasts.
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

// call calls f and reports its panic.
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

// done ends calls one by one, with each outcome and with a nil record.
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

// admitForTest admits a call; it reports if the gate refuses.
func (c gateCheck) admitForTest() (bool, faas.Invocation) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ok, inv := c.admit(ctx, "its context ended after 1s", time.Second)
	if !ok {
		c.Errorf("the gate refused a call; newGate must return a gate that admits calls at first")
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

// record checks that the garbage collector frees the record after Done.
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
	runtime.KeepAlive(c.g) // otherwise the gate, and a record that it keeps, might be freed too
}

// doneWith is a function of its own, and not inlined, so that no stack frame
// refers to the record when it has returned.
//
//go:noinline
func (c gateCheck) doneWith(inv faas.Invocation) weak.Pointer[faas.Execution] {
	e := gateTestExecution(inv, faas.OK)
	p := weak.Make(e)
	c.callDone(inv, e)
	return p
}
