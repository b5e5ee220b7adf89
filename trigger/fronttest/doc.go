// Package fronttest is empty but for its tests, which hold one table: how each
// front tells each end of a call. A row is a situation that a real router, budget,
// authorizer, meter or instance brings about; a column is a front: HTTP, the Lambda
// wire, a function URL, CloudEvents, MCP. The table has every [faas.Reason],
// [faas.Kind] and [faas.Outcome] of the core, or its test fails.
//
// It is a module of its own because two of the fronts are, and the others are not to
// require them.
package fronttest

import "github.com/inproc/faas"

var _ faas.Outcome // for the links above
