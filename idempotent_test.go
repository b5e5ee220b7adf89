package faas_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

// checkout is an input with a key of its own.
type checkout struct {
	ID    string
	Cents int
}

func checkoutID(_ context.Context, o checkout) string { return o.ID }

// idempotent runs a test with each store, each time in a bubble.
func idempotent(t *testing.T, test func(t *testing.T, i faas.Idempotency)) {
	t.Helper()
	for name, store := range map[string]func() faas.IdempotencyStore{
		"memory": func() faas.IdempotencyStore { return faas.NewMemoryIdempotency(0, 0) },
		"jobs":   func() faas.IdempotencyStore { return faas.NewJobIdempotency(faas.NewMemoryJobs(0, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, faas.Idempotency{Store: store()}) })
		})
	}
}

// counted returns a handler that counts its runs and returns their number.
func counted(runs *atomic.Int64, work func(ctx context.Context, o checkout) error) faas.Handler[checkout, int64] {
	return func(ctx context.Context, o checkout) (int64, error) {
		n := runs.Add(1)
		return n, work(ctx, o)
	}
}

func works(context.Context, checkout) error { return nil }

func TestALaterCallWithTheSameKeyGetsTheAnswerOfTheFirst(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		i.Window = time.Hour
		r, runs := router(t), atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, works)))
		refund := faas.Register(r, "refund", faas.Idempotent(i, checkoutID, counted(&runs, works)))
		call := func(f *faas.Function[checkout, int64], ctx context.Context, o checkout) int64 {
			t.Helper()
			n, err := f.Invoke(ctx, o)
			require.NoError(t, err)
			return n
		}
		a := checkout{"a", 100}
		require.EqualValues(t, 1, call(charge, t.Context(), a))
		require.EqualValues(t, 1, call(charge, t.Context(), a))
		require.EqualValues(t, 2, call(charge, t.Context(), checkout{"b", 100}), "another key")
		require.EqualValues(t, 3, call(refund, t.Context(), a), "of another function")
		require.EqualValues(t, 4, call(charge, faas.WithTenant(t.Context(), "acme"), a), "of another tenant")
		require.EqualValues(t, 5, call(charge, t.Context(), checkout{"", 1}), "without a key")
		require.EqualValues(t, 6, call(charge, t.Context(), checkout{"", 1}))
		out, err := r.Invoke(t.Context(), "charge", []byte(`{"ID":"a","Cents":100}`))
		require.NoError(t, err)
		require.Equal(t, "1", string(out), "by name")

		time.Sleep(time.Hour - 1)
		require.EqualValues(t, 1, call(charge, t.Context(), a), "within the window")
		time.Sleep(time.Nanosecond)
		require.EqualValues(t, 7, call(charge, t.Context(), a), "after it")
		require.EqualValues(t, 7, call(charge, t.Context(), a))
	})
}

func TestAKeyThatComesWithAnotherInputIsRefused(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		r, runs := router(t), atomic.Int64{}
		release := make(chan struct{})
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, func(context.Context, checkout) error {
			<-release
			return nil
		})))
		first := make(chan error)
		go func() { _, err := charge.Invoke(t.Context(), checkout{"a", 1}); first <- err }()
		synctest.Wait()
		_, err := charge.Invoke(t.Context(), checkout{"a", 2})
		require.ErrorIs(t, err, faas.ErrKeyReused, "while the first runs")
		close(release)
		require.NoError(t, <-first)
		_, err = charge.Invoke(t.Context(), checkout{"a", 2})
		require.ErrorIs(t, err, faas.ErrKeyReused, "after it")

		job, err := charge.Send(t.Context(), checkout{"a", 3})
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		var dead *faas.JobError
		require.ErrorAs(t, err, &dead)
		require.Equal(t, faas.ConditionPermanent, dead.Condition, "to try again is of no use")
		require.EqualValues(t, 1, runs.Load())
	})
}

