/*
Package access authenticates callers, and decides which caller may call which
function.

	tokens, err := access.NewTokens(stored...)
	rules, err := access.ParseRules(file)
	gate := access.Authorizer(rules.Authorize, access.WithInline())
	r := faas.New(faas.WithGate(gate))
	...
	mux.Handle("POST /fn/{name}", access.Bearer(tokens)(front)) // 401 without a valid token

# From a request to a decision

	credentials → Authenticator → Principal on the context → Authorizer → call, or faas.ErrDenied

An [Authenticator] finds the [Principal] of a request, and [Authenticate] puts it on the
request's context. [Tokens] authenticates bearer tokens by their digests. Package faasjwt, a
module of its own, authenticates JSON web tokens, and package webhook authenticates signed
webhooks. [Authorizer] makes a gate of a func that decides about a principal and a call.
[Rules] provide such a func and can be written as JSON; package faascedar, a module of its
own, evaluates Cedar policies.

# Fail closed

A call is admitted only if the authorizer allows it in time. An error, a panic, no answer,
and the end of the caller's context deny it: its handler does not run, and there is no
record. An authorizer that blocks can't be ended. Its goroutine is abandoned, and the number
of such goroutines is bounded ([WithGoroutines]).

# Nested calls

A function is a principal of its own. A call that is made with a handler's context is
checked as a call of that function, and not of the function's caller ([Caller]). For
example, a user may call checkout, and checkout may call charge; then the user still can't
call charge. A caller can't change that by putting something on the context.

# Denied looks like not found

A caller that may not call a function should not learn that it exists. Fronts give
the same answer to both, and ask the gate before they check anything else ([Ask]).

# Rights

A [Rule] allows calls. With Rights it also allows other operations on its functions, for
example to see their numbers or to change their limits. [Rules.Permit] decides about such an
[Action]; package admin calls it.

# Secrets

A [Secret] shows "[redacted]" wherever it is printed or encoded. [Give] passes one
to a single function.

# What it can't do

All functions share one process. This package limits what callers may do, not what
code in the process can do. A handler can make calls with a new context instead of its own.
Their principal is the one that the handler puts there, or the anonymous one.
*/
package access
