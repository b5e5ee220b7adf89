//go:build !race

package admission_test

const problems = 10_000