func TestACallWaitsForOneWithTheSameKeyThatIsUnderWay(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		r, runs := router(t), atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, func(context.Context, checkout) error {
			time.Sleep(time.Second)
			return nil
		})))
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				n, err := charge.Invoke(t.Context(), checkout{"a", 1})
				assert.NoError(t, err)
				assert.EqualValues(t, 1, n)
			})
		}
		wg.Wait()
		require.Equal(t, time.Second, time.Since(start))

		go func() { _, _ = charge.Invoke(t.Context(), checkout{"b", 1}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := charge.Invoke(ctx, checkout{"b", 1})
		require.ErrorIs(t, err, context.DeadlineExceeded, "no longer than its own deadline")
		time.Sleep(time.Second)
		require.EqualValues(t, 2, runs.Load())
	})
}

func TestACallIsRefusedWhileOneWithTheSameKeyIsUnderWay(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		i.Refuse = true
		r, runs := router(t, faas.WithTimeout(time.Minute)), atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, func(context.Context, checkout) error {
			time.Sleep(10 * time.Second)
			return nil
		})))
		go func() { _, _ = charge.Invoke(t.Context(), checkout{"a", 1}) }()
		synctest.Wait()
		_, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.ErrorIs(t, err, faas.ErrInProgress)

		start := time.Now()
		job, err := charge.Send(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		n, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n, "the first call's answer")
		require.Equal(t, time.Minute, time.Since(start), "when the first call must be over")
		info, err := job.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, info.Attempts, "to be refused was no attempt")
	})
}

func TestAnErrorIsRememberedOnlyIfAsked(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		declined := errors.New("the card is declined")
		i.Remember = func(err error) bool { return errors.Is(err, declined) }
		r, runs := router(t), atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, func(_ context.Context, o checkout) error {
			switch {
			case o.Cents < 0:
				return faas.Permanent(declined)
			case o.Cents > 100:
				return declined
			case runs.Load() == 1:
				return errTest
			}
			return nil
		})))
		_, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.ErrorIs(t, err, errTest)
		n, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		require.EqualValues(t, 2, n, "it ran again")

		_, err = charge.Invoke(t.Context(), checkout{"b", 101})
		require.ErrorIs(t, err, declined)
		for range 2 {
			_, err = charge.Invoke(t.Context(), checkout{"b", 101})
			var earlier *faas.EarlierError
			require.ErrorAs(t, err, &earlier)
			require.Equal(t, declined.Error(), err.Error())
		}
		require.EqualValues(t, 3, runs.Load())

		_, err = charge.Invoke(t.Context(), checkout{"c", -1})
		require.ErrorIs(t, err, declined)
		job, err := charge.Send(t.Context(), checkout{"c", -1})
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		var dead *faas.JobError
		require.ErrorAs(t, err, &dead)
		require.Equal(t, faas.ConditionPermanent, dead.Condition, "as the first one was")
		require.EqualValues(t, 4, runs.Load())
	})
}

// A call that panics, exits or times out frees its key, and one of the calls that wait runs.
func TestACallThatPanicsExitsOrIsDeafFreesItsKey(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration // when the first call is over
		how   func(release <-chan struct{})
	}{
		"panics":  {time.Second, func(<-chan struct{}) { time.Sleep(time.Second); panic("no") }},
		"exits":   {time.Second, func(<-chan struct{}) { time.Sleep(time.Second); runtime.Goexit() }},
		"is deaf": {5 * time.Second, func(release <-chan struct{}) { <-release }},
	} {
		t.Run(name, func(t *testing.T) {
			idempotent(t, func(t *testing.T, i faas.Idempotency) {
				r, runs, release := router(t, faas.WithTimeout(5*time.Second)), atomic.Int64{}, make(chan struct{})
				charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, func(context.Context, checkout) error {
					if runs.Load() == 1 {
						c.how(release)
					}
					return nil
				})))
				start := time.Now()
				first := make(chan error)
				go func() { _, err := charge.Invoke(t.Context(), checkout{"a", 1}); first <- err }()
				synctest.Wait()
				time.Sleep(time.Millisecond) // the calls below have a later deadline than the first
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						n, err := charge.Invoke(t.Context(), checkout{"a", 1})
						assert.NoError(t, err)
						assert.EqualValues(t, 2, n)
					})
				}
				require.Error(t, <-first)
				wg.Wait()
				require.Equal(t, c.after, time.Since(start))

				close(release) // the deaf handler returns too late: another call has the key
				synctest.Wait()
				n, err := charge.Invoke(t.Context(), checkout{"a", 1})
				require.NoError(t, err)
				require.EqualValues(t, 2, n)
			})
		})
	}
}

