// Package memqueue keeps jobs in memory: those that wait, those that are leased, those that are
// settled, and the unique keys and IDs that are taken. A job is an [Item] here. The package
// decides nothing about a job's next state.
//
// A lane holds the jobs of one tenant of one function. A job that waits is in one of three kinds
// of heap. Until it is due it is in the heap Queue.later, with the jobs of all lanes. Then it
// moves to the heap lane.ready of its lane. If another job of its lane holds the same order key,
// or waits for that key in front of it, the job moves to the heap orderKey.waiting of the key
// instead.
//
// Functions take turns, and so do the lanes of one function. The functions that have a job to
// lease stand in the first-in-first-out queue Queue.turn, and the lanes of each function that
// have such a job in function.turn. The first lane of the first function gives one job, and both
// go to the end of their queues. So a tenant with a million jobs delays another tenant's only job
// by one job.
//
// A settled job is kept as bytes on a shelf, if the queue has a [Codec] and the job is a plain one.
// Its place in memory then serves the next job.
//
// One lock guards all. A critical section has a bounded number of steps, each O(log n). Work that
// could visit many jobs is done in batches: jobs that become due at once, a listing. The package
// starts no goroutine: a Lease that waits has a timer for the job that is due next.
package memqueue
