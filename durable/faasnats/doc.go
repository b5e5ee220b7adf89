// Package faasnats keeps jobs in NATS JetStream, so that they survive the process that sent
// them. [Open] returns a [faas.JobQueue] on a server or a cluster of version 2.15 or later.
// Package embed beside it runs such a server inside the process, on a directory.
//
// The tenants of a function are spread over four buckets, by a hash of the tenant's name.
// Tenants of different buckets take turns, however long their backlogs are: if a function has
// one slot, a tenant waits for at most two jobs of a tenant in another bucket. In one bucket,
// jobs are fetched in the order in which they were sent, up to 64 at a time: a tenant whose
// bucket has 100,000 jobs of another tenant waits for nearly all of them.
package faasnats
