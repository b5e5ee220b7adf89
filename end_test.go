package faas_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestTheEndOfACallIsItsOutcome(t *testing.T) {
	modes(t, func(t *testing.T, opts ...faas.FunctionOption) {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithTimeout(time.Second), faas.WithLimits(100, 10))
		handlers := map[faas.Outcome]faas.Handler[int, any]{
			faas.OK:            func(context.Context, int) (any, error) { return 1, nil },
			faas.Failed:        func(context.Context, int) (any, error) { return 1, errors.New("no") },
			faas.Panicked:      func(context.Context, int) (any, error) { panic("no") },
			faas.TimedOut:      func(ctx context.Context, _ int) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
			faas.OutputInvalid: func(context.Context, int) (any, error) { return strings.Repeat("x", 20), nil },
		}
		for outcome, h := range handlers {
			name := outcome.String()
			faas.Register(r, name, h, opts...)
			_, err := r.Invoke(t.Context(), name, []byte("1"))
			end := faas.EndOf(err, name)
			assert.Equal(t, faas.KindNone, end.Kind, name)
			assert.Equal(t, outcome, end.Outcome, name)
			assert.Equal(t, outcome, m.last(t).Outcome, "caller and record agree")
			assert.Equal(t, outcome > faas.Failed, end.Err != nil, name)
		}
	})
}

func TestTheEndOfACallWhoseInitFailedIsInitFailedAndThenUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[int, int], func(context.Context) error, error) {
			return nil, nil, errors.New("the database is down")
		})
		_, err := f.Invoke(t.Context(), 1)
		assert.Equal(t, faas.InitFailed, faas.EndOf(err, "f").Outcome)
		_, err = f.Invoke(t.Context(), 1)
		end := faas.EndOf(err, "f")
		assert.Equal(t, faas.KindUnavailable, end.Kind)
		assert.Positive(t, end.Err.RetryAfter)
	})
}

// A call by the name of a version or an alias ends with an error about the function. If the name
// is not found, the error is about the whole name.
func TestTheEndOfACallIsTheSameByEachNameOfItsFunction(t *testing.T) {
	t.Parallel()
	for _, inError := range []string{"f", "f:2", "f:live"} {
		err := &faas.Error{Op: "invoke", Function: inError, Kind: faas.KindBusy}
		for _, called := range []string{"f", "f:2", "f:live", "f:$LATEST"} {
			assert.Equal(t, faas.KindBusy, faas.EndOf(err, called).Kind, called)
		}
		for _, other := range []string{"", "g", "g:2", "ff", "f2"} {
			assert.Equal(t, faas.Failed, faas.EndOf(err, other).Outcome, other)
		}
	}
	long := strings.Repeat("x", 64)
	err := &faas.Error{Op: "invoke", Function: long, Kind: faas.KindBusy}
	assert.Equal(t, faas.KindBusy, faas.EndOf(err, long+":live").Kind)
}

func TestTheEndOfACallThatItsCallerLeftIsCanceled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Invoke(ctx, 1)
		assert.Equal(t, faas.End{Outcome: faas.Canceled, Err: err.(*faas.Error)}, faas.EndOf(err, "f")) //nolint:errorlint // this type is what is tested
		<-ctx.Done()
		_, err = f.Invoke(ctx, 1)
		assert.Equal(t, faas.KindCanceled, faas.EndOf(err, "f").Kind)
	})
}

func TestTheErrorOfANestedCallIsTheHandlersOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithMaxDepth(1))
		relay := func(to string) faas.Handler[string, string] {
			return func(ctx context.Context, in string) (string, error) {
				_, err := r.Invoke(ctx, to, []byte(`"x"`))
				assert.NotEqual(t, faas.End{Outcome: faas.Failed}, faas.EndOf(err, to), "to the handler it is the platform's")
				return in, err
			}
		}
		faas.Register(r, "lost", relay("nobody"))
		faas.Register(r, "itself", relay("itself")) // the call is refused one level deeper, in a call of the same function
		for _, name := range []string{"lost", "itself"} {
			_, err := r.Invoke(t.Context(), name, []byte(`"x"`))
			require.Error(t, err)
			assert.Equal(t, faas.End{Outcome: faas.Failed}, faas.EndOf(err, name), name)
		}
	})
}

func TestTheEndIsReadFromTheErrorAsItWasAnswered(t *testing.T) {
	t.Parallel()
	r := router(t)
	_, err := r.Invoke(t.Context(), "nobody", nil)
	assert.Equal(t, faas.KindNotFound, faas.EndOf(err, "nobody").Kind)
	failed := faas.End{Outcome: faas.Failed}
	assert.Equal(t, failed, faas.EndOf(err, "another"))
	assert.Equal(t, failed, faas.EndOf(fmt.Errorf("wrapped: %w", err), "nobody"))
	assert.Equal(t, failed, faas.EndOf((*faas.Error)(nil), "nobody"))
	assert.Equal(t, faas.End{}, faas.EndOf(nil, "nobody"))

	long := strings.Repeat("n", 100)
	_, err = r.Invoke(t.Context(), long, nil)
	assert.Equal(t, faas.KindNotFound, faas.EndOf(err, long).Kind)
	_, err = r.Signature("nobody")
	assert.Equal(t, faas.KindNotFound, faas.EndOf(err, "nobody").Kind)
}
