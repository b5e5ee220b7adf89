package faas_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// One pure function decides what follows from each end of a delivery; job_next_test.go tests it. The
// tests here run whole jobs in virtual time, from the queue to the handler and back, and check every
// second and every record.

// row is a job of the function "work", with everything that is expected of it.
type row struct {
	opts   []faas.Option
	via    []faas.RouterOption
	refuse func(n int) error                                // what the gate returns for the nth delivery; nil: no gate refuses
	do     func(ctx context.Context, n int) (string, error) // the nth run of the handler

	sent []faas.SendOption
	look map[time.Duration]string // by the time since it was sent: the expected state, and what the job waits for

	asked []string // the deliveries for which the gate is called: when, attempt/delivery
	ran   []string // those of them whose handler begins
	ends  string   // the end: state, condition, attempts, deliveries, and when
	err   error    // what the error of Wait Is; nil: the job succeeds
}

// rig is a router that runs the job of a row.
type rig struct {
	t          *testing.T
	r          *faas.Router
	meter      *recorder
	start      time.Time
	asked, ran steps
	letters    chan faas.JobEnvelope // the envelopes of dead jobs
	job        *faas.Job[string]
	payload    string        // of the job
	version    string        // of the function to which it is sent
	carried    time.Duration // the time that another host has recorded for the job
	others     bool          // other jobs have records too
	row        row
}

// at formats a delivery as in asked and ran.
func (g *rig) at(inv faas.Invocation) string {
	return fmt.Sprintf("%v %d/%d", time.Since(g.start), inv.Attempt, inv.Delivery)
}

// Admit notes each delivery, and refuses those that the row says.
func (g *rig) Admit(_ context.Context, inv faas.Invocation) error {
	if inv.Delivery == 0 || inv.Function != "work" {
		return nil // Send calls the gate too
	}
	g.asked.add(g.at(inv))
	if g.row.refuse == nil {
		return nil
	}
	return g.row.refuse(len(g.asked.list()))
}

func (g *rig) Done(faas.Invocation, *faas.Execution) {}

// handle is the function's handler.
func (g *rig) handle(ctx context.Context, _ parcel) (string, error) {
	inv, _ := faas.FromContext(ctx)
	g.ran.add(g.at(inv))
	if g.row.do == nil {
		return "done", nil
	}
	return g.row.do(ctx, len(g.ran.list()))
}

// newRig makes the router, without its function. It must be called in a bubble.
func newRig(t *testing.T, x row) *rig {
	t.Helper()
	g := &rig{t: t, meter: &recorder{}, start: time.Now(), letters: make(chan faas.JobEnvelope, 10), payload: `{"N":1}`, version: "$LATEST", row: x}
	g.r = router(t, append([]faas.RouterOption{faas.WithMeter(g.meter), faas.WithGate(g)}, x.via...)...)
	faas.Register(g.r, "undertaker", func(_ context.Context, e faas.JobEnvelope) (string, error) {
		g.letters <- e
		return "", nil
	})
	return g
}

// register registers the function, with the options of the row and more.
func (g *rig) register(more ...faas.FunctionOption) *faas.Function[parcel, string] {
	opts := []faas.FunctionOption{undertaker}
	for _, o := range g.row.opts {
		opts = append(opts, o)
	}
	return faas.Register(g.r, "work", g.handle, append(opts, more...)...)
}

// send registers the function and sends the job.
func (g *rig) send() {
	g.t.Helper()
	g.sendTo(g.register())
}

func (g *rig) sendTo(f *faas.Function[parcel, string]) {
	g.t.Helper()
	job, err := f.Send(g.t.Context(), parcel{1}, g.row.sent...)
	require.NoError(g.t, err)
	g.job = job
}

// until sleeps until that long after the start.
func (g *rig) until(at time.Duration) {
	time.Sleep(time.Until(g.start.Add(at)))
	synctest.Wait()
}

