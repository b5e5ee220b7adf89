//go:build race

package sim_test

// seeds is one under the race detector, which makes each take 17 s.
const seeds = 1
