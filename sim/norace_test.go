//go:build !race

package sim_test

const seeds = 20
