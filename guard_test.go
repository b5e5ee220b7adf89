package faas_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// lateCloser is a caller's context that closes the router in its Deadline method. That method is
// called when the call has its slot, at a time when Close can't find the call in a worker yet.
type lateCloser struct {
	context.Context

	r *faas.Router
}

func (c lateCloser) Deadline() (time.Time, bool) {
	go func() { _ = c.r.Close() }()
	time.Sleep(time.Second) // in the bubble's time: by then Close has looked at all slots, and waits
	return c.Context.Deadline()
}

func TestNoHandlerStartsOnceCloseHasLookedAtTheSlots(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		for _, warm := range []bool{false, true} {
			m := &recorder{}
			r := router(t, faas.WithMeter(m))
			entered := 0
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { entered++; return 0, nil }, opts...)
			want := 0
			if warm {
				_, err := f.Invoke(t.Context(), 0)
				require.NoError(t, err)
				want = 1
			}
			_, err := f.Invoke(lateCloser{t.Context(), r}, 0)
			require.ErrorIs(t, err, faas.ErrClosed)
			assert.Equal(t, want, entered)
			assert.Equal(t, faas.Canceled, m.last(t).Outcome)
			synctest.Wait()
		}
	})
}

// What a call has used can be collected once the call has ended, even before its deadline.
func TestASlotThatHasEndedIsNotKeptByItsTimer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]faas.Handler[int, int]{
		"exited": func(context.Context, int) (int, error) { exit(); return 0, nil },
		"panics": func(context.Context, int) (int, error) { panic("x") },
		"leaves": func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var kept weak.Pointer[[1024]byte]
			r := router(t, faas.WithTimeout(time.Hour), faas.WithContext(func(_, fresh context.Context) context.Context {
				big := new([1024]byte)
				kept = weak.Make(big)
				return context.WithValue(fresh, key{"big"}, big)
			}))
			f := faas.Register(r, "f", handler)
			// The caller has no deadline, so the timer is set for an hour.
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			time.AfterFunc(10*time.Millisecond, cancel)
			_, _ = f.Invoke(ctx, 0)
			spin(func() bool { runtime.GC(); return kept.Value() == nil })
			assert.Nil(t, kept.Value())
		})
	}
}

// Goroutines of one handler that call Done of its context at the same time get the same
// channel, and it is closed when the call ends.
func TestConcurrentCallsOfDoneGetTheSameChannel(t *testing.T) {
	t.Parallel()
	r := router(t)
	f := faas.Register(r, "f", func(ctx context.Context, _ int) ([2]<-chan struct{}, error) {
		var got [2]<-chan struct{}
		var ready, all sync.WaitGroup
		ready.Add(len(got))
		for i := range got {
			all.Go(func() {
				ready.Done()
				ready.Wait()
				got[i] = ctx.Done()
			})
		}
		all.Wait()
		return got, nil
	})
	for range 20_000 {
		got, err := f.Invoke(context.Background(), 0)
		require.NoError(t, err)
		require.Equal(t, got[0], got[1])
		<-got[0]
	}
}
