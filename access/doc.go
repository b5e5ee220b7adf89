/*
Package access says who calls, and decides who may call what.

	tokens, err := access.NewTokens(stored...)
	rules, err := access.ParseRules(file)
	gate := access.Authorizer(rules.Authorize, access.WithInline())
	r := faas.New(faas.WithGate(gate))
	...
	mux.Handle("POST /fn/{name}", access.Bearer(tokens)(front)) // 401 without a valid token

# From a request to a decision

	credentials → Authenticator → Principal on the context → Authorizer → call, or faas.ErrDenied

An [Authenticator] finds out who sends a request; [Authenticate] puts that
[Principal] on the request's context. [Tokens] knows bearer tokens by their
digests; package faasjwt, a module of its own, knows JSON web tokens, and package
webhook signed webhooks. [Authorizer] makes a gate of a func that judges a
principal and a call. [Rules] are such a func, as data; package faascedar, a
module of its own, evaluates Cedar policies.

# Fail closed

A call is admitted if the authorizer says yes in time. An error, a panic, no
answer, a caller who leaves: all deny it, before its handler runs and with no
record. An authorizer that blocks can't be ended; it is left behind, and how many
can be is bounded ([WithGoroutines]).

# Nested calls

A function is a principal of its own. A call made with a handler's context is
judged as the function's, whoever called it ([Caller]): going through a function
that may do more gives nobody more than what the function does with that by
itself. What a caller puts on the context does not change that.

# Denied looks like not found

Whoever may not call a function should not learn that it exists. Fronts answer
both alike, and ask the gate before anything else is looked at ([Ask]).

# Secrets

A [Secret] shows "[redacted]" wherever it is printed or encoded. [Give] hands one
to a single function.

# What it can't do

The functions share a process with all this. It keeps apart what callers may do,
not what the process's own code can: a handler that makes calls with a context
of its own making is whoever it says, and the anonymous principal if it says
nothing.
*/
package access
