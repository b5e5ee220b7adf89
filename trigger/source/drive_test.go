package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/pattern"
	"github.com/inproc/faas/trigger/source"
)

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// seen collects the inputs with which a function was called.
type seen struct {
	mu    sync.Mutex
	calls []int
}

func (s *seen) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, n)
}

func (s *seen) all() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.calls...)
}

// numbers returns items with the payloads from to to-1, and the same texts as IDs.
func numbers(from, to int) []source.Item {
	var all []source.Item
	for n := from; n < to; n++ {
		all = append(all, source.Item{ID: fmt.Sprint(n), Payload: fmt.Append(nil, n)})
	}
	return all
}

// drive is Drive. The driver is stopped when the test ends.
func drive(t *testing.T, r *faas.Router, src source.Source, opts ...source.Option) *source.Driver {
	t.Helper()
	d, err := source.Drive(r, src, append([]source.Option{source.WithLog(nil)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return d
}

func info(d *source.Driver) source.Info { return d.Info(context.Background()) }

func TestItemsBecomeCallsAndAreAcknowledgedWhenTheyAreDone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got seen
		faas.Register(r, "add", func(ctx context.Context, n int) (struct{}, error) {
			inv, _ := faas.FromContext(ctx)
			require.Equal(t, "add", inv.Origin.Door)
			require.Equal(t, fmt.Sprint(n), inv.Origin.RequestID)
			time.Sleep(time.Second)
			got.add(n)
			return struct{}{}, nil
		})
		m := &source.Memory{}
		d := drive(t, r, m, source.To("add"))
		m.Put(numbers(0, 10)...)
		synctest.Wait()
		require.Equal(t, 10, m.Len(), "none has ended")
		require.Equal(t, 10, info(d).UnderWay)
		time.Sleep(time.Minute)
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got.all())
		require.Zero(t, m.Len())
		i := info(d)
		require.Equal(t, source.Counts{Received: 10, Accepted: 10}, i.Counts)
		require.Equal(t, source.Running, i.State)
		require.Zero(t, i.UnderWay)
		require.Equal(t, source.Lag{}, i.Lag)
	})
}

func TestAnItemThatComesAgainIsAcceptedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got seen
		faas.Register(r, "add", func(_ context.Context, n int) (struct{}, error) { got.add(n); return struct{}{}, nil })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("add"))
		m.Put(append(numbers(0, 3), numbers(0, 3)...)...)
		m.Put(source.Item{Payload: []byte("7")}, source.Item{Payload: []byte("7")})
		synctest.Wait()
		require.ElementsMatch(t, []int{0, 1, 2, 7, 7}, got.all())
		require.Zero(t, m.Len())
		require.Equal(t, source.Counts{Received: 8, Accepted: 8, Duplicates: 3}, info(d).Counts)
	})
}

func TestAFilterLeavesItemsOut(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got seen
		faas.Register(r, "add", func(_ context.Context, in struct{ N int }) (struct{}, error) { got.add(in.N); return struct{}{}, nil })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("add"), source.WithFilter(pattern.MustCompile(`{"N": [1]}`), pattern.MustCompile(`{"N": [{"numeric": [">", 5]}]}`)))
		for _, payload := range []string{`{"N": 1}`, `{"N": 2}`, `{"N": 7}`, `7`, `{`, `null`} {
			m.Put(source.Item{Payload: []byte(payload)})
		}
		synctest.Wait()
		require.ElementsMatch(t, []int{1, 7}, got.all())
		require.Zero(t, m.Len(), "what is left out is acknowledged")
		require.Equal(t, source.Counts{Received: 6, Accepted: 2, Filtered: 4}, info(d).Counts)
	})
}

func TestNoMoreItemsAreUnderWayThanAllowed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		faas.Register(r, "slow", func(context.Context, int) (struct{}, error) { time.Sleep(time.Second); return struct{}{}, nil })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("slow"), source.WithConcurrency(3))
		m.Put(numbers(0, 30)...)
		for range 10 {
			synctest.Wait()
			require.Equal(t, 3, info(d).UnderWay)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		require.Zero(t, m.Len())
	})
}

func TestAPausedDriverTakesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got seen
		faas.Register(r, "add", func(_ context.Context, n int) (struct{}, error) { got.add(n); return struct{}{}, nil })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("add"))
		d.Pause()
		d.Pause()
		m.Put(numbers(0, 5)...)
		time.Sleep(time.Hour)
		require.Empty(t, got.all())
		require.Equal(t, source.Paused, info(d).State)
		require.Equal(t, source.Lag{Items: 5, Age: time.Hour}, info(d).Lag)
		d.Resume()
		d.Resume()
		synctest.Wait()
		require.Len(t, got.all(), 5)
		require.Equal(t, source.Running, info(d).State)
		d.Pause()
		m.Put(numbers(5, 6)...)
		synctest.Wait()
		require.NoError(t, d.Stop(t.Context()), "a paused driver ends")
		require.Equal(t, 1, m.Len())
		require.Equal(t, source.Stopped, info(d).State)
	})
}

