// Package faasnats keeps jobs in NATS JetStream, so that they survive the process that has
// sent them: [Open] returns a [faas.JobQueue] for a server or a cluster of version 2.15 or
// later. Package embed beside it runs such a server inside the process, on a directory.
//
// The tenants of a function are spread over four buckets, by a hash of their names. A tenant
// takes turns with those of other buckets, however long their backlogs are: beside one of
// them, and one slot, it waits for two jobs at most. In a bucket jobs come in the order in
// which they were sent, some 64 at a time: a tenant beside one that has sent 100,000 jobs
// waits for nearly all of them.
package faasnats
