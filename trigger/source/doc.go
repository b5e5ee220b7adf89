// Package source starts functions for things that arrive elsewhere: rows of a table, messages
// of a broker, files in a directory. A [Source] brings such things as items, and [Drive] makes
// a job of each (see Function.Send in package faas):
//
//	d, err := source.Drive(r, mailbox, source.To("file"), source.WithConcurrency(16))
//
// # Acknowledgement
//
// The driver reports the end of each item to the source, which then acknowledges the item. When
// that is depends on the router's queue of jobs:
//
//   - A durable queue (see [Durable]): when the queue has accepted the item's job. From then
//     on the job runs whatever happens to this process.
//   - The queue in memory: when the job is settled, which is when it has succeeded, is dead,
//     or was canceled. A job in memory is gone if the process is killed, and then the source
//     must bring the item again.
//
// So no item is lost, and an item may run twice. An item with an ID makes one job, however
// often the source brings it, as long as the queue remembers that job.
//
// # Batches
//
// A function that was registered by [RegisterBatch] takes many items in one call. [WithBatch]
// sets how many items a driver puts into a batch, and how long it waits for them. A batch is
// one job. Each delivery of the job is one call with one record, and the record's Items is the
// number of items: an item costs the record's cost divided by Items. All items of a batch have
// the same tenant. [WithFailures] and [WithBisect] decide what happens to a batch that fails in
// part or as a whole.
//
// # Life of a driver
//
// A source that returns an error, panics, or ends its goroutine is started again after a while.
// [Info] says how often that has happened, and why. [Driver.Pause] stops the taking of items,
// and [Driver.Resume] continues it. [Driver.Stop] ends the driver; the router's Shutdown calls
// it.
package source
