/*
Package faascedar decides which principal may call which function. The rules are policies in
the Cedar language, which github.com/cedar-policy/cedar-go evaluates.

	policies, err := faascedar.Load(os.DirFS("/etc/myservice"), "policies/*.cedar")
	r := faas.New(faas.WithGate(access.Authorizer(policies.Authorize, access.WithInline())))

A policy permits or forbids. A call is allowed if a policy permits it and none
forbids it.

	permit (principal in Role::"clerk", action == Action::"invoke", resource == Function::"checkout")
	when { context.tenant == context.principalTenant };

	permit (principal == Function::"checkout", action == Action::"invoke", resource == Function::"charge");

	forbid (principal, action, resource)
	when { resource.hasTag("stage") && resource.getTag("stage") == "beta" }
	unless { principal in Role::"tester" };

# What a policy can use

	principal  User::"ana", Webhook::"github", Function::"checkout", Anonymous::""
	action     Action::"invoke"
	resource   Function::"charge"
	context    tenant (of the call), principalTenant (the principal's own),
	           depth (0: not nested), version, memory (bytes), now (a datetime)

A principal is in Role::"clerk" if it has that role. The tags of a principal are its claims.
The tags of a function are its labels, as a caller and as a resource. All tags are strings;
hasTag and getTag read them. The type of a principal is its kind with a capital first letter;
[WithKinds] adds further kinds.

# Fail closed

Load validates policies against the schema above, strictly. It returns an error with file and
line for a policy that does not parse, or that uses something that does not exist, for example
a misspelled attribute. At a call, a permit that can't be evaluated permits nothing, and a
forbid that can't be evaluated denies the call. Cedar itself would ignore such a forbid, and so
admit a call that the policy was written to stop. Without any policy, every call is denied.
*/
package faascedar
