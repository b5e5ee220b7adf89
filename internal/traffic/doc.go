// Package traffic divides calls among the versions of a function by integer weights:
// in turn, or by a key so that each key stays where it is. It knows numbers only:
// neither functions nor clocks.
package traffic