// faulty is a source that fails in some ways before it runs the source inside.
type faulty struct {
	source.Source

	faults []func() error
}

func (f *faulty) Run(ctx context.Context, sink source.Sink) error {
	if len(f.faults) > 0 {
		fault := f.faults[0]
		f.faults = f.faults[1:]
		return fault()
	}
	return f.Source.Run(ctx, sink)
}

func TestASourceThatFailsIsStartedAgainLaterEachTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got seen
		faas.Register(r, "add", func(_ context.Context, n int) (struct{}, error) { got.add(n); return struct{}{}, nil })
		m := &source.Memory{}
		m.Put(numbers(0, 1)...)
		src := &faulty{m, []func() error{
			func() error { return errors.New("no such host") },
			func() error { panic("a bug") },
			func() error { runtime.Goexit(); return nil },
			func() error { time.Sleep(time.Minute); return errors.New("reset by peer") },
		}}
		d := drive(t, r, src, source.To("add"), source.WithRestart(time.Second, 4*time.Second))
		for _, c := range []struct {
			wait time.Duration
			why  string
		}{{time.Second, "no such host"}, {2 * time.Second, "a bug"}, {4 * time.Second, "without returning"}} {
			synctest.Wait()
			i := info(d)
			require.Equal(t, source.Restarting, i.State)
			require.Contains(t, i.LastError, c.why)
			require.Equal(t, time.Now(), i.LastErrorAt)
			time.Sleep(c.wait)
		}
		synctest.Wait()
		require.Equal(t, source.Running, info(d).State)
		require.Equal(t, 3, info(d).Restarts)
		time.Sleep(time.Minute + time.Second) // it has run for longer than a minute, so the waits begin with the shortest again
		synctest.Wait()
		require.Equal(t, source.Running, info(d).State)
		require.Equal(t, 4, info(d).Restarts)
		require.Equal(t, []int{0}, got.all())
	})
}

func TestAnItemThatNoQueueTakesIsRejected(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithLimits(10, 100))
		var got seen
		faas.Register(r, "add", func(_ context.Context, n int) (struct{}, error) { got.add(n); return struct{}{}, nil })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("add"))
		m.Put(source.Item{ID: "large", Payload: make([]byte, 100)}, source.Item{ID: "unknown", Function: "nothing", Payload: []byte("1")},
			source.Item{ID: "tenant", Tenant: "a\nb", Payload: []byte("1")}, source.Item{ID: "key", OrderKey: "a\nb", Payload: []byte("1")})
		m.Put(numbers(3, 4)...)
		synctest.Wait()
		require.Equal(t, []int{3}, got.all())
		require.Len(t, m.Rejected(), 4)
		require.Equal(t, source.Counts{Received: 5, Accepted: 1, Rejected: 4}, info(d).Counts)
	})
}

func TestAFullQueueIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithJobs(faas.NewMemoryJobs(2, 0)))
		var got seen
		faas.Register(r, "slow", func(_ context.Context, n int) (struct{}, error) {
			time.Sleep(time.Second)
			got.add(n)
			return struct{}{}, nil
		}, faas.WithConcurrency(1))
		m := &source.Memory{}
		drive(t, r, m, source.To("slow"))
		m.Put(numbers(0, 20)...)
		time.Sleep(time.Hour)
		require.Len(t, got.all(), 20)
		require.Zero(t, m.Len())
	})
}

func TestItemsOfOneOrderKeyRunInTheirOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t, faas.WithJobs(faas.NewMemoryJobs(6, 0)))
		var mu sync.Mutex
		got := map[string][]int{}
		faas.Register(r, "add", func(_ context.Context, in struct {
			Key string
			N   int
		},
		) (struct{}, error) {
			mu.Lock()
			defer mu.Unlock()
			got[in.Key] = append(got[in.Key], in.N)
			return struct{}{}, nil
		})
		m := &source.Memory{}
		drive(t, r, m, source.To("add"))
		want := map[string][]int{}
		for n := range 60 {
			key := fmt.Sprint("key ", n%3)
			payload, err := json.Marshal(map[string]any{"Key": key, "N": n})
			require.NoError(t, err)
			m.Put(source.Item{ID: fmt.Sprint(n), OrderKey: key, Payload: payload})
			want[key] = append(want[key], n)
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, want, got)
	})
}

func TestStopGivesBackWhatWaitsForALaterAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		release := make(chan struct{})
		faas.Register(r, "odd", func(_ context.Context, n int) (struct{}, error) {
			if n%2 == 1 {
				return struct{}{}, errors.New("odd")
			}
			<-release
			return struct{}{}, nil
		})
		m := &source.Memory{}
		d := drive(t, r, m, source.To("odd"))
		m.Put(numbers(0, 4)...)
		time.Sleep(10 * time.Second) // the odd numbers wait for their second attempt
		go func() {
			time.Sleep(5 * time.Second)
			close(release)
		}()
		began := time.Now()
		require.NoError(t, d.Stop(t.Context()))
		require.Equal(t, 5*time.Second, time.Since(began), "it waits for those that run")
		require.Equal(t, 2, m.Len())
		require.Equal(t, source.Counts{Received: 4, Accepted: 2, Returned: 2}, info(d).Counts)
		require.NoError(t, d.Stop(t.Context()), "again")
	})
}

