//go:build race

package admission_test

// problems is smaller under the race detector, which finds nothing in a test with one
// goroutine.
const problems = 200
