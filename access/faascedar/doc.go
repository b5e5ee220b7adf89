/*
Package faascedar decides which principal may call which function by policies in the
Cedar language, which github.com/cedar-policy/cedar-go evaluates.

	policies, err := faascedar.Load(os.DirFS("/etc/myservice"), "policies/*.cedar")
	r := faas.New(faas.WithGate(access.Authorizer(policies.Authorize, access.WithInline())))

A policy permits or forbids; a call is allowed if a policy permits it and none
forbids it.

	permit (principal in Role::"clerk", action == Action::"invoke", resource == Function::"checkout")
	when { context.tenant == context.principalTenant };

	permit (principal == Function::"checkout", action == Action::"invoke", resource == Function::"charge");

	forbid (principal, action, resource)
	when { resource.hasTag("stage") && resource.getTag("stage") == "beta" }
	unless { principal in Role::"tester" };

# What a policy can ask

	principal  User::"ana", Webhook::"github", Function::"checkout", Anonymous::""
	action     Action::"invoke"
	resource   Function::"charge"
	context    tenant (of the call), principalTenant (the principal's own),
	           depth (0: not nested), version, memory (bytes), now (a datetime)

A principal is in Role::"clerk" if it has that role. Its tags are its claims, and
a function's are its labels, whether it calls or is called; all are strings, read
by hasTag and getTag. The type of a principal is its kind with a capital;
[WithKinds] adds kinds of the host's own.

# Fail closed

Load validates policies against the schema above, strictly. A policy that does not
parse, or that asks for something that does not exist, for example a misspelled
attribute, is an error that names file and line. At a call, a permit that can't be
evaluated permits nothing, and a forbid that can't be evaluated denies the call.
Cedar's own rule would ignore that forbid, and so admit a call that it was written to
stop. Without any policy, every call is denied.
*/
package faascedar
