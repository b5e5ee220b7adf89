// Package faasnats keeps jobs in NATS JetStream, so that they survive the process that has
// sent them: [Open] returns a [faas.JobQueue] for a server or a cluster of version 2.15 or
// later. Package embed beside it runs such a server inside the process, on a directory.
package faasnats
