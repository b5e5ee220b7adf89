// Package embed keeps jobs in a directory: it runs a NATS server with JetStream inside the
// process, which listens on no port. Three lines make the jobs of a program survive
// kill -9:
//
//	queue, err := embed.Open("/var/lib/orders")
//	if err != nil { … }
//	r := faas.New(faas.WithJobs(queue))
//
// Every write is synced before it is answered. That survives a power cut on a file system
// which keeps the name of a new file with its data when the file is synced, as ext4, XFS and
// btrfs do, and on a disk that does what it is told. For many machines, use package faasnats
// with a cluster instead.
package embed
