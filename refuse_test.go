package faas_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestEachReasonOfThePlatformHasItsKind(t *testing.T) {
	t.Parallel()
	want := map[faas.Reason]faas.Kind{
		faas.ReasonNotFound: faas.KindNotFound, faas.ReasonName: faas.KindNotFound,
		faas.ReasonDenied: faas.KindDenied, faas.ReasonInput: faas.KindInvalid, faas.ReasonTooLarge: faas.KindTooLarge,
		faas.ReasonOverloaded: faas.KindBusy, faas.ReasonRunaways: faas.KindBusy, faas.ReasonOff: faas.KindBusy,
		faas.ReasonQueueTimeout: faas.KindBusy, faas.ReasonMeterFull: faas.KindUnavailable, faas.ReasonInit: faas.KindUnavailable,
		faas.ReasonDepth: faas.KindNesting, faas.ReasonCycle: faas.KindNesting,
		faas.ReasonClosed: faas.KindClosed, faas.ReasonQueueCanceled: faas.KindCanceled,
	}
	for reason, kind := range want {
		assert.Equal(t, kind, reason.Kind(), reason)
	}
	assert.Equal(t, faas.KindNone, faas.Reason("of a gate's own").Kind())
	assert.Equal(t, "TooLarge", faas.KindTooLarge.String())
	assert.Equal(t, "Kind(?)", faas.Kind(200).String())
}

// toldOf returns an option with a WithRefusals hook that records what it gets.
func toldOf(to *steps) faas.Option {
	return faas.WithRefusals(func(_ context.Context, r faas.Refusal) {
		to.add(fmt.Sprintf("%s by %q: %v, %s", r.Function, r.Tenant, r.Kind, r.Reason))
	})
}

func TestARefusalIsToldWithTenantKindAndReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told, own steps
		r := router(t, toldOf(&told), faas.WithLimits(10, 10))
		release := make(chan struct{})
		block := faas.Register(r, "block", func(context.Context, int) (int, error) { <-release; return 0, nil },
			faas.WithConcurrency(1), faas.WithQueue(1), faas.WithQueueTimeout(time.Second), toldOf(&own))
		ctx := faas.WithTenant(t.Context(), "acme")

		_, _ = r.Invoke(ctx, "nobody", nil)
		_, _ = r.Invoke(ctx, "no/name", nil)
		_, _ = r.Invoke(ctx, "block", []byte("{"))
		_, _ = r.Invoke(ctx, "block", []byte("           1"))
		_, _ = r.Invoke(nil, "block", []byte("1")) //nolint:staticcheck // a nil context is what is tested
		go func() { _, _ = block.Invoke(t.Context(), 1) }()
		time.Sleep(time.Millisecond)
		_, _ = block.Invoke(ctx, 1)
		close(release)

		want := []string{
			`nobody by "acme": NotFound, not_found`,
			`no/name by "acme": NotFound, name`,
			`block by "acme": Invalid, input`,
			`block by "acme": TooLarge, too_large`,
			`block by "": Invalid, input`,
			`block by "acme": Busy, queue_timeout`,
		}
		assert.Equal(t, want, told.list())
		assert.Equal(t, want[2:], own.list(), "a function's hook hears of its own calls")
	})
}

func TestARefusalIsCountedBeforeItIsToldAndToldBeforeTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var r *faas.Router
		var got []faas.Refusal
		r = router(t, faas.WithRefusals(func(ctx context.Context, ref faas.Refusal) {
			require.Equal(t, uint64(1), r.Stats().Rejected[faas.ReasonQueueCanceled])
			require.ErrorIs(t, ctx.Err(), context.Canceled, "it is the caller's context")
			got = append(got, ref)
		}))
		f := faas.Register(r, "f", double, faas.WithLabels(map[string]string{"team": "a"}))
		ctx, cancel := context.WithCancel(faas.WithPriority(faas.WithTenant(t.Context(), "acme"), 3))
		cancel()

		_, err := f.Invoke(ctx, 1)

		require.Len(t, got, 1)
		e := got[0]
		assert.Equal(t, err, e.Err)
		assert.NotEqual(t, uuid.Nil, e.ID)
		assert.Equal(t, "$LATEST", e.Version)
		assert.Equal(t, "a", e.Labels["team"])
		assert.Equal(t, 3, e.Priority)
		assert.Equal(t, 1, e.Attempt)
	})
}

