package faastest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// TestMeter checks, in subtests of t, that a [faas.Meter] keeps the promises that
// the router relies on. Call it from the tests of the package that implements one:
//
//	func TestMeterConforms(t *testing.T) {
//		faastest.TestMeter(t, func(t *testing.T) (faas.Meter, func() []faas.Execution) {
//			m := ledger.New()
//			return m, m.Executions
//		})
//	}
//
// Each subtest calls newMeter with its own t. newMeter returns a new meter, and a
// function that returns the meter's records. That function first flushes what the
// meter has buffered (for [faas.Buffered], by Flush), and fills ID, Function,
// Version, Tenant, Outcome, Duration and Memory; TestMeter ignores the other fields
// and the order. It may be nil for a meter that can't be read back: then TestMeter
// makes records without counting them. The subtests about time run in a bubble of
// [testing/synctest]: goroutines that newMeter starts must end in t.Cleanup and
// share nothing with code outside the bubble.
//
// It checks that
//
//   - the meter holds the record of every call exactly once and unchanged, after
//     many concurrent calls;
//   - it takes records of any outcome, without a duration, without labels, and
//     with a context that has ended;
//   - it leaves Labels alone (with -race, it does not even write the same value);
//   - Record does not wait for time to pass, nor for another goroutine that waits.
//     A wait for a disk or a network is not detected;
//   - nothing panics;
//   - the same holds for overruns, if the meter is a [faas.OverrunMeter];
//   - RecordBatch records what Record would for each element, also if the caller
//     changes the slice afterwards, if the meter is a [faas.BatchMeter];
//   - the number of free places stays right, if the meter is a [faas.Reserver]: a
//     reservation is a free place again when it was given back or its record was
//     delivered.
func TestMeter(t *testing.T, newMeter func(t *testing.T) (m faas.Meter, recorded func() []faas.Execution)) {
	t.Helper()
	for _, c := range []struct {
		name   string
		bubble bool
		check  func(meterCheck)
	}{
		{"records every call once", false, meterCheck.everyCallOnce},
		{"records what is unusual", false, meterCheck.unusual},
		{"leaves labels alone", false, meterCheck.labels},
		{"does not wait", true, meterCheck.noWait},
		{"takes overruns", true, meterCheck.overruns},
		{"takes batches", false, meterCheck.batches},
		{"conserves reservations", true, meterCheck.reservations},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := func(t *testing.T) {
				t.Helper()
				m, recorded := newMeter(t)
				c.check(meterCheck{TB: t, m: m, recorded: recorded})
			}
			if c.bubble {
				synctest.Test(t, run)
			} else {
				run(t)
			}
		})
	}
}

// meterCheck is one subtest of TestMeter. It uses a testing.TB, so that the tests
// of this package can give it one that records failures.
type meterCheck struct {
	testing.TB
	m        faas.Meter
	recorded func() []faas.Execution
}

const (
	meterCallers = 8
	meterCalls   = 50 // of each caller
	meterRounds  = 10
)

// everyCallOnce compares the meter's records of a router's calls with those of a
// Recorder.
func (c meterCheck) everyCallOnce() {
	c.Helper()
	var truth Recorder
	r := New(c.TB, faas.WithMeter(c.m), faas.WithMeter(&truth))
	f := faas.Register(r, "meter-test", meterTestHandler, faas.WithLabels(map[string]string{"team": "test"}))
	var wg sync.WaitGroup
	for caller := range meterCallers {
		wg.Go(func() {
			ctx := faas.WithTenant(context.Background(), fmt.Sprintf("tenant-%d", caller%3))
			for i := range meterCalls {
				_, _ = f.Invoke(ctx, i) // the records have the outcome
			}
		})
	}
	wg.Wait()
	if n := r.Stats().HookPanics; n > 0 {
		c.Errorf("the meter panicked in %d calls; see the log", n)
	}
	if truth.Len() == 0 {
		c.Errorf("the meter refused all %d calls: Reserve returns false from the start", meterCallers*meterCalls)
	}
	c.compare(truth.Executions())
}

// meterTestHandler ends in the ways that take no time.
func meterTestHandler(_ context.Context, i int) (int, error) {
	switch i % 4 {
	case 1:
		return 0, errors.New("failed for the test")
	case 2:
		panic("panicked for the test")
	}
	return i, nil
}

// unusual records each outcome with a live context and with one that has ended. A router's
// contexts for meters never end, but those of a meter that wraps this one may, and the
// record must be kept all the same.
func (c meterCheck) unusual() {
	c.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var want []faas.Execution
	for o := faas.OK; o <= faas.InitFailed; o++ {
		for _, ctx := range []context.Context{context.Background(), ended} {
			e := faas.Execution{ID: newID(), Function: "meter-test", Outcome: o}
			if o != faas.OK {
				e.Err = fmt.Errorf("%v for the test", o)
			}
			if c.record(ctx, e) {
				want = append(want, e)
			}
		}
	}
	c.compare(want)
}

