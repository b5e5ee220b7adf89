package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe/faasotel"
)

// story makes one call, which makes another call, which sends a job. The job fails at first. story prints all of
// their spans as a tree.
func story(ctx context.Context, out io.Writer) error {
	kept := tracetest.NewInMemoryExporter() // a service uses the exporter of its tracing system
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(kept), sdktrace.WithIDGenerator(faasotel.IDGenerator()))
	defer func() { _ = tp.Shutdown(context.WithoutCancel(ctx)) }()
	tracing := faasotel.Tracing(tp, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	r := faas.New(tracing, faas.WithCarrier(tracing.Carrier()), faasotel.FlushAtShutdown(tp))
	order := registerShop(r)

	ctx, caller := tp.Tracer("examples/metrics").Start(ctx, "caller")
	job, err := order.Invoke(faas.WithOrigin(ctx, faas.Origin{Trigger: "http", RequestID: "r-17"}), "gopher")
	if err == nil {
		_, err = job.Wait(ctx)
	}
	caller.End()
	if err := errors.Join(err, r.Shutdown(ctx)); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nA call, the job that it sent, and the retry of that, as spans")
	printTree(out, kept.GetSpans())
	return nil
}

// registerShop registers order, which calls charge, which sends notify. The first delivery of notify fails.
func registerShop(r *faas.Router) *faas.Function[string, *faas.Job[string]] {
	var tries atomic.Int32
	notify := faas.Register(r, "notify", func(_ context.Context, who string) (string, error) {
		if tries.Add(1) == 1 {
			return "", errors.New("the mail server is busy")
		}
		return "told " + who, nil
	}, faas.WithRetry(faas.Retry{Max: 2, First: 10 * time.Millisecond}))
	charge := faas.Register(r, "charge", func(ctx context.Context, who string) (*faas.Job[string], error) { return notify.Send(ctx, who) })
	return faas.Register(r, "order", charge.Invoke)
}

// printTree prints each span below its parent, or below the span that it links to.
func printTree(out io.Writer, spans tracetest.SpanStubs) {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return cmp.Compare(a.StartTime.UnixNano(), b.StartTime.UnixNano()) })
	below := map[trace.SpanID]tracetest.SpanStubs{}
	for _, s := range spans {
		over := s.Parent.SpanID()
		if len(s.Links) > 0 {
			over = s.Links[0].SpanContext.SpanID()
		}
		below[over] = append(below[over], s)
	}
	printBelow(out, below, trace.SpanID{}, 0)
}

func printBelow(out io.Writer, below map[trace.SpanID]tracetest.SpanStubs, over trace.SpanID, depth int) {
	for _, s := range below[over] {
		words := []string{s.Name, s.SpanKind.String()}
		if len(s.Links) > 0 {
			words = append(words, "linked")
		}
		for _, key := range []attribute.Key{"inproc.faas.attempt", "inproc.faas.outcome", "inproc.faas.request_id"} {
			for _, kv := range s.Attributes {
				if kv.Key == key {
					words = append(words, fmt.Sprintf("%s=%s", strings.TrimPrefix(string(key), "inproc.faas."), kv.Value.String()))
				}
			}
		}
		fmt.Fprintln(out, strings.Repeat("  ", depth)+strings.Join(words, " "))
		printBelow(out, below, s.SpanContext.SpanID(), depth+1)
	}
}
