//go:build race

package admission_test

// problems is fewer under the race detector, which finds nothing where there is
// one goroutine.
const problems = 200