func TestTheAnswerOfACallThatIsLateIsRememberedIfNoOtherHasItsKey(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		i.Store = &failingStore{IdempotencyStore: i.Store}
		r, runs := router(t, faas.WithTimeout(time.Second)), atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, func(context.Context, checkout) error {
			time.Sleep(2 * time.Second)
			return nil
		})))
		_, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.ErrorIs(t, err, faas.ErrTimeout)
		time.Sleep(2 * time.Second)
		n, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})
}

func TestACallDoesNotWaitForOneAboveItself(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		r := router(t)
		var charge *faas.Function[checkout, int64]
		charge = faas.Register(r, "charge", faas.Idempotent(i, checkoutID, func(ctx context.Context, o checkout) (int64, error) {
			return charge.Invoke(ctx, o)
		}))
		start := time.Now()
		_, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.ErrorIs(t, err, faas.ErrCycle)
		require.Zero(t, time.Since(start))
	})
}

// The first attempt times out, but its handler succeeds. The second attempt gets that answer, and the
// handler does not run again.
func TestARetriedJobDoesNotRepeatWhatItHasDone(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		r, runs := router(t, faas.WithTimeout(time.Second)), atomic.Int64{}
		byJob := func(ctx context.Context, _ checkout) string {
			inv, _ := faas.FromContext(ctx)
			return inv.Job.String()
		}
		charge := faas.Register(r, "charge", faas.Idempotent(i, byJob, counted(&runs, func(context.Context, checkout) error {
			time.Sleep(3 * time.Second) // longer than the attempt's timeout
			return nil
		})))
		job, err := charge.Send(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		n, err := job.Wait(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.EqualValues(t, 1, runs.Load())
	})
}

func TestWhatAnEarlierCallAnsweredIsDecodedAnew(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		h := faas.Idempotent(i, checkoutID, func(_ context.Context, o checkout) (map[string]int, error) {
			return map[string]int{o.ID: o.Cents}, nil
		})
		for range 3 { // called as a plain func, without a router
			out, err := h(t.Context(), checkout{"a", 1})
			require.NoError(t, err)
			require.Equal(t, map[string]int{"a": 1}, out)
			out["a"]++
		}
		raw := faas.Idempotent(i, func(_ context.Context, in []byte) string { return string(in) }, func(_ context.Context, in []byte) ([]byte, error) {
			return append([]byte("<"), in...), nil
		})
		for range 2 {
			out, err := raw(t.Context(), []byte("x"))
			require.NoError(t, err)
			require.Equal(t, "<x", string(out))
		}
	})
}

func TestAnAnswerThatCanNotBeEncodedIsAFailureOfLaterCalls(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		runs := 0
		h := faas.Idempotent(i, checkoutID, func(context.Context, checkout) (float64, error) {
			runs++
			return math.NaN(), nil
		})
		_, err := h(t.Context(), checkout{"a", 1})
		require.NoError(t, err, "the caller has its answer")
		_, err = h(t.Context(), checkout{"a", 1})
		require.ErrorContains(t, err, "can't be encoded")
		require.Equal(t, 1, runs, "its effects have happened")
	})
}

func TestKeysAndSettingsThatCanNotWorkAreRefused(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		for _, key := range []string{string(make([]byte, 257)), "a\n"} {
			_, err := faas.Idempotent(i, func(context.Context, int) string { return key }, double)(t.Context(), 1)
			require.ErrorIs(t, err, faas.ErrInput)
		}
		_, err := faas.Idempotent(i, func(context.Context, float64) string { return "k" }, func(context.Context, float64) (int, error) { return 0, nil })(t.Context(), math.NaN())
		require.ErrorIs(t, err, faas.ErrInput)
		for name, set := range map[string]func(){
			"no store": func() { faas.Idempotent(faas.Idempotency{}, checkoutID, counted(nil, nil)) },
			"no key": func() {
				faas.Idempotent[checkout, int](i, nil, func(context.Context, checkout) (int, error) { return 0, nil })
			},
			"no h":      func() { faas.Idempotent[checkout, int](i, checkoutID, nil) },
			"no window": func() { i.Window = -1; faas.Idempotent(i, checkoutID, counted(nil, nil)) },
			"no queue":  func() { faas.NewJobIdempotency(nil) },
		} {
			func() {
				defer func() { require.ErrorIs(t, recover().(error), faas.ErrInput, name) }()
				set()
				t.Error(name)
			}()
		}
	})
}

