package faas_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// refuses returns a gate that refuses the first n deliveries.
func refuses(n int, why faas.Reason, kind faas.Kind, after time.Duration) func(int) error {
	return func(delivery int) error {
		if delivery > n {
			return nil
		}
		return &faas.Error{Kind: kind, Reason: why, RetryAfter: after, Err: errJob}
	}
}

func TestADeliveryThatIsRefusedForGoodIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	for why, want := range map[faas.Reason]struct {
		condition faas.JobCondition
		err       error
	}{
		faas.ReasonDenied:   {faas.ConditionDenied, faas.ErrDenied},
		faas.ReasonInput:    {faas.ConditionInvalid, faas.ErrInput},
		faas.ReasonTooLarge: {faas.ConditionTooLarge, faas.ErrTooLarge},
		faas.ReasonDepth:    {faas.ConditionNesting, faas.ErrDepth},
		faas.ReasonCycle:    {faas.ConditionNesting, faas.ErrDepth},
		faas.ReasonOff:      {faas.ConditionZeroReservedConcurrency, faas.ErrOverloaded},
		"not today":         {faas.ConditionDenied, faas.ErrDenied}, // a reason that a gate made up, with the kind Denied
	} {
		kind := why.Kind()
		if kind == faas.KindNone {
			kind = faas.KindDenied
		}
		runRows(t, map[string]row{string(why): {
			refuse: refuses(9, why, kind, 0), asked: []string{"0s 1/1"}, ends: fmt.Sprintf("Dead: %s 0/1 0s", want.condition), err: want.err,
		}})
	}
}

func TestADeliveryThatCouldNotRunIsNoAttemptAndComesAgain(t *testing.T) {
	t.Parallel()
	fifth := []string{"0s 1/1", "1s 1/2", "3s 1/3", "7s 1/4", "15s 1/5"}
	for _, why := range []faas.Reason{faas.ReasonOverloaded, faas.ReasonRunaways, faas.ReasonQueueTimeout, faas.ReasonMeterFull, faas.ReasonInit} {
		runRows(t, map[string]row{string(why): {
			refuse: refuses(4, why, why.Kind(), 0), look: map[time.Duration]string{2 * time.Second: "Scheduled backoff"},
			asked: fifth, ran: fifth[4:], ends: "Succeeded: Success 1/5 15s",
		}})
	}
	hourly := []string{"0s 1/1", "1h0m0s 1/2", "2h0m0s 1/3"}
	runRows(t, map[string]row{
		"throttled": {
			refuse: refuses(2, "throttled", faas.KindBusy, time.Hour), look: map[time.Duration]string{90 * time.Minute: "Scheduled backoff"},
			asked: hourly, ran: hourly[2:], ends: "Succeeded: Success 1/3 2h0m0s",
		},
		"a time that is shorter than the backoff": {
			refuse: refuses(4, "throttled", faas.KindBusy, 5*time.Second),
			asked:  []string{"0s 1/1", "5s 1/2", "10s 1/3", "15s 1/4", "23s 1/5"}, ran: []string{"23s 1/5"}, ends: "Succeeded: Success 1/5 23s",
		},
		"a gate that does not answer": {
			refuse: refuses(4, "unanswered", faas.KindUnavailable, 0), asked: fifth, ran: fifth[4:], ends: "Succeeded: Success 1/5 15s",
		},
		"the first retry after that": { // the failed attempt counts, and the backoff begins again
			refuse: func(n int) error {
				if n == 1 || n == 3 {
					return refuses(9, faas.ReasonOverloaded, faas.KindBusy, 0)(n)
				}
				return nil
			},
			do:    answers(1, errJob),
			asked: []string{"0s 1/1", "1s 1/2", "1m1s 2/3", "1m2s 2/4"}, ran: []string{"1s 1/2", "1m2s 2/4"}, ends: "Succeeded: Success 2/4 1m2s",
		},
		"for longer than its age": {
			refuse: refuses(999, faas.ReasonOverloaded, faas.KindBusy, 0), asked: backoffs(6 * time.Hour), err: faas.ErrOverloaded,
			ends: fmt.Sprintf("Dead: EventAgeExceeded 0/%d 6h0m0s", len(backoffs(6*time.Hour))),
		},
		"for longer than its own expiry": {
			refuse: refuses(999, faas.ReasonMeterFull, faas.KindUnavailable, 0), sent: []faas.SendOption{faas.WithExpiry(10 * time.Second)},
			asked: fifth[:4], err: faas.ErrOverloaded, ends: "Dead: EventAgeExceeded 0/4 10s",
		},
	})
}

