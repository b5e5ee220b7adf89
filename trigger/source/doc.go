// Package source lets what arrives somewhere else start functions: rows of a table, messages
// of a broker, files in a directory. A [Source] takes items from there, and [Drive] makes jobs
// of them (see Function.Send in package faas):
//
//	d, err := source.Drive(r, mailbox, source.To("file"), source.WithConcurrency(16))
//
// # Acknowledgement
//
// A source learns of the end of each item, and acknowledges it then:
//
//   - with a queue of jobs that is durable ([Durable]) when the queue has accepted the item's
//     job, since that runs from then on whatever becomes of this process;
//   - with the queue in memory when the job is settled: succeeded, dead or canceled. What is
//     accepted in memory and killed is gone, and must come from the source again.
//
// So no item is lost, and one may run twice. An item with an ID makes one job, however often
// the source brings it, as long as the queue remembers that job.
//
// # Batches
//
// A function that [RegisterBatch] has registered takes many items in one call. [WithBatch] says
// how many a driver puts into a batch, and for how long it waits for them. A batch is one job, and
// each delivery of it one call with one record, whose Items is the number of items in it: what
// an item has cost is the record's cost divided by that. The items of a batch are of one tenant.
// [WithFailures] and [WithBisect] say what becomes of a batch that fails in part or as a whole.
//
// # Life of a driver
//
// A source that fails, panics or ends its goroutine is started again after a while, and [Info]
// tells how often and why. [Driver.Pause] and [Driver.Resume] stop and go on taking items.
// [Driver.Stop] ends the driver, and the router's Shutdown does so by itself.
package source