// check compares the job with its row, while it runs and at its end.
func (g *rig) check() {
	t, x := g.t, g.row
	t.Helper()
	for len(x.look) > 0 {
		first := time.Duration(math.MaxInt64)
		for at := range x.look {
			first = min(first, at)
		}
		g.until(first)
		assert.Equal(t, x.look[first], state(t, g.job), "after %v", first)
		delete(x.look, first)
	}
	out, err := g.job.Wait(t.Context())
	synctest.Wait() // a delivery that has lost its lease may end after its job, and adds its time to the record then
	info, failed := g.job.Info(t.Context())
	require.NoError(t, failed)
	assert.Equal(t, x.ends, fmt.Sprintf("%v: %v %d/%d %v", info.State, info.Condition, info.Attempts, info.Deliveries, info.Settled.Sub(g.start)))
	if x.err == nil {
		require.NoError(t, err)
		assert.Equal(t, "done", out)
	} else {
		var end *faas.JobError
		require.ErrorAs(t, err, &end)
		if x.err == errAny { //nolint:errorlint // it is the row's own
			require.NoError(t, end.Unwrap())
		} else {
			require.ErrorIs(t, err, x.err)
		}
		assert.Equal(t, info.Condition, end.Condition)
	}
	time.Sleep(24 * time.Hour) // to see that nothing happens after the end
	synctest.Wait()
	assert.Equal(t, x.asked, g.asked.list(), "asked")
	assert.Equal(t, x.ran, g.ran.list(), "ran")
	g.checkLetters(&info)
	g.checkRecords(&info)
	shut(t, g.r)
}

// checkLetters checks that a dead job has one dead letter, and any other job none.
func (g *rig) checkLetters(info *faas.JobInfo) {
	g.t.Helper()
	if info.State != faas.JobDead {
		assert.Empty(g.t, g.letters)
		return
	}
	require.Len(g.t, g.letters, 1)
	e := <-g.letters
	assert.Equal(g.t, faas.JobRequestContext{
		RequestID: info.ID.String(), FunctionARN: "arn:aws:lambda:us-east-1:000000000000:function:work:" + g.version,
		Condition: info.Condition, ApproximateInvokeCount: info.Attempts,
	}, e.RequestContext)
	assert.JSONEq(g.t, g.payload, string(e.RequestPayload))
	if last := info.Last; last != nil && last.Kind == faas.KindNone && last.Outcome != faas.OK {
		assert.Equal(g.t, "Unhandled", e.ResponseContext.FunctionError)
	}
}

// records returns the records of the function, in the order in which the runs began, since two runs
// that end at the same instant may be recorded in either order.
func (g *rig) records() []faas.Execution {
	es := g.meter.recordsOf("work")
	slices.SortStableFunc(es, func(a, b faas.Execution) int { return a.Start.Compare(b.Start) })
	return es
}

// checkRecords checks that each run has its record, with the numbers that its handler saw, and that
// the job's record has all the time that the runs have used.
func (g *rig) checkRecords(info *faas.JobInfo) {
	g.t.Helper()
	var used time.Duration
	var recorded []string
	for _, e := range g.records() {
		if e.Outcome == faas.InitFailed {
			continue // no handler has run
		}
		if e.Delivery > 0 && !g.others { // 0: the record of a live call
			assert.Equal(g.t, info.ID, e.Job)
			used += e.Duration
		}
		recorded = append(recorded, fmt.Sprintf("%v %d/%d", e.Start.Sub(g.start), e.Attempt, e.Delivery))
	}
	assert.Equal(g.t, g.ran.list(), recorded, "recorded")
	assert.Equal(g.t, used+g.carried, info.Used)
}

// errAny stands for a *JobError that Is none of the platform's errors.
var errAny = errors.New("any")

// runRows runs each row with a router of its own.
func runRows(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, x := range rows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newRig(t, x)
				g.send()
				g.check()
			})
		})
	}
}