// backoffs returns the deliveries of a job that is refused until it is too old.
func backoffs(age time.Duration) (all []string) {
	wait := time.Second
	for at := time.Duration(0); at < age; at += min(wait, 5*time.Minute) {
		if len(all) > 0 {
			wait *= 2
		}
		all = append(all, fmt.Sprintf("%v 1/%d", at, len(all)+1))
		wait = min(wait, time.Hour)
	}
	return all
}

func TestAJobWaitsForASlotOutsideOfTheQueueAndComesAgainAfterItsTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newRig(t, row{
			opts: []faas.Option{faas.WithConcurrency(1), faas.WithQueue(0), faas.WithQueueTimeout(30 * time.Second), faas.WithTimeout(time.Hour)},
			do:   first(1, func(context.Context) (string, error) { time.Sleep(95 * time.Second); return "live", nil }),
			// Each delivery waits 30 s for a slot; the backoff is 1 s after the first, then 2 s, then 4 s.
			look:  map[time.Duration]string{10 * time.Second: "Running", 30500 * time.Millisecond: "Scheduled backoff", 32 * time.Second: "Running"},
			asked: []string{"0s 1/1", "31s 1/2", "1m3s 1/3", "1m37s 1/4"},
			ran:   []string{"0s 1/0", "1m37s 1/4"}, ends: "Succeeded: Success 1/4 1m37s",
		})
		f := g.register()
		go func() { _, _ = f.Invoke(context.Background(), parcel{}) }()
		g.until(0)
		g.sendTo(f)
		g.check()
	})
}

func TestAJobComesAgainWhileEverySlotIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newRig(t, row{
			via:   []faas.RouterOption{faas.WithStuck(0, nil)},
			opts:  []faas.Option{faas.WithConcurrency(1), faas.WithTimeout(time.Second)},
			do:    first(1, func(context.Context) (string, error) { time.Sleep(5 * time.Second); return "", nil }),
			asked: []string{"1s 1/1", "2s 1/2", "4s 1/3", "8s 1/4"},
			ran:   []string{"0s 1/0", "8s 1/4"}, ends: "Succeeded: Success 1/4 8s",
		})
		f := g.register()
		_, err := f.Invoke(t.Context(), parcel{})
		require.ErrorIs(t, err, faas.ErrTimeout)
		g.sendTo(f)
		g.check()
	})
}

// fullMeter has no room for the records of the first deliveries that need one.
type fullMeter struct {
	*recorder

	no int
}

func (m *fullMeter) Reserve() bool { m.no--; return m.no < 0 }
func (m *fullMeter) Unreserve()    {}

func TestAJobWaitsForRoomWithTheMeters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		full := &fullMeter{recorder: &recorder{}}
		asked := []string{"1s 1/1", "2s 1/2", "4s 1/3"}
		g := newRig(t, row{opts: []faas.Option{faas.WithMeter(full)}, sent: []faas.SendOption{faas.WithDelay(time.Second)}, asked: asked, ran: asked[2:], ends: "Succeeded: Success 1/3 4s"})
		g.send() // Send makes a reservation too
		full.no = 2
		g.check()
	})
}

func TestAnInstanceThatCanNotBeBuiltIsNoAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newRig(t, row{ends: "Succeeded: Success 1/4 7s", asked: []string{"0s 1/1", "1s 1/2", "3s 1/3", "7s 1/4"}, ran: []string{"7s 1/4"}})
		f := faas.RegisterInit(g.r, "work", func(context.Context) (faas.Handler[parcel, string], func(context.Context) error, error) {
			if time.Since(g.start) < 5*time.Second {
				return nil, nil, errors.New("no connection")
			}
			return g.handle, nil, nil
		}, undertaker)
		g.sendTo(f)
		g.check()
		failed := g.meter.recordsOf("work")[0]
		assert.Equal(t, []any{faas.InitFailed, 1, 1}, []any{failed.Outcome, failed.Attempt, failed.Delivery})
	})
}

