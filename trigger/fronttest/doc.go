// Package fronttest has tests only. They hold one table that says how each front reports each
// end of a call. A row is a situation, which a real router, budget, authorizer, meter or
// instance brings about. A column is a front: HTTP, the Lambda wire, a function URL,
// CloudEvents, MCP. The test fails if the table lacks a [faas.Reason], [faas.Kind] or
// [faas.Outcome] of the core.
//
// It is a module of its own because two of the fronts are modules, and the other fronts must
// not require these.
package fronttest

import "github.com/inproc/faas"

var _ faas.Outcome // for the links above
