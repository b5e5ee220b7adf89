/*
Package webhook lets signed webhooks in. It verifies that a request comes from its
sender and was not changed or repeated on the way, and passes it on.

	github, err := webhook.New("github", webhook.GitHub(secret))
	mux.Handle("POST /hooks/github", github.Handler(next))

Behind it the request has its body, and the principal {access.Webhook, "github"}
on its context, for an access.Authorizer to judge.

# Schemes

	GitHub    X-Hub-Signature-256: HMAC-SHA256 of the body, hexadecimal
	Stripe    Stripe-Signature: t=…,v1=…; HMAC-SHA256 of time and body
	Standard  webhook-id, -timestamp, -signature: v1,…; HMAC-SHA256 of id, time and body
	Svix      svix-id, -timestamp, -signature, otherwise as Standard

Each takes several secrets, so that they can be rotated: a signature with any of
them is good. Signatures are compared in constant time.

# Replays

If a time is signed, it has to be within [WithWindow] of now. A message is handled
once while its time is good, or for one window after it came if no time is signed, as
with GitHub. It is remembered by its id if the id is signed. Otherwise it is
remembered by what was signed and, for GitHub, by its X-GitHub-Delivery header, which
is not signed; [WithReplayKey] changes this, and says what the header is worth.

A message that comes again is not passed on. If it was handled with success, the
answer is 200, so that a sender that missed the answer is content. If it is being
handled, the answer is 409. If its handler has failed, it may come again.

The number of messages that are remembered is bounded ([WithReplays]). If there is no
room, a message is answered 503: it is not let in without being remembered. Only
messages with a good signature are remembered. To fill the memory, an attacker needs
the secret or, if something unsigned is part of the key, a recorded message. The
memory is in the process: after a restart, and in another process, a message of the
last minutes can come again.
*/
package webhook
