// Package memqueue keeps jobs in memory: which may run next, what has settled, what is
// taken. It knows a job as an [Item] and decides nothing about its next state.
//
// A job that waits is in one of three heaps. In later it waits for its time, among those
// of all functions. Once that has come it is moved to the heap of its lane, which is a
// function and a tenant, or, if another job holds its order key or is before it in line for
// the key, to the heap of that key.
// The lanes of a function that have something to give stand in a queue, and so do the
// functions that have such lanes: the first gives a job and goes to the end. So a tenant
// with a million jobs delays another's only job by one.
//
// There is one lock, which is held for a bounded number of steps, each O(log n): what
// could visit many jobs (jobs that become due at once, a listing) does it in batches.
// There is no goroutine: a Lease that waits has a timer for the job that is due next.
package memqueue