// record records e as the router does: after a reservation, if the meter is a
// Reserver. It returns false if there was no room, even after a flush.
func (c meterCheck) record(ctx context.Context, e faas.Execution) bool {
	c.Helper()
	if r, ok := c.m.(faas.Reserver); ok && !r.Reserve() {
		if c.flush(); !r.Reserve() {
			return false
		}
	}
	defer c.noPanic("Record of a call that is " + e.Outcome.String())
	c.m.Record(ctx, e)
	return true
}

func (c meterCheck) noPanic(what string) {
	c.Helper()
	if p := recover(); p != nil {
		c.Errorf("%s panicked: %v", what, p)
	}
}

func (c meterCheck) flush() {
	if c.recorded != nil {
		c.recorded()
	}
}

// compare compares what the meter holds with what it was given.
func (c meterCheck) compare(want []faas.Execution) {
	c.Helper()
	if c.recorded == nil {
		return
	}
	times := map[uuid.UUID]int{}
	held := map[uuid.UUID]faas.Execution{}
	for _, e := range c.recorded() {
		times[e.ID]++
		held[e.ID] = e
	}
	for _, e := range want {
		if n := times[e.ID]; n != 1 {
			c.Errorf("the record of %v (%v) is there %d times, want once", e.ID, e.Outcome, n)
			return // the other differences likely have the same cause
		}
		if got, want := billed(held[e.ID]), billed(e); got != want {
			c.Errorf("the record has become %+v, was %+v", got, want)
			return
		}
		delete(times, e.ID)
	}
	for id := range times {
		c.Errorf("there is a record of %v, which was not made", id)
		return
	}
}

// bill is the part of a record that a bill needs.
type bill struct {
	ID                        uuid.UUID
	Function, Version, Tenant string
	Outcome                   faas.Outcome
	Duration                  time.Duration
	Memory                    int64
}

func billed(e faas.Execution) bill {
	return bill{e.ID, e.Function, e.Version, e.Tenant, e.Outcome, e.Duration, e.Memory}
}

// labels lets several goroutines record the same map. The comparison at the end finds a
// changed value; the race detector also finds a write of an equal one.
func (c meterCheck) labels() {
	c.Helper()
	want := map[string]string{"team": "test", "empty": ""}
	shared := maps.Clone(want)
	var wg sync.WaitGroup
	for range meterCallers { // at once, for the race detector
		wg.Go(func() {
			c.record(context.Background(), faas.Execution{ID: newID(), Function: "meter-test", Labels: shared})
		})
	}
	wg.Wait()
	c.flush()
	if !maps.Equal(shared, want) {
		c.Errorf("the meter has changed a record's Labels, which all records share, to %v", shared)
	}
}

// many is a number of records that is likely to fill the channel of a meter that buffers
// records in a channel.
const many = 2000

// noWait records without a flush in between. A meter whose buffer is full then has to
// refuse in Reserve: to wait for room in Record would hold up a caller.
func (c meterCheck) noWait() {
	c.Helper()
	for range many {
		if r, ok := c.m.(faas.Reserver); ok && !r.Reserve() {
			return // it may refuse, and is full
		}
		if !c.atOnce("Record", func() {
			c.m.Record(context.Background(), faas.Execution{ID: newID(), Function: "meter-test"})
		}) {
			return
		}
	}
}

// atOnce fails the test if f waits or panics. It must be called in a bubble.
func (c meterCheck) atOnce(what string, f func()) bool {
	c.Helper()
	return returnsAtOnce(c.TB, what, func() {
		defer c.noPanic(what)
		f()
	})
}

// returnsAtOnce fails the test if f has not returned when all goroutines of the bubble are
// blocked: then f waits for time to pass, or for ever.
func returnsAtOnce(tb testing.TB, what string, f func()) bool {
	tb.Helper()
	start := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	synctest.Wait()
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
		tb.Errorf("%s took %v: it must not wait", what, time.Since(start))
	case <-time.After(forever):
		tb.Errorf("%s is blocked for good", what)
	}
	return false
}

