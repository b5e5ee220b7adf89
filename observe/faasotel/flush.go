package faasotel

import (
	"context"
	"errors"
	"sync"

	"github.com/inproc/faas"
)

// Flusher sends what it has buffered. The providers of OpenTelemetry's SDK are Flushers.
type Flusher interface {
	ForceFlush(ctx context.Context) error
}

// FlushAtShutdown makes Router.Shutdown flush these, all at the same time, within Shutdown's
// context. That happens after the last call has its record and its span has ended. If something
// could not be sent, Shutdown's error says so. Close does not flush. Nil elements are ignored.
func FlushAtShutdown(all ...Flusher) faas.Option { return faas.WithMeter(&flusher{all}) }

// flusher is a meter because Shutdown flushes meters.
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
