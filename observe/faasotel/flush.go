package faasotel

import (
	"context"
	"errors"
	"sync"

	"github.com/inproc/faas"
)

// Flusher sends what it holds back. The providers of OpenTelemetry's SDK are Flushers.
type Flusher interface {
	ForceFlush(ctx context.Context) error
}

// FlushAtShutdown has Router.Shutdown flush these, all at once, when the last call has its
// record and its span has ended, and within Shutdown's context. What could not be sent
// stands in Shutdown's error. Close does not flush. Nil ones are left out.
func FlushAtShutdown(all ...Flusher) faas.Option { return faas.WithMeter(&flusher{all}) }

// flusher is a meter, since those are what Shutdown flushes.
type flusher struct{ all []Flusher }

// Record implements [faas.Meter].
func (*flusher) Record(context.Context, faas.Execution) {}

// Flush is called by Shutdown.
func (f *flusher) Flush(ctx context.Context) error {
	errs := make([]error, len(f.all))
	var all sync.WaitGroup
	for i, one := range f.all {
		if one != nil {
			all.Go(func() { errs[i] = one.ForceFlush(ctx) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}
