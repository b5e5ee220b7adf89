//go:build !race

package faas_test

const raceEnabled = false