// overruns uses a context that has ended, for the same reason as unusual.
func (c meterCheck) overruns() {
	c.Helper()
	m, ok := c.m.(faas.OverrunMeter)
	if !ok {
		c.Skip("not a faas.OverrunMeter")
		return
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	want := map[string]string{"team": "test"}
	shared := maps.Clone(want)
	for i := range many {
		o := faas.Overrun{ID: newID(), Function: "meter-test", Labels: shared, Duration: time.Duration(i)}
		if !c.atOnce("RecordOverrun", func() { m.RecordOverrun(ended, o) }) {
			return
		}
	}
	c.flush()
	if !maps.Equal(shared, want) {
		c.Errorf("the meter has changed an overrun's Labels, which all records share, to %v", shared)
	}
}

// batches records batches of several sizes (also empty ones) from several
// goroutines.
func (c meterCheck) batches() {
	c.Helper()
	m, ok := c.m.(faas.BatchMeter)
	if !ok {
		c.Skip("not a faas.BatchMeter")
		return
	}
	var mu sync.Mutex
	var want []faas.Execution
	var wg sync.WaitGroup
	for range meterCallers {
		wg.Go(func() {
			defer c.noPanic("RecordBatch")
			for size := range meterRounds {
				es := c.batch(size)
				mu.Lock()
				want = append(want, es...)
				mu.Unlock()
				m.RecordBatch(context.Background(), es)
				clear(es) // RecordBatch must not have kept the slice
			}
		})
	}
	wg.Wait()
	c.compare(want)
}

// batch makes size records, or fewer if the meter has no room for them.
func (c meterCheck) batch(size int) []faas.Execution {
	var es []faas.Execution
	for i := range size {
		if r, ok := c.m.(faas.Reserver); ok && !r.Reserve() {
			break
		}
		es = append(es, faas.Execution{ID: newID(), Function: "meter-test", Duration: time.Duration(i)})
	}
	return es
}

// mostRoom is the number of reservations after which a meter counts as unbounded.
const mostRoom = 1 << 17

// reserveAll makes reservations until the meter has no room, and returns their number.
func reserveAll(r faas.Reserver) (n int) {
	for n < mostRoom && r.Reserve() {
		n++
	}
	return n
}

// reservations fills the meter to find its bound, and then checks that the bound stays the
// same. A meter that loses a place at each call would refuse all calls after some days.
func (c meterCheck) reservations() {
	c.Helper()
	r, ok := c.m.(faas.Reserver)
	if !ok {
		c.Skip("not a faas.Reserver")
		return
	}
	defer c.noPanic("Reserve, Unreserve or Record")
	room := reserveAll(r)
	switch room {
	case 0:
		c.Errorf("a new meter has no room for a single record")
		return
	case mostRoom:
		c.Skipf("no bound within %d reservations", mostRoom)
		return
	}
	start := time.Now()
	c.givenBack(r, room)
	c.usedUp(r, room)
	c.shared(r)
	if d := time.Since(start); d > 0 {
		c.Errorf("Reserve and Unreserve took %v: they must not wait", d)
	}
}

// givenBack checks Unreserve. All room is reserved before and after.
func (c meterCheck) givenBack(r faas.Reserver, room int) {
	c.Helper()
	r.Unreserve()
	if n := reserveAll(r); n != 1 {
		c.Errorf("after one Unreserve of a full meter there was room for %d records, want 1", n)
	}
	for range room {
		r.Unreserve()
	}
	if n := reserveAll(r); n != room {
		c.Errorf("after %d reservations were given back there was room for %d", room, n)
	}
}

// usedUp checks that delivered records free their room. All room is reserved
// before, and none after.
func (c meterCheck) usedUp(r faas.Reserver, room int) {
	c.Helper()
	for range room {
		c.m.Record(context.Background(), faas.Execution{ID: newID(), Function: "meter-test"})
	}
	c.flush()
	synctest.Wait()
	n := reserveAll(r)
	switch {
	case n > room:
		c.Errorf("%d records were delivered, and there is room for %d", room, n)
	case n < room && c.recorded != nil:
		c.Errorf("%d records were delivered, and there is room for %d only: it would refuse all work in the end", room, n)
	}
	for range n {
		r.Unreserve()
	}
}

// shared checks Reserve and Unreserve by several goroutines at the same time.
func (c meterCheck) shared(r faas.Reserver) {
	c.Helper()
	before := reserveAll(r)
	for range before {
		r.Unreserve()
	}
	for range meterRounds {
		var (
			wg      sync.WaitGroup
			granted atomic.Int64
		)
		for range meterCallers {
			wg.Go(func() { granted.Add(int64(reserveAll(r))) })
		}
		wg.Wait()
		n := int(granted.Load())
		if n > before {
			c.Errorf("%d reservations made at once were granted by a meter with room for %d", n, before)
			return
		}
		for range meterCallers {
			wg.Go(func() {
				for range n / meterCallers {
					r.Unreserve()
				}
			})
		}
		for range n % meterCallers {
			r.Unreserve()
		}
		wg.Wait()
	}
	if n := reserveAll(r); n != before {
		c.Errorf("room for %d records has become %d, by reservations that were all given back", before, n)
	}
}

// newID returns a UUIDv7, as the router's ids are.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
