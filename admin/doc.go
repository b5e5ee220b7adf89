// Package admin is the HTTP API by which a running host is operated: to see its functions,
// calls, failures, jobs and costs, to move an alias, to change a limit, to replay a call, to
// pause a source. The command faas and the console of observe/faasconsole are two clients of
// it, and curl can be a third.
//
//	api := admin.Handler(r,
//		admin.WithAuthorize(rules.Permit),
//		admin.WithAudit(func(e admin.Entry) { logger.Info("admin", "entry", e) }),
//		admin.WithRecorder(recorder), admin.WithRing(ring), admin.WithTail(tail),
//		admin.WithWrites(),
//	)
//	mux.Handle("/v1/", access.Bearer(tokens)(api))
//
// The handler does not listen on a port and does not authenticate: a middleware in front of it
// must put the principal into the context, for example access.Authenticate. The API is
// described at /v1/openapi.json, and in docs/admin.md.
//
// # Who may do what
//
// Each request needs a principal, or the answer is 401. Each request also needs an access.Right
// to the function and the tenant that it is about, as the function given to [WithAuthorize]
// decides. If that function returns an error or panics, the right is denied. What is denied is
// answered like what does not exist: 404, with the same bytes. Lists, sums and streams contain
// only what the viewer, the principal of the request, may see. A viewer who may see a function
// for one tenant only sees no number that includes other tenants.
//
// Inputs, outputs and the texts of errors, which may quote an input, need the right see_inputs.
// Stacks need the right see_stacks. Changes are refused unless the host has set [WithWrites].
//
// # Audit
//
// For each request the function given to [WithAudit] is called with an [Entry]: the principal,
// the action, the time, the address and the result. The handler itself keeps the last thousand
// entries of requests that changed something or read an input or a stack, and the last thousand
// of denied ones.
//
// # Parts
//
// Each part of the API that needs an option is absent without it: its paths answer 404 and name
// the option. For example, failures need [WithRing], and prices need [WithLedger].
//
// # Numbers
//
// In JSON, an integer above 2⁵³-1 is a string of digits, see [Count] and [Int]. Durations are
// integers in nanoseconds, in fields whose names end with NS. Money is a decimal string. Inputs
// and outputs are strings, so that no JSON reader changes the numbers in them.
//
// # Cost
//
// The handler has no goroutine and no timer while no stream is open. All streams together have
// one goroutine, which reads the router's state once a second.
package admin