// budgetRig has a function with a budget of one call in each window. A live call uses the budget up
// before the job is due, ten minutes after the start.
func budgetRig(t *testing.T, every cost.Every, x row) (*rig, *cost.Budgets) {
	t.Helper()
	budgets, err := cost.NewBudgets(cost.Budget{Name: "calls", Limit: cost.Calls(1), Calendar: cost.Calendar{Every: every}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(budgets.Close)
	x.opts, x.sent = append(x.opts, faas.WithGate(budgets)), []faas.SendOption{faas.WithDelay(10 * time.Minute)}
	x.asked = append([]string{"10m0s 1/1"}, x.asked...)
	g := newRig(t, x)
	g.send()
	return g, budgets
}

func TestASpentBudgetParksTheJobUntilItsWindowRolls(t *testing.T) {
	spend := func(t *testing.T, g *rig) {
		t.Helper()
		_, err := g.r.Invoke(t.Context(), "work", []byte(`{"N":1}`))
		require.NoError(t, err)
	}
	for name, c := range map[string]struct {
		every cost.Every
		row
	}{
		"it runs then": {cost.Hour, row{
			look:  map[time.Duration]string{11 * time.Minute: "Parked budget", time.Hour - time.Second: "Parked budget"},
			asked: []string{"1h0m0s 1/2"}, ran: []string{"0s 1/0", "1h0m0s 1/2"}, ends: "Succeeded: Success 1/2 1h0m0s",
		}},
		"it is too old by then": {cost.Day, row{
			look: map[time.Duration]string{6 * time.Hour: "Parked budget"},
			ran:  []string{"0s 1/0"}, ends: "Dead: EventAgeExceeded 0/1 6h10m0s", err: faas.ErrOverloaded,
		}},
		"dead by option": {cost.Hour, row{
			opts: []faas.Option{faas.WithDeadOnBudget()},
			ran:  []string{"0s 1/0"}, ends: "Dead: BudgetExceeded 0/1 10m0s", err: faas.ErrOverloaded,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g, _ := budgetRig(t, c.every, c.row)
				spend(t, g)
				g.check()
			})
		})
	}
	t.Run("one that can never admit it", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g, budgets := budgetRig(t, cost.Hour, row{ends: "Dead: Denied 0/1 10m0s", err: faas.ErrDenied})
			require.NoError(t, budgets.SetLimit("calls", "", cost.Calls(0)))
			g.check()
		})
	})
}

func TestAFunctionThatIsSwitchedOffSendsItsJobsToTheFailureDestination(t *testing.T) {
	t.Run("from the start", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{
				opts: []faas.Option{faas.WithConcurrency(0)}, asked: []string{"0s 1/1"},
				ends: "Dead: ZeroReservedConcurrency 0/1 0s", err: faas.ErrOverloaded,
			})
			g.send()
			g.check()
		})
	})
	t.Run("in a backoff", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{
				do: answers(9, errJob), asked: []string{"0s 1/1", "1m0s 2/2"}, ran: []string{"0s 1/1"},
				ends: "Dead: ZeroReservedConcurrency 1/2 1m0s", err: faas.ErrOverloaded,
			})
			g.send()
			g.until(time.Second)
			require.NoError(t, g.r.SetConcurrency("work", 0))
			g.check()
		})
	})
	t.Run("while it waits for its slot", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{
				opts:  []faas.Option{faas.WithConcurrency(1), faas.WithTimeout(time.Hour)},
				do:    first(1, func(context.Context) (string, error) { time.Sleep(time.Minute); return "live", nil }),
				asked: []string{"0s 1/1"}, ran: []string{"0s 1/0"},
				ends: "Dead: ZeroReservedConcurrency 0/1 1s", err: faas.ErrOverloaded,
			})
			f := g.register()
			go func() { _, _ = f.Invoke(context.Background(), parcel{}) }()
			g.until(0)
			g.sendTo(f)
			g.until(time.Second)
			require.NoError(t, g.r.SetConcurrency("work", 0))
			g.check()
		})
	})
}

