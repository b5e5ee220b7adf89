// Package bench compares faas with the other ways to run a function in the same process: a
// bare call, a goroutine, a pool, a resilience library, a Lambda runtime. Each way is a peer.
// All peers host the same handlers and are measured in the same run.
//
// Package peers has the peers and the handlers, package measure the measurements, and
// cmd/table the command that prints the comparison. The benchmarks of this package make the
// same measurements under go test:
//
//	go test -bench 'Invoke/add/seq' .
package bench
