package faas_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// loseLeases ends the leases of the jobs, as the death of their host would.
func loseLeases(t *testing.T, q faas.JobQueue) {
	t.Helper()
	lost, ok := q.(interface{ LoseLeases() int })
	require.True(t, ok)
	require.Equal(t, 1, lost.LoseLeases())
}

// takeOver makes this host's rig check the job that another host has sent.
func (g *rig) takeOver(from *rig) {
	g.start = from.start
	g.job = g.register().Job(from.job.ID())
}

func TestWhatAHostThatShutsDownLeavesTheNextRunsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		concurrency int
		end         func(r *faas.Router) error
		ran         []string // by the first host
		ends        string
	}{
		"a handler that was canceled, by Shutdown": {5, func(r *faas.Router) error {
			ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
			defer cancel()
			return r.Shutdown(ctx)
		}, []string{"0s 1/1"}, "Succeeded: Success 1/2 10m0s"},
		"a handler that was canceled, by Close": {5, func(r *faas.Router) error {
			time.Sleep(9 * time.Minute)
			return r.Close()
		}, []string{"0s 1/1"}, "Succeeded: Success 1/2 10m0s"},
		"one that waits for its slot, by Close": {1, func(r *faas.Router) error {
			time.Sleep(9 * time.Minute)
			return r.Close()
		}, []string{"0s 1/0"}, "Succeeded: Success 1/2 10m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				queue := faas.WithJobs(faas.NewMemoryJobs(0, 0))
				old := newRig(t, row{
					via:  []faas.RouterOption{queue},
					opts: []faas.Option{faas.WithConcurrency(c.concurrency), faas.WithTimeout(time.Hour), faas.WithQueueTimeout(time.Hour)},
					do:   func(ctx context.Context, _ int) (string, error) { return heedful(ctx) },
				})
				f := old.register()
				if c.concurrency == 1 {
					go func() { _, _ = f.Invoke(context.Background(), parcel{}) }()
					synctest.Wait()
				}
				old.sendTo(f)
				old.until(time.Minute)
				assert.Equal(t, "Running", state(t, old.job))
				_ = c.end(old.r)
				synctest.Wait()
				assert.Equal(t, c.ran, old.ran.list())
				assert.Equal(t, "Ready function", state(t, old.job))
				_, err := old.job.Wait(t.Context())
				require.ErrorIs(t, err, faas.ErrClosed)

				next := newRig(t, row{via: []faas.RouterOption{queue}, asked: []string{"10m0s 1/2"}, ran: []string{"10m0s 1/2"}, ends: c.ends})
				next.takeOver(old)
				next.carried = 0
				for _, e := range old.meter.recordsOf("work") {
					if e.Delivery > 0 {
						assert.Equal(t, []any{next.job.ID(), faas.Canceled}, []any{e.Job, e.Outcome})
						next.carried += e.Duration
					}
				}
				next.check()
				assert.Empty(t, old.letters)
			})
		})
	}
}