func TestAPayloadThatCanNotBeReadIsDeadInvalidOrTooLarge(t *testing.T) {
	t.Run("Invalid", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{ends: "Dead: Invalid 0/1 0s", err: faas.ErrInput})
			g.payload = `"no parcel"`
			f := g.register()
			job, err := g.r.Send(t.Context(), "work", []byte(g.payload))
			require.NoError(t, err)
			g.job = f.Job(job.ID())
			g.check()
		})
	})
	t.Run("TooLarge by the limits of a later release", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{sent: []faas.SendOption{faas.WithDelay(time.Minute)}, ends: "Dead: TooLarge 0/1 1m0s", err: faas.ErrTooLarge})
			g.send()
			require.NoError(t, g.r.Remove("work"))
			g.register(faas.WithLimits(len(g.payload)-1, 100))
			g.check()
		})
	})
}

func TestAJobWaitsForItsFunctionToBeRegistered(t *testing.T) {
	delayed := []faas.SendOption{faas.WithDelay(time.Minute)}
	t.Run("the function", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{sent: delayed, asked: []string{"1h0m0s 1/1"}, ran: []string{"1h0m0s 1/1"}, ends: "Succeeded: Success 1/1 1h0m0s"})
			g.send()
			require.NoError(t, g.r.Remove("work"))
			g.until(30 * time.Second)
			assert.Equal(t, "Scheduled due", state(t, g.job))
			g.until(30 * time.Minute)
			assert.Equal(t, "Ready function", state(t, g.job))
			g.until(time.Hour)
			g.register()
			g.check()
		})
	})
	t.Run("the function, for too long", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{
				via: []faas.RouterOption{undertaker, faas.WithMaxAge(2 * time.Hour)}, sent: delayed,
				look: map[time.Duration]string{2 * time.Hour: "Ready function"}, ends: "Dead: EventAgeExceeded 0/0 2h1m0s", err: errAny,
			})
			g.send()
			require.NoError(t, g.r.Remove("work"))
			g.check()
		})
	})
	t.Run("its version", func(t *testing.T) {
		for name, c := range map[string]row{
			"comes":    {look: map[time.Duration]string{30 * time.Minute: "Parked function"}, asked: []string{"1h0m0s 1/2"}, ran: []string{"1h0m0s 1/2"}, ends: "Succeeded: Success 1/2 1h0m0s"},
			"does not": {look: map[time.Duration]string{time.Hour: "Parked function", 6 * time.Hour: "Parked function"}, ends: "Dead: EventAgeExceeded 0/1 6h1m0s", err: faas.ErrNotFound},
		} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c.sent = delayed
					g := newRig(t, c)
					g.version = "2"
					g.register(faas.WithVersion(1))
					g.sendTo(g.register(faas.WithVersion(2)))
					require.NoError(t, g.r.Remove("work:2"))
					if name == "comes" {
						time.AfterFunc(time.Hour, func() { g.register(faas.WithVersion(2)) })
					}
					g.check()
				})
			})
		}
	})
}

func TestTheEnvelopeSaysHowTheLastDeliveryWasAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		row
		status int // 0: the function was not called, so the envelope has no response
	}{
		"refused": {row{refuse: refuses(9, faas.ReasonDenied, faas.KindDenied, 0)}, 403},
		"off":     {row{opts: []faas.Option{faas.WithConcurrency(0)}}, 0},
		"failed":  {row{do: answers(9, errJob)}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := newRig(t, c.row)
				g.send()
				_, err := g.job.Wait(t.Context())
				require.Error(t, err)
				e := <-g.letters
				if c.status == 0 {
					assert.Nil(t, e.ResponseContext)
					return
				}
				assert.Equal(t, c.status, e.ResponseContext.StatusCode)
				assert.Equal(t, c.status == 200, strings.Contains(string(e.ResponsePayload), "boom"))
			})
		})
	}
}
