package faasotel_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe/faasotel"
)

func ExampleTracing() {
	kept := tracetest.NewInMemoryExporter() // an exporter of your choice
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(kept), sdktrace.WithIDGenerator(faasotel.IDGenerator()))
	defer func() { _ = tp.Shutdown(context.Background()) }()
	tracing := faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(1)))
	r := faas.New(tracing, faas.WithCarrier(tracing.Carrier()), faasotel.FlushAtShutdown(tp))
	price := faas.Register(r, "price", func(_ context.Context, n int) (int, error) { return 3 * n, nil })
	order := faas.Register(r, "order", price.Invoke)

	_, _ = order.Invoke(context.Background(), 2)
	if err := r.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, s := range kept.GetSpans() {
		fmt.Println(s.SpanKind, s.Name, "below another:", s.Parent.IsValid())
	}
	// Output:
	// internal price below another: true
	// server order below another: false
}