func TestAHookForRefusalsThatPanicsChangesNothing(t *testing.T) {
	t.Parallel()
	var told steps
	r := router(t, faas.WithRefusals(func(context.Context, faas.Refusal) { panic("hook") }), toldOf(&told))
	_, err := r.Invoke(t.Context(), "nobody", nil)
	require.ErrorIs(t, err, faas.ErrNotFound)
	assert.Len(t, told.list(), 1, "the next hook is told")
	assert.Equal(t, uint64(1), r.Stats().HookPanics)
}

func TestAGateChoosesTheKindOfItsRefusal(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	for _, test := range []struct {
		name string
		says error
		kind faas.Kind
		why  faas.Reason
	}{
		{"an error of its own", mine, faas.KindDenied, faas.ReasonDenied},
		{"a reason", &faas.Error{Reason: "quota", Err: mine}, faas.KindDenied, "quota"},
		{"a reason and when to come back", &faas.Error{Reason: "quota", RetryAfter: time.Second, Err: mine}, faas.KindBusy, "quota"},
		{"a reason of the platform's", &faas.Error{Reason: faas.ReasonOverloaded, Err: mine}, faas.KindBusy, faas.ReasonOverloaded},
		{"a kind", &faas.Error{Kind: faas.KindUnavailable, Reason: "policy_down", Err: mine}, faas.KindUnavailable, "policy_down"},
		{"a kind and when to come back", &faas.Error{Kind: faas.KindDenied, Reason: "quota", RetryAfter: time.Second, Err: mine}, faas.KindDenied, "quota"},
		{"a kind alone", &faas.Error{Kind: faas.KindUnavailable, Err: mine}, faas.KindUnavailable, faas.ReasonDenied},
		{"a kind that does not exist", &faas.Error{Kind: 200, Reason: "quota", Err: mine}, faas.KindDenied, "quota"},
		{"one that is wrapped", fmt.Errorf("gate: %w", &faas.Error{Kind: faas.KindBusy, Reason: "quota", Err: mine}), faas.KindBusy, "quota"},
		{"the refusal of a call that the gate made", &faas.Error{
			Op: "invoke", Function: "authorize", Kind: faas.KindNotFound, Reason: faas.ReasonNotFound, Err: mine,
		}, faas.KindDenied, faas.ReasonDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := router(t, faas.WithGate(gate{steps: &steps{}, admit: func(context.Context, faas.Invocation) error { return test.says }}))
			f := faas.Register(r, "f", double)
			_, err := f.Invoke(t.Context(), 1)
			require.ErrorIs(t, err, mine)
			end := faas.EndOf(err, "f")
			assert.Equal(t, test.kind, end.Kind)
			assert.Equal(t, test.why, end.Err.Reason)
			assert.Equal(t, map[faas.Reason]uint64{test.why: 1}, f.Info().Rejected)
		})
	}
}

// uncomparable is an error that == can't compare.
type uncomparable []string

func (uncomparable) Error() string { return "of a slice" }

func TestARefusalComparesThoughTheGatesErrorDoesNot(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithGate(gate{steps: &steps{}, admit: func(context.Context, faas.Invocation) error { return uncomparable{"a"} }}))
	_, err := faas.Register(r, "f", double).Invoke(t.Context(), 1)
	for e := err; e != nil; e = errors.Unwrap(e) {
		require.ErrorIs(t, err, e) // errors.Is compares each error of the chain with e
	}
	var cause uncomparable
	require.ErrorAs(t, err, &cause)
	require.ErrorIs(t, err, faas.ErrDenied)
}

func TestATenantsNameIsShortAndHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", 256)
	for name, good := range map[string]bool{
		"": true, "acme": true, "Ünïcode 名": true, longest: true,
		longest + "x": false, "a\nb": false, "a\x00": false, "\x7f": false, "a\u0085b": false,
	} {
		var told steps
		m := &recorder{}
		r := router(t, faas.WithMeter(m), toldOf(&told))
		f := faas.Register(r, "f", double)
		keyed := faas.Register(r, "keyed", double,
			faas.WithTenantKey(func(context.Context, faas.Invocation) string { return name }))
		_, err := f.Invoke(faas.WithTenant(t.Context(), name), 1)
		_, byKey := keyed.Invoke(t.Context(), 1)
		if good {
			require.NoError(t, err)
			require.NoError(t, byKey)
			assert.Len(t, m.all(), 2)
			continue
		}
		for _, err := range []error{err, byKey} {
			require.ErrorIs(t, err, faas.ErrInput)
			assert.Less(t, len(err.Error()), 256, "the error does not grow with the name")
		}
		assert.Equal(t, faas.KindInvalid, faas.EndOf(err, "f").Kind)
		assert.Equal(t, []string{`f by "": Invalid, input`, `keyed by "": Invalid, input`}, told.list())
		assert.Empty(t, m.all())
	}
}