// failingStore fails the methods for which a test sets an error.
type failingStore struct {
	faas.IdempotencyStore

	create, swap error
}

func (s *failingStore) Create(ctx context.Context, e faas.IdempotencyEntry) (faas.IdempotencyEntry, bool, error) {
	if s.create != nil {
		return e, false, s.create
	}
	return s.IdempotencyStore.Create(ctx, e)
}

func (s *failingStore) Swap(ctx context.Context, old, next faas.IdempotencyEntry) (faas.IdempotencyEntry, error) {
	if s.swap != nil {
		return next, s.swap
	}
	if err := ctx.Err(); err != nil { // like a store on another machine
		return next, err
	}
	return s.IdempotencyStore.Swap(ctx, old, next)
}

func TestAStoreThatFailsKeepsTheHandlerFromRunningAndNoAnswerFromItsCaller(t *testing.T) {
	idempotent(t, func(t *testing.T, i faas.Idempotency) {
		s := &failingStore{i.Store, errTest, nil}
		i.Store = s
		r, runs := router(t, faas.WithTimeout(time.Second)), atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(i, checkoutID, counted(&runs, works)))
		_, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.ErrorIs(t, err, errTest)
		require.Zero(t, runs.Load())

		s.create, s.swap = nil, errTest
		n, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		s.swap = nil
		time.Sleep(time.Second) // until the lease of that call ends
		n, err = charge.Invoke(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		require.EqualValues(t, 2, n, "its answer is lost")
	})
}

func TestTheMemoryStoreRefusesKeysForWhichItHasNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := faas.Idempotency{Store: faas.NewMemoryIdempotency(2, 10), Window: time.Minute}
		runs := 0
		h := faas.Idempotent(i, checkoutID, func(_ context.Context, o checkout) (string, error) {
			if runs++; o.Cents < 0 {
				return "", errTest
			}
			return fmt.Sprintf("%0*d", o.Cents, 0), nil
		})
		call := func(id string, n int) error {
			_, err := h(t.Context(), checkout{id, n})
			return err
		}
		require.ErrorIs(t, call("failed", -1), errTest) // a failed call takes no room
		require.NoError(t, call("a", 1))
		time.Sleep(time.Second)
		require.NoError(t, call("b", 1))
		require.ErrorIs(t, call("c", 1), faas.ErrOverloaded)
		require.NoError(t, call("a", 1), "it is remembered")
		require.Equal(t, 3, runs)
		time.Sleep(time.Minute - time.Second)
		require.NoError(t, call("c", 10), "the window of a has ended")
		time.Sleep(time.Second)
		require.ErrorIs(t, call("d", 1), faas.ErrOverloaded, "the answer to c has all of the bytes")
		time.Sleep(time.Minute)
		require.NoError(t, call("d", 1))
	})
}

func TestAnAnswerThatTheQueueHasForgottenIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := faas.NewMemoryJobs(0, 0)
		r := router(t, faas.WithJobs(q))
		runs := atomic.Int64{}
		charge := faas.Register(r, "charge", faas.Idempotent(faas.Idempotency{Store: faas.NewJobIdempotency(q), Window: time.Hour}, checkoutID, counted(&runs, works)))
		_, err := charge.Invoke(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		n, err := r.Purge(t.Context(), faas.JobFilter{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = charge.Invoke(t.Context(), checkout{"a", 1})
		require.ErrorIs(t, err, faas.ErrForgotten)
		require.EqualValues(t, 1, runs.Load())
		time.Sleep(time.Hour)
		_, err = charge.Invoke(t.Context(), checkout{"a", 1})
		require.NoError(t, err)
		require.NoError(t, r.Shutdown(t.Context()), "an entry is no job that is left")
	})
}