func TestACanceledJobIsCanceledWhateverItDoes(t *testing.T) {
	cancelAt := func(t *testing.T, g *rig, at time.Duration) {
		t.Helper()
		g.until(at)
		require.NoError(t, g.job.Cancel(t.Context()))
		assert.Equal(t, at, time.Since(g.start), "at once")
	}
	rows := map[string]struct {
		at time.Duration
		row
	}{
		"waiting until it is due": {time.Minute, row{sent: []faas.SendOption{faas.WithDelay(time.Hour)}, ends: "Canceled: Canceled 0/0 1m0s"}},
		"in a backoff": {30 * time.Second, row{
			do: answers(9, errJob), asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Canceled: Canceled 1/1 30s",
		}},
		"running": {5 * time.Second, row{
			do: first(9, heedful), asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Canceled: Canceled 0/1 5s",
		}},
		"running in a deaf handler": {5 * time.Second, row{
			do:    func(context.Context, int) (string, error) { time.Sleep(time.Hour); return "too late", nil },
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Canceled: Canceled 0/1 5s",
		}},
		"parked behind its runaway": {3 * time.Minute, row{
			opts:  []faas.Option{faas.WithTimeout(time.Minute)},
			do:    func(context.Context, int) (string, error) { time.Sleep(time.Hour); return "too late", nil },
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Canceled: Canceled 1/1 3m0s",
		}},
	}
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c.err = faas.ErrJobCanceled
				g := newRig(t, c.row)
				g.send()
				cancelAt(t, g, c.at)
				g.check()
			})
		})
	}
	t.Run("waiting for its slot", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{
				opts:  []faas.Option{faas.WithConcurrency(1)},
				do:    first(1, func(context.Context) (string, error) { time.Sleep(10 * time.Second); return "live", nil }),
				asked: []string{"0s 1/1"}, ran: []string{"0s 1/0"}, ends: "Canceled: Canceled 0/0 5s", err: faas.ErrJobCanceled,
			})
			f := g.register()
			go func() { _, _ = f.Invoke(context.Background(), parcel{}) }()
			synctest.Wait()
			g.sendTo(f)
			cancelAt(t, g, 5*time.Second)
			g.check()
		})
	})
	t.Run("after its end it can't be", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			g := newRig(t, row{do: answers(9, faas.Permanent(errJob)), asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Dead: Permanent 1/1 0s", err: errAny})
			g.send()
			g.until(time.Second)
			require.ErrorIs(t, g.job.Cancel(t.Context()), faas.ErrSettled)
			g.check()
		})
	})
}

func TestALostLeaseIsNoAttemptAndBothDeliveriesAreRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(ctx context.Context, n int) (string, error)
		look string
		ran  []string
		ends string
	}{
		// The next delivery of the job, on the same host, ends the context of the first.
		"the handler heeds its context": {first(1, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), faas.ErrLease) {
				return "", faas.Permanent(context.Cause(ctx))
			}
			return "done", nil // what this delivery returns does not count
		}), "", []string{"0s 1/1", "10s 1/2"}, "Succeeded: Success 1/1 10s"},
		"the handler is deaf": {first(1, func(context.Context) (string, error) {
			time.Sleep(time.Minute)
			return "too late", nil
		}), "Parked handler", []string{"0s 1/1", "1m0s 1/2"}, "Succeeded: Success 1/1 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				queue := faas.NewMemoryJobs(0, 0)
				g := newRig(t, row{
					via: []faas.RouterOption{faas.WithJobs(queue)}, opts: []faas.Option{faas.WithTimeout(time.Hour)},
					do: c.do, asked: c.ran, ran: c.ran, ends: c.ends,
				})
				g.send()
				g.until(10 * time.Second)
				loseLeases(t, queue)
				if c.look != "" {
					g.until(20 * time.Second)
					assert.Equal(t, c.look, state(t, g.job))
				}
				g.check()
				assert.Equal(t, faas.Canceled, g.records()[0].Outcome)
			})
		})
	}
}

func TestADeliveryThatLostItsLeaseWhileItWaitedForItsSlotDoesNotRun(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(t *testing.T, g *rig, q faas.JobQueue)
		row
	}{
		// The host leases the job again at once: the first delivery ends, and the second waits.
		"its host died": {func(t *testing.T, _ *rig, q faas.JobQueue) { t.Helper(); loseLeases(t, q) }, row{
			asked: []string{"0s 1/1", "5s 1/2"}, ran: []string{"0s 1/0", "10s 1/2"}, ends: "Succeeded: Success 1/1 10s",
		}},
		// The host finds out when the call has its slot.
		"another router canceled it": {func(t *testing.T, g *rig, q faas.JobQueue) {
			t.Helper()
			require.NoError(t, router(t, faas.WithJobs(q)).Job(g.job.ID()).Cancel(t.Context()))
		}, row{
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/0"}, ends: "Canceled: Canceled 0/0 5s", err: faas.ErrJobCanceled,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				queue := faas.NewMemoryJobs(0, 0)
				x := c.row
				x.via, x.opts = []faas.RouterOption{faas.WithJobs(queue)}, []faas.Option{faas.WithConcurrency(1)}
				x.do = first(1, func(context.Context) (string, error) { time.Sleep(10 * time.Second); return "live", nil })
				g := newRig(t, x)
				f := g.register()
				go func() { _, _ = f.Invoke(context.Background(), parcel{}) }()
				synctest.Wait()
				g.sendTo(f)
				g.until(5 * time.Second)
				c.lose(t, g, queue)
				g.check()
			})
		})
	}
}

