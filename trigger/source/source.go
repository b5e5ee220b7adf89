package source

import (
	"context"
	"errors"
	"time"

	"github.com/inproc/faas"
)

// Source brings items from outside the process. To write one, see [Memory] as an example, and
// TestSource in package faastest, its conformance test.
type Source interface {
	// Run takes items and gives each to sink, until ctx ends. After that it takes no more items,
	// waits until done has been called for each item that sink has taken, which is soon,
	// acknowledges these items, and returns. What it returns after the end of ctx is ignored.
	//
	// A nil error before the end of ctx means that no more items will come: the driver ends. An
	// error, a panic or a runtime.Goexit is a failure: the driver calls Run again after a while,
	// and that Run must begin with the items that are not acknowledged. Only one goroutine at a
	// time calls Run.
	Run(ctx context.Context, sink Sink) error

	// Lag returns how far the source is behind. Many goroutines may call it at any time, also
	// while Run runs. It may make requests to the system that the items come from, and must
	// return when ctx ends.
	Lag(ctx context.Context) (Lag, error)
}

// Lag describes the items that wait in a source: those that were not taken, and those that were
// taken and are not acknowledged.
type Lag struct {
	Items int64         // how many items; negative: not known
	Age   time.Duration // how long the oldest of them has waited; negative: not known
}

// Sink takes items from a source. It is made by the driver.
type Sink interface {
	// Send takes an item. It waits while the driver is paused, and while as many items are under
	// way as [WithConcurrency] allows. Items of one order key are accepted by the queue in the
	// order of their Sends. Several goroutines of one Run may call Send at once. The item's
	// payload must not change until done is called.
	//
	// If Send returns nil, done will be called exactly once, on any goroutine, perhaps before
	// Send returns, perhaps after Run has failed. done must not wait for another item. Its
	// argument says what has become of the item:
	//
	//   - Nil: acknowledge the item. The queue has accepted its job, or the job is settled, or
	//     [WithFilter] has left the item out.
	//   - An error that Is [ErrRejected]: do not acknowledge it. To bring it again would not help.
	//   - Any other error: do not acknowledge it, and bring it again, to another driver at once or
	//     to this one later.
	//
	// If Send returns an error, the item is not taken, and done is not called. The error is
	// ctx's if ctx has ended, and Is [ErrStopped] if the driver has ended.
	//
	// The job gets the values of ctx, for example its tenant, as with Function.Send of package
	// faas. The end of ctx does not end the job.
	Send(ctx context.Context, item Item, done func(error)) error
}

// The errors of a sink, to be tested with errors.Is.
var (
	// ErrStopped: the driver has ended. An item that was taken and is not acknowledged comes
	// again when the source is driven again.
	ErrStopped = errors.New("the driver has ended")
	// ErrRejected: no queue will ever take the item's job. The error's text says why: a gate
	// denies it, its payload is too large, its payload is not JSON but goes into a batch, or
	// its function is unknown. The source decides what to do with the item: a broker may move
	// it to another queue, a table may keep it.
	ErrRejected = errors.New("the item was rejected")
)

// Item is one thing that starts a function.
type Item struct {
	// ID identifies the item among all items that this source ever brings. It is the same
	// whenever the source brings the item again. The job's ID is made from it and the driver's
	// name, so that the queue accepts the item once. Empty: the job gets a new ID each time.
	ID string

	Function string // the function's name, with or without a version; empty: the function of [To]
	Payload  []byte // the encoded input

	Tenant   string // of the job; empty: that of Send's context
	Priority int    // among the jobs of its tenant; 0: that of Send's context
	OrderKey string // as faas.WithOrderKey; empty: none

	// Origin is what the source knows of where the item comes from. An empty Door becomes the
	// driver's name, an empty Trigger "other", and an empty RequestID the ID.
	Origin faas.Origin

	// Options are further options of the item's job.
	Options []faas.SendOption

	// Prepared is the item's job, if it was prepared before, see faas.Function.Prepare. The
	// queue accepts it as it is, by faas.Router.Accept. Of the other fields only two are used:
	// Payload, for [WithFilter], and OrderKey, for the order of acceptance. Nil: the job is made
	// from the other fields.
	Prepared *faas.JobRecord
}

// Durable reports whether the jobs that a queue has accepted survive the end of the process. A
// queue says so by a method Durable() bool. A queue without this method counts as not durable.
// That is always safe, but makes sources wait longer before they acknowledge.
func Durable(q faas.JobQueue) bool {
	d, ok := q.(interface{ Durable() bool })
	return ok && d.Durable()
}
