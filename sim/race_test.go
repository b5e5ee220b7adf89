//go:build race

package sim_test

// seeds is one under the race detector, with which a seed takes 17 s.
const seeds = 1