func TestAJobWithWhichThreeHostsDiedIsDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		ran := []string{"0s 1/1", "10s 1/2", "20s 1/3"}
		g := newRig(t, row{
			via: []faas.RouterOption{faas.WithJobs(queue)}, do: first(9, heedful),
			asked: ran, ran: ran, ends: "Dead: HostCrashes 0/0 30s", err: errAny,
		})
		g.send()
		for n := range 3 {
			g.until(time.Duration(n+1) * 10 * time.Second)
			loseLeases(t, queue)
		}
		g.check()
	})
}

func TestAJobThatIsTooOldBehindItsOrderKeyIsDeadWhenItsAgeIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newRig(t, row{
			opts: []faas.Option{faas.WithTimeout(8 * time.Hour)}, sent: []faas.SendOption{faas.WithOrderKey("k")},
			do:    first(1, func(context.Context) (string, error) { time.Sleep(7 * time.Hour); return "first", nil }),
			look:  map[time.Duration]string{time.Hour: "Ready key", 6*time.Hour - 1: "Ready key", 6*time.Hour + 1: "Dead"},
			asked: []string{"0s 1/1"}, ran: []string{"0s 1/1"}, ends: "Dead: EventAgeExceeded 0/0 6h0m0s", err: errAny,
		})
		g.others = true // there is the record of the job that holds the key
		f := g.register()
		_, err := f.Send(t.Context(), parcel{1}, faas.WithOrderKey("k"))
		require.NoError(t, err)
		synctest.Wait()
		g.sendTo(f)
		g.check()
	})
}

// The router that has sent the job is closed before the job is too old.
func TestAJobBehindItsOrderKeyOfARouterThatIsGoneIsGivenUpByAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		release := make(chan struct{})
		deaf := func(context.Context, int) (int, error) { <-release; return 0, nil }
		keeper, sender := router(t, faas.WithJobs(queue)), router(t, faas.WithJobs(queue))
		held := faas.Register(keeper, "f", deaf, faas.WithTimeout(10*time.Hour))
		_, err := held.Send(t.Context(), 1, faas.WithOrderKey("k"))
		require.NoError(t, err)
		synctest.Wait()
		f := faas.Register(sender, "f", deaf)
		job, err := f.Send(t.Context(), 2, faas.WithOrderKey("k"), faas.WithExpiry(time.Hour))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, sender.Close())
		time.Sleep(time.Hour)
		synctest.Wait()
		info, err := keeper.Job(job.ID()).Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, faas.ConditionEventAgeExceeded, info.Condition)
		close(release)
	})
}

// The job was refused before, but that is not why it is parked.
func TestAJobThatIsParkedBehindItsHandlerSaysSoAlsoAfterARefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		queue := faas.NewMemoryJobs(0, 0)
		g := newRig(t, row{
			via: []faas.RouterOption{faas.WithJobs(queue)}, opts: []faas.Option{faas.WithTimeout(time.Hour)},
			refuse: refuses(1, faas.ReasonOverloaded, faas.KindBusy, 0),
			do:     first(1, func(context.Context) (string, error) { time.Sleep(time.Minute); return "too late", nil }),
			look:   map[time.Duration]string{20 * time.Second: "Parked handler"},
			asked:  []string{"0s 1/1", "1s 1/2", "1m1s 1/3"}, ran: []string{"1s 1/2", "1m1s 1/3"}, ends: "Succeeded: Success 1/2 1m1s",
		})
		g.send()
		g.until(10 * time.Second)
		loseLeases(t, queue)
		g.check()
	})
}