// first returns a handler whose first n runs end as f does.
func first(n int, f func(ctx context.Context) (string, error)) func(context.Context, int) (string, error) {
	return func(ctx context.Context, run int) (string, error) {
		if run <= n {
			return f(ctx)
		}
		return "done", nil
	}
}

// answers returns a handler that fails with err in its first n runs.
func answers(n int, err error) func(context.Context, int) (string, error) {
	return first(n, func(context.Context) (string, error) { return "", err })
}

func heedful(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func TestADeliveryThatIsAdmittedIsAnAttemptAndWhatFollowsIsTheTables(t *testing.T) {
	t.Parallel()
	thrice := []string{"0s 1/1", "1m0s 2/2", "3m0s 3/3"}
	waits := map[time.Duration]string{time.Second: "Scheduled backoff", 59 * time.Second: "Scheduled backoff", 61 * time.Second: "Scheduled backoff", 179 * time.Second: "Scheduled backoff"}
	runRows(t, map[string]row{
		"OK": {
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Succeeded: Success 1/1 0s",
		},
		"OK at any age": {
			opts:  []faas.Option{faas.WithTimeout(8 * time.Hour)},
			do:    func(context.Context, int) (string, error) { time.Sleep(7 * time.Hour); return "done", nil },
			look:  map[time.Duration]string{6*time.Hour + time.Minute: "Running"},
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Succeeded: Success 1/1 7h0m0s",
		},
		"Failed": {
			do: answers(9, errJob), look: waits,
			asked: thrice, ran: thrice, ends: "Dead: RetriesExhausted 3/3 3m0s", err: errAny,
		},
		"Failed twice": {
			do: answers(2, errJob), asked: thrice, ran: thrice, ends: "Succeeded: Success 3/3 3m0s",
		},
		"Panicked": {
			do:    first(9, func(context.Context) (string, error) { panic("boom") }),
			asked: thrice, ran: thrice, ends: "Dead: RetriesExhausted 3/3 3m0s", err: errAny,
		},
		"Exited": {
			do:    first(9, func(context.Context) (string, error) { exit(); return "", nil }),
			asked: thrice, ran: thrice, ends: "Dead: RetriesExhausted 3/3 3m0s", err: faas.ErrExited,
		},
		"Exited inline": {
			opts:  []faas.Option{faas.WithInline()},
			do:    first(9, func(context.Context) (string, error) { exit(); return "", nil }),
			asked: thrice, ran: thrice, ends: "Dead: RetriesExhausted 3/3 3m0s", err: faas.ErrExited,
		},
		"TimedOut after 15 minutes": {
			opts: []faas.Option{faas.WithTimeout(15 * time.Minute)}, do: first(9, heedful),
			look:  map[time.Duration]string{14 * time.Minute: "Running", 15*time.Minute + time.Second: "Scheduled backoff", 17 * time.Minute: "Running", 47 * time.Minute: "Running"},
			asked: []string{"0s 1/1", "16m0s 2/2", "33m0s 3/3"}, ran: []string{"0s 1/1", "16m0s 2/2", "33m0s 3/3"},
			ends: "Dead: RetriesExhausted 3/3 48m0s", err: faas.ErrTimeout,
		},
		"RetryAfter is no attempt": {
			do: answers(3, faas.RetryAfter(10*time.Minute, errJob)), look: map[time.Duration]string{time.Second: "Scheduled backoff"},
			asked: []string{"0s 1/1", "10m0s 1/2", "20m0s 1/3", "30m0s 1/4"}, ran: []string{"0s 1/1", "10m0s 1/2", "20m0s 1/3", "30m0s 1/4"},
			ends: "Succeeded: Success 1/4 30m0s",
		},
		"RetryAfter until it is too old": {
			do: answers(99, faas.RetryAfter(2*time.Hour, errJob)), look: map[time.Duration]string{5 * time.Hour: "Scheduled backoff"},
			asked: []string{"0s 1/1", "2h0m0s 1/2", "4h0m0s 1/3"}, ran: []string{"0s 1/1", "2h0m0s 1/2", "4h0m0s 1/3"},
			ends: "Dead: EventAgeExceeded 0/3 6h0m0s", err: errAny,
		},
		"Permanent": {
			do:    answers(9, fmt.Errorf("wrapped: %w", faas.Permanent(errJob))),
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Dead: Permanent 1/1 0s", err: errAny,
		},
		"Permanent at the second attempt": {
			do: func(_ context.Context, n int) (string, error) {
				if n == 1 {
					return "", errJob
				}
				return "", faas.Permanent(errJob)
			},
			asked: thrice[:2], ran: thrice[:2], ends: "Dead: Permanent 2/2 1m0s", err: errAny,
		},
		"OutputInvalid": {
			opts:  []faas.Option{faas.WithLimits(100, 3)},
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Dead: OutputInvalid 1/1 0s", err: faas.ErrOutput,
		},
		"no retries": {
			opts: []faas.Option{faas.WithRetry(faas.Retry{})}, do: answers(9, errJob),
			asked: thrice[:1], ran: thrice[:1], ends: "Dead: RetriesExhausted 1/1 0s", err: errAny,
		},
		"a retry that would come too late": {
			sent: []faas.SendOption{faas.WithExpiry(150 * time.Second)}, do: answers(9, errJob),
			asked: thrice[:2], ran: thrice[:2], ends: "Dead: EventAgeExceeded 2/2 1m0s", err: errAny,
		},
		"sent to run later": {
			sent: []faas.SendOption{faas.WithDelay(2 * time.Hour)}, do: answers(1, errJob),
			look:  map[time.Duration]string{time.Second: "Scheduled due", 2*time.Hour + time.Second: "Scheduled backoff"},
			asked: []string{"2h0m0s 1/1", "2h1m0s 2/2"}, ran: []string{"2h0m0s 1/1", "2h1m0s 2/2"}, ends: "Succeeded: Success 2/2 2h1m0s",
		},
	})
}

func TestARetryOfADeafHandlerWaitsForItsOwnRunaway(t *testing.T) {
	t.Parallel()
	deafFor := func(d time.Duration) func(context.Context, int) (string, error) {
		return func(context.Context, int) (string, error) { time.Sleep(d); return "too late", nil }
	}
	once := faas.WithRetry(faas.Retry{Max: 1})
	runRows(t, map[string]row{
		"it waits": {
			opts: []faas.Option{faas.WithTimeout(15 * time.Minute), once}, do: deafFor(20 * time.Minute),
			look:  map[time.Duration]string{15*time.Minute + time.Second: "Scheduled backoff", 17 * time.Minute: "Parked handler", 21 * time.Minute: "Running"},
			asked: []string{"0s 1/1", "20m0s 2/2"}, ran: []string{"0s 1/1", "20m0s 2/2"},
			ends: "Dead: RetriesExhausted 2/2 35m0s", err: faas.ErrTimeout,
		},
		"WithOverlap it does not": {
			opts: []faas.Option{faas.WithTimeout(15 * time.Minute), once, faas.WithOverlap()}, do: deafFor(20 * time.Minute),
			look:  map[time.Duration]string{17 * time.Minute: "Running"},
			asked: []string{"0s 1/1", "16m0s 2/2"}, ran: []string{"0s 1/1", "16m0s 2/2"},
			ends: "Dead: RetriesExhausted 2/2 31m0s", err: faas.ErrTimeout,
		},
		"until it is too old": {
			opts: []faas.Option{faas.WithTimeout(time.Hour)}, do: deafFor(10 * time.Hour),
			look:  map[time.Duration]string{2 * time.Hour: "Parked handler", 6*time.Hour - time.Second: "Parked handler"},
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Dead: EventAgeExceeded 1/1 6h0m0s", err: faas.ErrTimeout,
		},
	})
}
