//go:build race

package faas_test

// raceEnabled reports that the race detector is on, which slows everything down.
const raceEnabled = true