func TestShutdownEndsTheDriverBeforeTheRouter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got seen
		faas.Register(r, "slow", func(_ context.Context, n int) (struct{}, error) {
			time.Sleep(time.Second)
			got.add(n)
			return struct{}{}, nil
		})
		m := &source.Memory{}
		d := drive(t, r, m, source.To("slow"), source.WithConcurrency(2))
		m.Put(numbers(0, 5)...)
		synctest.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		<-d.Done()
		require.Len(t, got.all(), 2)
		require.Equal(t, 3, m.Len())
		_, err := source.Drive(r, m, source.To("slow"))
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestACloseEndsTheDriverAtItsNextItem(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		faas.Register(r, "add", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("add"))
		require.NoError(t, r.Close())
		m.Put(numbers(0, 1)...)
		<-d.Done()
		require.Equal(t, 1, m.Len())
	})
}

func TestAStopWhoseTimeIsUpGivesEverythingBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		release := make(chan struct{})
		defer close(release)
		faas.Register(r, "deaf", func(context.Context, int) (struct{}, error) { <-release; return struct{}{}, nil }, faas.WithTimeout(time.Hour))
		m := &source.Memory{}
		d := drive(t, r, m, source.To("deaf"))
		m.Put(numbers(0, 3)...)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, d.Stop(ctx), "all ended within the grace")
		require.Equal(t, 3, m.Len())
		require.Equal(t, source.Counts{Received: 3, Returned: 3}, info(d).Counts)
	})
}

func TestADriverWhoseSourceHasNoMoreItemsEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		faas.Register(r, "add", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
		m := &source.Memory{}
		m.Put(numbers(0, 7)...)
		m.End()
		d := drive(t, r, m, source.To("add"))
		<-d.Done()
		require.Equal(t, source.Counts{Received: 7, Accepted: 7}, info(d).Counts)
		require.Equal(t, source.Stopped, info(d).State)
	})
}

func TestDriveRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "add", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
	m := &source.Memory{}
	for _, c := range []struct {
		opts []source.Option
		want error
	}{
		{nil, faas.ErrInput},
		{[]source.Option{source.To("nothing")}, faas.ErrNotFound},
		{[]source.Option{source.To("add"), source.WithConcurrency(0)}, faas.ErrInput},
		{[]source.Option{source.To("add"), source.WithRestart(0, 0)}, faas.ErrInput},
		{[]source.Option{source.To("add"), source.WithRestart(time.Minute, time.Second)}, faas.ErrInput},
	} {
		_, err := source.Drive(r, m, c.opts...)
		require.ErrorIs(t, err, c.want)
	}
	_, err := source.Drive(nil, m, source.To("add"))
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = source.Drive(r, nil, source.To("add"))
	require.ErrorIs(t, err, faas.ErrInput)
}

func TestAPreparedItemIsTheJobThatWasPrepared(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var got []faas.Invocation
		fn := faas.Register(r, "add", func(ctx context.Context, n int) (struct{}, error) {
			inv, _ := faas.FromContext(ctx)
			require.Equal(t, 7, n)
			got = append(got, inv)
			return struct{}{}, nil
		})
		ctx := faas.WithOrigin(faas.WithTenant(t.Context(), "acme"), faas.Origin{Door: "http", RequestID: "r-1"})
		rec, err := fn.Prepare(ctx, 7)
		require.NoError(t, err)
		m := &source.Memory{}
		d := drive(t, r, m, source.WithName("prepared"))
		m.Put(source.Item{ID: "1", Prepared: &rec}, source.Item{ID: "2", Prepared: &rec}, source.Item{ID: "3", Prepared: &faas.JobRecord{}})
		synctest.Wait()
		require.Len(t, got, 1)
		require.Equal(t, []any{rec.ID, "acme", "http", "r-1"}, []any{got[0].Job, got[0].Tenant, got[0].Origin.Door, got[0].Origin.RequestID})
		require.Equal(t, source.Counts{Received: 3, Accepted: 2, Duplicates: 1, Rejected: 1}, info(d).Counts)
		require.Len(t, m.Rejected(), 1)
	})
}

func TestStopDoesNotWaitForAJobThatIsNotDueNorForOneBehindIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		faas.Register(r, "later", func(context.Context, int) (struct{}, error) { return struct{}{}, errors.New("again") })
		m := &source.Memory{}
		d := drive(t, r, m, source.To("later"))
		m.Put(source.Item{ID: "1", Payload: []byte("1"), Options: []faas.SendOption{faas.WithDelay(time.Hour)}},
			source.Item{ID: "2", Payload: []byte("2"), OrderKey: "k"}, source.Item{ID: "3", Payload: []byte("3"), OrderKey: "k"})
		synctest.Wait()
		require.NoError(t, d.Stop(t.Context()))
		require.Equal(t, uint64(3), info(d).Counts.Returned)
		require.Equal(t, 3, m.Len())
	})
}
