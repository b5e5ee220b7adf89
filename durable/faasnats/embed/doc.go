// Package embed keeps jobs in a directory: it runs a NATS server with JetStream inside the
// process, which listens on no port. Three lines make the jobs of a program survive
// kill -9:
//
//	queue, err := embed.Open("/var/lib/orders")
//	if err != nil { … }
//	r := faas.New(faas.WithJobs(queue))
//
// Every write is synced before it is answered. For many machines, use package faasnats
// with a cluster instead.
package embed
