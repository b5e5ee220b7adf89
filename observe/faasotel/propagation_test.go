package faasotel_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/internal/tracecontext"
	"github.com/inproc/faas/observe/faasotel"
	"github.com/inproc/faas/trigger/faashttp"
)

func TestACallGoesOnWithTheTraceThatADoorHasRead(t *testing.T) {
	t.Parallel()
	tp, kept := provider(t)
	tracing := faasotel.Tracing(tp, nil)
	r := faastest.New(t, tracing, faas.WithCarrier(tracing.Carrier()))
	f := faas.Register(r, "f", injected)
	ctx := tracecontext.With(t.Context(), parent, "vendor=1")
	_, err := f.Invoke(ctx, 1)
	require.NoError(t, err)
	job, err := f.Send(ctx, 1)
	require.NoError(t, err)
	_, err = job.Wait(t.Context())
	require.NoError(t, err)
	_, err = f.Invoke(tracecontext.With(t.Context(), "nonsense", ""), 1)
	require.NoError(t, err)

	spans := byName(kept, "f")
	require.Len(t, spans, 3)
	assert.Equal(t, "b7ad6b7169203331", spans[0].Parent.SpanID().String())
	assert.Equal(t, "vendor=1", spans[0].Parent.TraceState().String())
	require.Len(t, spans[1].Links, 1)
	assert.Equal(t, "b7ad6b7169203331", spans[1].Links[0].SpanContext.SpanID().String())
	assert.False(t, spans[2].Parent.IsValid())
}

// headersOf makes a job fail whose destination is a server, and returns the headers that the
// server got.
func headersOf(t *testing.T, send context.Context, elsewhere bool, router []faas.RouterOption, opts ...faashttp.DestinationOption) http.Header {
	t.Helper()
	came := make(chan http.Header, 1)
	last := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { came <- req.Header }))
	t.Cleanup(last.Close)
	target := last.URL
	if elsewhere {
		first := httptest.NewServer(http.RedirectHandler(target, http.StatusTemporaryRedirect))
		t.Cleanup(first.Close)
		target = first.URL
	}
	f := faas.Register(faastest.New(t, router...), "f", func(context.Context, int) (int, error) { return 0, faas.Permanent(errors.New("boom")) },
		faas.WithOnFailure(faashttp.ToURL(target, append(opts, faashttp.WithNetworks("127.0.0.1"))...)))
	_, err := f.Send(send, 1)
	require.NoError(t, err)
	return <-came
}

func TestADestinationAtAURLIsToldTheTraceOfTheSender(t *testing.T) {
	t.Parallel()
	tp, _ := provider(t)
	tracing := faasotel.Tracing(tp, nil)
	opts := []faas.RouterOption{tracing, faas.WithCarrier(tracing.Carrier())}
	ctx, span := tp.Tracer("test").Start(t.Context(), "sender")
	defer span.End()
	of := span.SpanContext()
	want := "00-" + of.TraceID().String() + "-" + of.SpanID().String() + "-01"

	assert.Equal(t, want, headersOf(t, ctx, false, opts).Get("Traceparent"))
	came := headersOf(t, tracecontext.With(t.Context(), parent, "vendor=1"), false, opts)
	assert.Equal(t, []string{parent, "vendor=1"}, []string{came.Get("Traceparent"), came.Get("Tracestate")})
	assert.Equal(t, "mine", headersOf(t, ctx, false, opts, faashttp.WithHeader("traceparent", "mine")).Get("Traceparent"))
	for name, came := range map[string]http.Header{
		"without a trace": headersOf(t, t.Context(), false, opts), "without a carrier": headersOf(t, ctx, false, nil), "after a redirect": headersOf(t, ctx, true, opts),
	} {
		assert.Empty(t, came.Get("Traceparent")+came.Get("Tracestate"), name)
	}
}
