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

An [Authenticator] finds the [Principal] that a request comes from, and
[Authenticate] puts it on the request's context. [Tokens] authenticates bearer tokens
by their digests. Package faasjwt, a module of its own, authenticates JSON web tokens,
and package webhook signed webhooks. [Authorizer] makes a gate of a func that judges a
principal and a call. [Rules] are such a func as data; package faascedar, a module of
its own, evaluates Cedar policies.

# Fail closed

A call is admitted if the authorizer says yes in time. An error, a panic, no answer,
and a caller that leaves deny it: its handler does not run, and there is no record. An
authorizer that blocks can't be ended. It is left behind, and the number of those is
bounded ([WithGoroutines]).

# Nested calls

A function is a principal of its own. A call that is made with a handler's context is
judged as a call of that function, and not of the function's caller ([Caller]). For
example, a user who may call checkout, which may call charge, can't call charge. What
a caller puts on the context does not change that.

# Denied looks like not found

A caller that may not call a function should not learn that it exists. Fronts give
the same answer to both, and ask the gate before they look at anything else ([Ask]).

# Rights

A [Rule] lets call, and with Rights also do other things with its functions, for example
see their numbers or change their limits. [Rules.Permit] decides about such an [Action];
package admin asks it.

# Secrets

A [Secret] shows "[redacted]" wherever it is printed or encoded. [Give] hands one
to a single function.

# What it can't do

All functions share one process. This package limits what callers may do, not what
code in the process can do. A handler that makes calls with a context of its own
making is the principal that it puts there, or the anonymous one.
*/
package access
