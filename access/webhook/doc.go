/*
Package webhook verifies signed webhooks: that a request comes from its sender and was not
changed or repeated on the way. It passes on only the requests that it has verified.

	github, err := webhook.New("github", webhook.GitHub(secret))
	mux.Handle("POST /hooks/github", github.Handler(next))

The handler next gets the request with its body, and with the principal {access.Webhook,
"github"} on its context, about which an access.Authorizer can decide.

# Schemes

	GitHub    X-Hub-Signature-256: HMAC-SHA256 of the body, hexadecimal
	Stripe    Stripe-Signature: t=…,v1=…; HMAC-SHA256 of time and body
	Standard  webhook-id, -timestamp, -signature: v1,…; HMAC-SHA256 of id, time and body
	Svix      svix-id, -timestamp, -signature, otherwise as Standard

Each accepts several secrets, so that they can be rotated: a signature made with any of
them is valid. Signatures are compared in constant time.

# Replays

If the sender signs a time, it must be within [WithWindow] of now. A message is handled once
during the time in which its signed time is valid. If no time is signed, as with GitHub, it is
handled once within a window after it came. For this, the verifier remembers each message: by
its id if the id is signed, otherwise by a hash of the signed text. For GitHub the hash includes
the X-GitHub-Delivery header, which is not signed. [WithReplayKey] describes the effect of that
header, and can change the key.

A message that comes again is not passed on. If it was handled with success, the answer is
200, so that a sender that missed the first answer stops sending. If it is being handled, the
answer is 409. If its handler has failed, the message may come again.

The number of remembered messages is bounded ([WithReplays]). A message for which there is no
room is answered 503, and not passed on. Only messages with a valid signature are remembered.
So to fill the memory, an attacker needs the secret, or a recorded message if the key includes
something that is not signed. The memory is in the process: after a restart, and in another
process, a message of the last minutes can be repeated.
*/
package webhook
