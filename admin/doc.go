// Package admin serves what a person does to a running host, as one HTTP API: to see its
// functions, calls, failures, jobs and costs, to move an alias, to change a limit, to
// replay a call, to pause a source. The command faas and the page of observe/faasconsole
// are two of its clients; curl is a third.
//
//	api := admin.Handler(r,
//		admin.WithAuthorize(rules.Permit),
//		admin.WithAudit(func(e admin.Entry) { logger.Info("admin", "entry", e) }),
//		admin.WithRecorder(recorder), admin.WithRing(ring), admin.WithTail(tail),
//		admin.WithWrites(),
//	)
//	mux.Handle("/v1/", access.Bearer(tokens)(api))
//
// The handler has no listener of its own and makes no principal: a middleware in front of it
// does, such as access.Authenticate. What the API has is described at /v1/openapi.json, and
// in docs/admin.md.
//
// # Who may do what
//
// Each request needs a principal, or the answer is 401. Each needs an access.Right to the
// function and the tenant that it is about; the func of [WithAuthorize] decides. What it
// denies is answered as what does not exist: 404, with the same bytes. Lists, sums and
// streams hold what the viewer may see and nothing else. A viewer who may see a
// function for one tenant alone sees no number that includes other tenants. An error and a
// panic of that func deny.
//
// To see inputs and outputs and the texts of errors, in which an input may stand, needs the
// right see_inputs; to see stacks needs see_stacks. What changes something is refused unless
// the host has given [WithWrites].
//
// # Audit
//
// Each request is told to the func of [WithAudit]: who, what, when, from where, with what
// result. The handler itself keeps the last thousand that have changed something or read an
// input or a stack, and the last thousand that were denied.
//
// # What the host gives
//
// What is not given to [Handler] is not there: its paths answer 404 and name the option.
// So a host shows its failures by [WithRing] and its prices by [WithLedger].
//
// # Numbers
//
// An integer above 2⁵³-1 is a string of digits in JSON, see [Count] and [Int]. Durations are
// integers of nanoseconds, in fields whose names end with NS. Money is a decimal string.
// Inputs and outputs are strings too, so that no reader of JSON changes the numbers in them.
//
// # Cost
//
// The handler has no goroutine and no timer while it has no stream to serve. All streams
// together have one goroutine that looks at the router once in a second.
package admin
