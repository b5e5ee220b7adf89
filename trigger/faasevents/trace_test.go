package faasevents_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/internal/tracecontext"
	"github.com/inproc/faas/trigger/faasevents"
)

// The test reads the trace context of a call in the WithTracing func, and that of a job in the
// carrier's Save.
func TestACallOrJobIsAPartOfTheTraceOfItsEvent(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, opts := range map[string][]faasevents.Option{"call": nil, "job": {faasevents.WithJobs()}} {
		seen := make(chan [2]string, 4)
		look := func(ctx context.Context) {
			parent, state := tracecontext.From(ctx)
			seen <- [2]string{parent, state}
		}
		r := faastest.New(t, faas.WithTracing(func(ctx context.Context, inv faas.Invocation) faas.Trace {
			if inv.Delivery == 0 {
				look(ctx)
			}
			return nil
		}), faas.WithCarrier(faas.Carrier{
			Name: "look", Save: func(ctx context.Context) ([]byte, error) { look(ctx); return nil, nil },
			Restore: func(ctx context.Context, _ []byte) (context.Context, error) { return ctx, nil },
		}))
		faas.Register(r, "review", func(context.Context, order) (review, error) { return review{}, nil })
		h := faasevents.Handler(r, append(opts, faasevents.On(catchAll, "review"))...)
		for _, c := range []struct {
			header []string
			want   [2]string
		}{
			{[]string{"ce-traceparent", parent, "ce-tracestate", "vendor=1"}, [2]string{parent, "vendor=1"}},
			{[]string{"ce-tracestate", "of=nothing"}, [2]string{}},
			{nil, [2]string{}},
		} {
			res, body := post(t, h, binary(c.header...), `{"total": 7}`)
			require.Contains(t, []int{200, 202}, res.StatusCode, body)
			require.Equal(t, c.want, <-seen, name)
		}
	}
}
