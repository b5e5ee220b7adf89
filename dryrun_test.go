package faas_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestADryRunAnswersWhatTheCallWould(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithMaxDepth(1))
	faas.Register(r, "keyed", double, faas.WithTenantKey(func(context.Context, faas.Invocation) string { panic("key") }))
	faas.Register(r, "carried", double, faas.WithContext(func(caller, _ context.Context) context.Context { return caller }))
	faas.Register(r, "gated", double, faas.WithGate(gate{steps: &steps{}, admit: func(context.Context, faas.Invocation) error { return errors.New("no") }}))
	faas.Register(r, "full", double, faas.WithMeter(&full{}))
	faas.Register(r, "fine", double)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := faas.Register(r, "outer", func(ctx context.Context, _ int) (int, error) {
		dry, wet := r.DryRun(ctx, "fine"), invoke(ctx, r, "fine")
		assert.Equal(t, reason(wet), reason(dry))
		return 0, nil
	}).Invoke(t.Context(), 0)
	require.NoError(t, err)

	for _, test := range []struct {
		name string
		ctx  context.Context
		why  faas.Reason
	}{
		{"keyed", t.Context(), faas.ReasonDenied},
		{"carried", t.Context(), faas.ReasonDenied},
		{"gated", t.Context(), faas.ReasonDenied},
		{"full", t.Context(), faas.ReasonMeterFull},
		{"fine", ended, faas.ReasonQueueCanceled},
		{"fine", faas.WithTenant(t.Context(), "a\nb"), faas.ReasonInput},
		{"fine", nil, faas.ReasonInput},
		{"fine", t.Context(), ""},
	} {
		before := r.Stats().Rejected
		dry := r.DryRun(test.ctx, test.name)
		assert.Equal(t, before, r.Stats().Rejected, "nothing is counted")
		wet := invoke(test.ctx, r, test.name)
		assert.Equal(t, test.why, reason(dry), test.name)
		assert.Equal(t, test.why, reason(wet), test.name)
	}
}

func invoke(ctx context.Context, r *faas.Router, name string) error {
	_, err := r.Invoke(ctx, name, []byte("1"))
	return err
}

func reason(err error) faas.Reason {
	if e, ok := errors.AsType[*faas.Error](err); ok {
		return e.Reason
	}
	return ""
}

// full is a meter without room for a record.
type full struct{ recorder }

func (*full) Reserve() bool { return false }
func (*full) Unreserve()    {}

func TestADryRunGivesBackWhatItReserved(t *testing.T) {
	t.Parallel()
	m := &spacious{}
	r := router(t, faas.WithMeter(m))
	faas.Register(r, "f", double)
	require.NoError(t, r.DryRun(t.Context(), "f"))
	assert.Equal(t, []string{"reserve", "unreserve"}, m.list())
}

// spacious is a meter with room for records. It notes the calls of its methods.
type spacious struct {
	recorder
	steps
}

func (m *spacious) Reserve() bool { m.add("reserve"); return true }
func (m *spacious) Unreserve()    { m.add("unreserve") }

func TestAGateThatEndsTheGoroutineOfADryRunLeavesNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := &steps{}
		first := gate{name: "first", steps: told}
		last := gate{name: "last", steps: told, admit: func(context.Context, faas.Invocation) error { exit(); return nil }}
		r := router(t, faas.WithGate(first, last))
		faas.Register(r, "f", double)
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = r.DryRun(t.Context(), "f")
		}()
		<-over
		assert.Equal(t, []string{"?first", "?last", "refused first"}, told.list())
	})
}
