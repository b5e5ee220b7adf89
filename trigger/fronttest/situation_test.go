package fronttest_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/trigger/faashttp"
)

// situation sets up a stage.
type situation func(s *stage)

// works registers a function that ends as f does.
func works(f func(ctx context.Context) error, opts ...faas.FunctionOption) situation {
	return func(s *stage) {
		s.open(faas.WithTimeout(10 * time.Second))
		s.serve("f", f, opts...)
	}
}

// asked registers a function that would succeed. change makes the call one that does not.
func asked(change func(s *stage)) situation {
	return func(s *stage) {
		works(fine)(s)
		change(s)
	}
}

func unknown(s *stage) { s.name = "nobody" }
func unnamed(s *stage) { s.name = "no.name" }
func removed(s *stage) { s.opened = func() { require.NoError(s.t, s.Remove("f")) } }
func closed(s *stage)  { s.opened = func() { require.NoError(s.t, s.Close()) } }

func otherType(s *stage) { s.payload = `{"n": "many"}` }
func badTenant(s *stage) { s.tenant = "two\nlines" }

// picky is an input type that refuses every input.
type picky struct{}

func (*picky) UnmarshalJSON([]byte) error { return errSecret }

func refusesItsInput(s *stage) {
	s.open()
	pick(s)
}

func pick(s *stage) {
	faas.Register(s.Router, "f", func(context.Context, picky) (out, error) { return out{}, nil })
}

// large makes the payload larger than the function allows.
func large(s *stage) {
	works(fine, faas.WithLimits(100, 100))(s)
	s.payload = `{"pad": "` + strings.Repeat("x", 200) + `"}`
}

// rules lets ana make every call. The caller is bob.
func rules(s *stage) {
	gate := access.Authorizer(access.Rules{{Functions: []string{"*"}, Principals: []string{"user:ana"}}}.Authorize)
	s.open(faas.WithGate(gate), faas.WithLimits(1000, 1000))
	s.ctx = access.WithPrincipal(s.ctx, access.Principal{Kind: access.User, ID: "bob"})
}

func denied(s *stage) {
	rules(s)
	s.serve("f", fine)
}

func deniedOpenly(s *stage) {
	denied(s)
	s.options = append(s.options, faashttp.WithForbidden())
}

func deniedAndMalformed(s *stage) {
	rules(s)
	pick(s)
}

func deniedAndLarge(s *stage) {
	denied(s)
	s.payload = `{"pad": "` + strings.Repeat("x", 2000) + `"}`
}

func undecided(s *stage) {
	stuck := s.deaf()
	gate := access.Authorizer(func(ctx context.Context, _ access.Principal, _ faas.Invocation) error { return stuck(ctx) }, access.WithLogger(quiet))
	s.open(faas.WithGate(gate))
	s.serve("f", fine)
}

// decided is an authorizer that refuses with this reason and kind.
func decided(reason faas.Reason, kind faas.Kind, after time.Duration) situation {
	return func(s *stage) {
		no := &faas.Error{Reason: reason, Kind: kind, RetryAfter: after, Err: errSecret}
		s.open(faas.WithGate(access.Authorizer(func(context.Context, access.Principal, faas.Invocation) error { return no })))
		s.serve("f", fine)
	}
}

func full(s *stage) {
	works(waits, faas.WithConcurrency(1), faas.WithQueue(0))(s)
	s.beside()
}

func runaways(s *stage) {
	s.open(faas.WithTimeout(time.Second))
	s.serve("f", s.deaf(), faas.WithConcurrency(1))
	require.ErrorIs(s.t, s.before(), faas.ErrTimeout)
	time.Sleep(time.Minute) // long enough for the handler to count as stuck
}

// slowSink is a meter that has not stored its first record yet.
type slowSink struct{ store func(context.Context) error }

func (m slowSink) Record(ctx context.Context, _ faas.Execution) { _ = m.store(ctx) }

func meterFull(s *stage) {
	sink := &slowSink{}
	s.open(faas.WithMeter(faas.Buffered(sink, 1)))
	sink.store = s.deaf()
	s.serve("f", fine)
	require.NoError(s.t, s.before())
}

func waitsTooLong(s *stage) {
	works(waits, faas.WithConcurrency(1), faas.WithQueueTimeout(2*time.Second))(s)
	s.beside()
}

