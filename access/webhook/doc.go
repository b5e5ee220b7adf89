/*
Package webhook lets signed webhooks in: it verifies who has sent a request and
that nobody has changed or repeated it, and passes it on.

	github, err := webhook.New("github", webhook.GitHub(secret))
	mux.Handle("POST /hooks/github", github.Handler(next))

Behind it the request has its body, and the principal {access.Webhook, "github"}
on its context, for an access.Authorizer to judge.

# Schemes

	GitHub    X-Hub-Signature-256: HMAC-SHA256 of the body, hexadecimal
	Stripe    Stripe-Signature: t=…,v1=…; HMAC-SHA256 of time and body
	Standard  webhook-id, -timestamp, -signature: v1,…; HMAC-SHA256 of id, time and body
	Svix      svix-id, -timestamp, -signature, otherwise as Standard

Each takes several secrets, so that they can be rotated: a signature by any of
them is good. Signatures are compared in constant time.

# Replays

What is signed with a time is good for [WithWindow] around it. Within it, and
for GitHub, which signs no time, for that long after it came, a message is
handled once: it is remembered by its id, where the id is signed, or else by what
was signed and, for GitHub, its X-GitHub-Delivery header, which is not signed.
[WithReplayKey] chooses something else, and says what the header is worth. One that was handled with success and comes again is answered 200
and not passed on, so that a sender who missed the answer is content; one that
is being handled is answered 409. One whose handler failed may come again.

What is remembered is bounded ([WithReplays]). If there is no room, a message is
answered 503 rather than let in without a memory of it. Only messages with a good
signature are remembered: to fill it takes the secret or, where the key has
something unsigned in it, a message that was recorded. It is kept in memory: after
a restart, and in other processes, a message of the last minutes can come again.
*/
package webhook
