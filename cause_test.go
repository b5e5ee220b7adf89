package faas_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestTheCauseOfACancelationTravelsFromWhereverACallWaits(t *testing.T) {
	t.Parallel()
	for name, wait := range stations {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m))
				err := wait(t, r, gone(t, time.Second))
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errGone)
				time.Sleep(2 * time.Minute)
				assertBalanced(t, r, m)
			})
		})
		t.Run(name+", by a deadline", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &recorder{}
				r := router(t, faas.WithMeter(m))
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errGone)
				defer cancel()
				wait := wait // the other subtest reads its own at the same time
				if name == "nested" {
					wait = stations["running"] // stations["nested"] itself asserts the answer to a cancelation, and this is a deadline
				}
				err := wait(t, r, ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errGone)
				require.NotErrorIs(t, err, faas.ErrTimeout)
				time.Sleep(2 * time.Minute)
				assertBalanced(t, r, m)
			})
		})
	}
}

func TestAHookSeesTheValuesAndTheCauseOfTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{"user"}, "u1"))
		deadline := time.Now().Add(time.Hour)
		ctx, stop := context.WithDeadline(ctx, deadline)
		defer stop()
		f := faas.Register(router(t), "f", double, faas.WithGate(gate{steps: &steps{}, admit: func(ctx context.Context, _ faas.Invocation) error {
			assert.Equal(t, "u1", ctx.Value(key{"user"}))
			got, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, deadline, got)
			assert.NoError(t, ctx.Err())
			cancel(errGone)
			<-ctx.Done()
			assert.Equal(t, errGone, context.Cause(ctx))
			return ctx.Err()
		}}))
		_, err := f.Invoke(ctx, 0)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestAHandlersContextTellsTheCause(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		var kept, child context.Context
		r := router(t, faas.WithTimeout(time.Minute))
		f := faas.Register(r, "f", func(ctx context.Context, wait time.Duration) (int, error) {
			kept = ctx //nolint:fatcontext // it is examined after its end
			var cancel context.CancelFunc
			child, cancel = context.WithCancel(ctx)
			t.Cleanup(cancel)
			assert.NoError(t, context.Cause(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			return 0, nil
		}, opts...)
		check := func(err, end, cause error) {
			t.Helper()
			require.ErrorIs(t, err, cause)
			synctest.Wait()
			for _, ctx := range []context.Context{kept, child, context.WithValue(kept, key{"k"}, 1)} {
				assert.Equal(t, end, ctx.Err())
				assert.Equal(t, cause, context.Cause(ctx))
			}
			late, cancel := context.WithCancel(kept)
			defer cancel()
			assert.Equal(t, cause, context.Cause(late))
			assert.Nil(t, kept.Value(new(int)), "there is nothing else to find")
		}

		_, err := f.Invoke(t.Context(), time.Hour)
		check(err, context.DeadlineExceeded, faas.ErrTimeout)

		_, err = f.Invoke(gone(t, time.Second), time.Hour)
		check(err, context.Canceled, errGone)

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errGone)
		defer cancel()
		_, err = f.Invoke(ctx, time.Hour)
		check(err, context.DeadlineExceeded, errGone)

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = f.Invoke(ctx, time.Hour)
		check(err, context.DeadlineExceeded, context.DeadlineExceeded)

		_, err = f.Invoke(t.Context(), 0)
		require.NoError(t, err)
		check(context.Canceled, context.Canceled, context.Canceled)

		time.AfterFunc(time.Second, func() { _ = r.Close() })
		_, err = f.Invoke(t.Context(), time.Hour)
		check(err, context.Canceled, faas.ErrClosed)
	})
}

func TestANestedCallIsToldItsCallersCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		inner := faas.Register(r, "inner", func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			assert.Equal(t, faas.ErrTimeout, context.Cause(ctx))
			return 0, nil
		})
		var below error
		outer := faas.Register(r, "outer", func(ctx context.Context, _ int) (int, error) {
			_, below = inner.Invoke(ctx, 0)
			return 0, nil
		}, faas.WithTimeout(time.Second))
		_, err := outer.Invoke(t.Context(), 0)
		assert.Equal(t, faas.TimedOut, faas.EndOf(err, "outer").Outcome)
		synctest.Wait()
		assert.Equal(t, faas.Canceled, faas.EndOf(below, "inner").Outcome)
		assert.ErrorIs(t, below, faas.ErrTimeout)
		assert.ErrorIs(t, below, context.DeadlineExceeded)
	})
}

func TestATimeoutSaysHowLongItWasAndWhereItIsSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, nil }, faas.WithTimeout(1500*time.Millisecond))
		_, err := f.Invoke(t.Context(), 0)
		for _, err := range []error{err, m.last(t).Err} {
			require.ErrorIs(t, err, faas.ErrTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, `faas: invoke "f": function timed out after 1.5s; see WithTimeout`, err.Error())
		}
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())
	})
}

func TestAStreamsWriterThatFailsIsTheCause(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m))
		s := faas.RegisterStream(r, "s", func(ctx context.Context, _ int, w io.Writer) error {
			for {
				if _, err := fmt.Fprint(w, "x"); err != nil {
					<-ctx.Done()
					assert.Equal(t, errGone, context.Cause(ctx))
					return err
				}
				time.Sleep(time.Millisecond)
			}
		}, opts...)
		err := s.Invoke(t.Context(), 0, broken{})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errGone)
		time.Sleep(time.Second) // until the handler's context has ended
		assert.Equal(t, faas.Canceled, m.last(t).Outcome)
		assert.ErrorIs(t, m.last(t).Err, errGone, "the record agrees")
		assertBalanced(t, r, m)
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errGone }
