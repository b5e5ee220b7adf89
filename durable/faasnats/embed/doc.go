// Package embed keeps jobs in a directory: it runs a NATS server with JetStream inside the
// process, which listens on no port. Three lines make the jobs of a program survive
// kill -9:
//
//	queue, err := embed.Open("/var/lib/orders")
//	if err != nil { … }
//	r := faas.New(faas.WithJobs(queue))
//
// Every write is synced before it is answered. So accepted jobs survive a power cut if file
// system and disk do their part. The file system must store the name of a new file when the
// file is synced, as ext4, XFS and btrfs do. The disk must have written the data when it
// reports so. To share jobs between machines, use package faasnats with a cluster instead.
package embed
