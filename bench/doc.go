// Package bench compares faas with what a Go programmer would otherwise use
// to run a function in the same process: a bare call, a goroutine, a pool, a
// resilience library, a Lambda runtime. Every peer hosts the same handlers and
// is measured in the same run.
//
// Package peers holds the peers and the handlers, package measure the ways of
// measuring, cmd/table the command that prints the comparison. The benchmarks
// of this package run the same cells under go test:
//
//	go test -bench 'Invoke/add/seq' .
package bench
