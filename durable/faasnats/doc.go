// Package faasnats keeps jobs in NATS JetStream, so that they survive the process that has
// sent them: [Open] returns a [faas.JobQueue] for a server or a cluster of version 2.15 or
// later. Package embed beside it runs such a server inside the process, on a directory.
//
// The tenants of a function are spread over four buckets, by a hash of their names. A tenant
// whose bucket has no backlog gets the function's next slot, however long the backlogs of
// others are: it waits for one job at most. In a bucket jobs come in the order in which they
// were sent, some 64 at a time: a tenant beside one that has sent 100,000 jobs waits
// for nearly all of them.
package faasnats