// TestAKeyHasOneSuccess hammers the locks. Although handlers fail and panic, no key has two calls that
// run at once, nor two that succeed.
func TestAKeyHasOneSuccess(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]faas.IdempotencyStore{
		"memory": faas.NewMemoryIdempotency(0, 0), "jobs": faas.NewJobIdempotency(faas.NewMemoryJobs(0, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faastest.New(t, faas.WithTimeout(time.Hour), faas.WithQueue(math.MaxInt32))
			var running, succeeded [20]atomic.Int64
			f := faas.Register(r, "f", faas.Idempotent(faas.Idempotency{Store: store},
				func(_ context.Context, n int) string { return fmt.Sprint("k", n) },
				func(_ context.Context, n int) (int, error) {
					if running[n].Add(1) != 1 {
						t.Error("two at once")
					}
					defer running[n].Add(-1)
					runtime.Gosched()
					switch time.Now().UnixNano() % 3 {
					case 0:
						return 0, errTest
					case 1:
						panic("no")
					}
					succeeded[n].Add(1)
					return n, nil
				}))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for round := range 200 {
						n := round % len(running)
						if out, err := f.Invoke(context.Background(), n); err == nil && out != n {
							t.Error("another key's answer")
						}
					}
				})
			}
			wg.Wait()
			for n := range succeeded {
				if got := succeeded[n].Load(); got > 1 {
					t.Errorf("key %d has %d successes", n, got)
				}
			}
		})
	}
}

// TestStoresOfIdempotencyConform checks both stores by the conformance test, and against a model.
func TestStoresOfIdempotencyConform(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*testing.T) faas.IdempotencyStore{
		"memory": func(*testing.T) faas.IdempotencyStore { return faas.NewMemoryIdempotency(0, 0) },
		"jobs":   func(*testing.T) faas.IdempotencyStore { return faas.NewJobIdempotency(faas.NewMemoryJobs(0, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faastest.TestIdempotencyStore(t, store)
			synctest.Test(t, func(t *testing.T) { modelIdempotency(t, store(t), name == "memory") })
		})
	}
}

// keyModel is the state of a key in the model.
type keyModel struct {
	until  time.Time
	answer int64 // 0: none
	input  int
}

// modelIdempotency makes calls one after the other, and checks by a model whether the handler has
// run and what the call returned. anew says that the window begins again after a call whose answer
// was not remembered.
func modelIdempotency(t *testing.T, store faas.IdempotencyStore, anew bool) {
	const window = time.Minute
	checks := 0
	rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
		checks++
		runs, fails := int64(0), false
		h := faas.Idempotent(faas.Idempotency{Store: store, Window: window}, checkoutID, func(context.Context, checkout) (int64, error) {
			if runs++; fails {
				return 0, errTest
			}
			return runs, nil
		})
		model := map[string]*keyModel{}
		rt.Repeat(map[string]func(*rapid.T){
			"call": func(rt *rapid.T) {
				id := fmt.Sprint(checks, "/", rapid.IntRange(0, 3).Draw(rt, "key"))
				input := rapid.IntRange(0, 1).Draw(rt, "input")
				fails = rapid.Bool().Draw(rt, "fails")
				was := runs
				out, err := h(t.Context(), checkout{id, input})
				known := model[id]
				if known == nil || !time.Now().Before(known.until) || anew && known.answer == 0 {
					known = &keyModel{until: time.Now().Add(window)}
					model[id] = known
				}
				switch {
				case known.answer != 0 && known.input != input:
					require.ErrorIs(rt, err, faas.ErrKeyReused)
					require.Equal(rt, was, runs)
				case known.answer != 0:
					require.NoError(rt, err)
					require.Equal(rt, known.answer, out)
					require.Equal(rt, was, runs)
				case fails:
					require.ErrorIs(rt, err, errTest)
					require.Equal(rt, was+1, runs)
				default:
					require.NoError(rt, err)
					require.Equal(rt, was+1, runs)
					known.answer, known.input = runs, input
				}
			},
			"time passes": func(rt *rapid.T) {
				time.Sleep(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
			},
		})
	})
}