func leavesTheQueue(s *stage) {
	works(waits, faas.WithConcurrency(1))(s)
	s.beside()
	s.leaves()
}

func hasLeft(s *stage) {
	works(fine)(s)
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(s.ctx)
	cancel()
}

// storeDown registers a function whose instances can't be made.
func storeDown(s *stage) {
	s.open()
	faas.RegisterInit(s.Router, "f", func(context.Context) (faas.Handler[in, out], func(context.Context) error, error) {
		return nil, nil, errSecret
	})
}

func storeWasDown(s *stage) {
	storeDown(s)
	require.ErrorIs(s.t, s.before(), faas.ErrInit)
}

// deep calls through a handler that is one call too deep in its chain.
func deep(s *stage) {
	s.open(faas.WithMaxDepth(1))
	s.serve("f", fine)
	s.inside("outer")
}

// cycle calls a function from a handler. The function's only slot is held by a call that waits
// for that handler.
func cycle(s *stage) {
	s.open(faas.WithConcurrency(1))
	s.inside("outer")
	s.serve("f", func(ctx context.Context) error {
		_, err := s.Invoke(ctx, "outer", []byte(`{}`))
		return err
	})
	within := s.within
	s.within = func(call func(ctx context.Context)) {
		within(func(ctx context.Context) {
			s.beside()
			call(ctx)
		})
	}
}

// budgeted registers a function with a budget for an hour, which begins when virtual time does.
func budgeted(s *stage, work func(context.Context) error, b cost.Budget) {
	b.Name, b.Calendar, b.Logger = "purse", cost.Calendar{Every: cost.Hour}, quiet
	budgets, err := cost.NewBudgets(b)
	require.NoError(s.t, err)
	s.open(faas.WithGate(budgets), faas.WithTimeout(10*time.Second))
	s.serve("f", work)
}

func spent(s *stage) {
	budgeted(s, fine, cost.Budget{Limit: cost.Calls(1)})
	require.NoError(s.t, s.before())
}

func reserved(s *stage) {
	budgeted(s, waits, cost.Budget{Limit: cost.SlotTime(15 * time.Second), Reserve: true, Slack: -1})
	s.beside()
}

func neverAffordable(s *stage) {
	budgeted(s, fine, cost.Budget{Limit: cost.SlotTime(9 * time.Second), Reserve: true, Slack: -1})
}

func exits(context.Context) error  { runtime.Goexit(); return nil }
func panics(context.Context) error { panic(errSecret) }
func fails(context.Context) error  { return errSecret }
func sleeps(context.Context) error { time.Sleep(time.Minute); return nil }
func wrapped(context.Context) error {
	return &faas.Error{Op: "mine", Kind: faas.KindBusy, RetryAfter: time.Minute, Err: errSecret}
}

func closedMeanwhile(s *stage) {
	works(waits)(s)
	time.AfterFunc(time.Second, func() { _ = s.Close() })
}

func leavesMeanwhile(s *stage) {
	works(waits)(s)
	s.leaves()
}

// spoiled is an output that can't be encoded.
type spoiled struct{ N int }

func (s spoiled) MarshalJSON() ([]byte, error) {
	if s.N == 0 { // a front may encode a zero value to learn its form
		return []byte("{}"), nil
	}
	return nil, errSecret
}

func unencodable(s *stage) {
	s.open()
	faas.Register(s.Router, "f", func(context.Context, in) (spoiled, error) { return spoiled{1}, nil })
}

func tooMuch(s *stage) {
	works(fine, faas.WithLimits(10_000, 5))(s)
}

// deputy returns the error that its call of another function got.
func deputy(s *stage) {
	s.open()
	s.serve("off", fine, faas.WithConcurrency(0))
	s.serve("f", func(ctx context.Context) error {
		_, err := s.Invoke(ctx, "off", []byte(`{}`))
		return err
	})
}

// selfish returns the refusal of a call of itself. It is not the refusal of its own call.
func selfish(s *stage) {
	s.open(faas.WithMaxDepth(1))
	s.serve("f", func(ctx context.Context) error {
		_, err := s.Invoke(ctx, "f", []byte(`{}`))
		if !errors.Is(err, faas.ErrDepth) {
			s.t.Errorf("%v", err)
		}
		return err
	})
}
