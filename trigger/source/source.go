package source

import (
	"context"
	"errors"
	"time"

	"github.com/inproc/faas"
)

// Source brings items from somewhere else. Package faastest has the conformance test for those
// who write one, TestSource.
type Source interface {
	// Run takes items and gives each to sink, until ctx ends. Then it takes no more, waits
	// until done was called for each item that sink has taken, which is soon, acknowledges
	// those, and returns; what it returns then counts for nothing.
	//
	// To return nil before that means that there will be no more items: the driver ends. An
	// error, a panic or a Goexit is a failure: Run is called again after a while, and must
	// begin with what is not acknowledged. It is called by one goroutine at a time.
	Run(ctx context.Context, sink Sink) error

	// Lag tells how far the source is behind. It is called at any time, by many goroutines
	// at once, and may ask what it takes from; it returns when ctx ends.
	Lag(ctx context.Context) (Lag, error)
}

// Lag is what waits in a source: not taken, or taken and not acknowledged.
type Lag struct {
	Items int64         // how many items; negative: not known
	Age   time.Duration // how long the oldest of them has waited; negative: not known
}

// Sink takes items from a source.
type Sink interface {
	// Send takes an item. It waits while the driver is paused, and while as many items are
	// under way as [WithConcurrency] allows. The items of one order key are accepted in the
	// order in which Send has taken them. Goroutines of one Run may call it at once. The
	// item's payload must not change until done is called.
	//
	// If it returns nil, done will be called, once, on any goroutine, perhaps before Send
	// returns, perhaps after Run has failed. It must not wait for another item. A nil argument
	// means that the item is to be acknowledged: its job was accepted, or is settled, or
	// [WithFilter] has left it out. An error means that it is not: one that Is [ErrRejected]
	// says that to offer it again would not help, any other that it should come again, now to
	// another driver or later.
	//
	// If Send returns an error the item is not taken and done is not called: ctx has ended
	// (its error), or the driver (one that Is [ErrStopped]).
	//
	// The job has what ctx carries, as for Function.Send of package faas; the end of ctx does
	// not end it.
	Send(ctx context.Context, item Item, done func(error)) error
}

// The errors of a sink, to be tested with errors.Is.
var (
	// ErrStopped: the driver has ended. What was taken and is not settled comes again when the
	// source is driven again.
	ErrStopped = errors.New("the driver has ended")
	// ErrRejected: no queue will ever take the item. A gate denies it, its payload is too large, or
	// is not JSON in a batch of JSON, or its function is unknown; the error's text says which. The
	// source and its operator decide what becomes of the item: a broker may put it aside, a table may
	// keep it.
	ErrRejected = errors.New("the item was rejected")
)

// Item is one thing that starts a function.
type Item struct {
	// ID tells the item from all others that this source ever brings, and is the same when it
	// brings the item again. From it and the driver's name the job's ID is made: so the queue
	// accepts the item once. Empty: the job has a new ID each time.
	ID string

	Function string // by its name, with or without a version; empty: that of [To]
	Payload  []byte // the encoded input

	Tenant   string // for which it runs; empty: that of the context
	Priority int    // among its tenant's jobs; 0: that of the context
	OrderKey string // as faas.WithOrderKey; empty: none

	// Origin is what the source knows of it. An empty Door is the driver's name, an empty Trigger
	// "other", an empty RequestID the ID.
	Origin faas.Origin

	// Options are further options of its job.
	Options []faas.SendOption

	// Prepared is the item's job, if that was prepared before, see faas.Function.Prepare. It is
	// accepted as it is, by faas.Router.Accept, and of the other fields only Payload counts, for
	// [WithFilter], and OrderKey, for the order of acceptance. Nil: the job is made of the others.
	Prepared *faas.JobRecord
}

// Durable reports whether what a queue of jobs has accepted survives the end of the process: a
// queue says so by a method Durable() bool. One without it counts as not durable, which is never
// wrong, and makes sources wait for longer.
func Durable(q faas.JobQueue) bool {
	d, ok := q.(interface{ Durable() bool })
	return ok && d.Durable()
}
