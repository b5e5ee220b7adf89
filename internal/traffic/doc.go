// Package traffic divides calls among the versions of a function by integer weights. Calls
// take turns, or a key chooses the version, so that calls with the same key go to the same
// version. The package works with numbers only: it has no functions and no clocks.
package traffic
