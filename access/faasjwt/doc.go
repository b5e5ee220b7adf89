/*
Package faasjwt lets in who has a JSON web token of an issuer: an
access.Authenticator that verifies tokens with the keys of the issuer's JWK set.

	issuer, err := faasjwt.New(faasjwt.Config{
		Issuer:   "https://id.example.com/",
		Audience: []string{"functions"},
		JWKS:     "https://id.example.com/.well-known/jwks.json",
	})
	mux.Handle("POST /fn/{name}", access.Authenticate(issuer)(front))

# What is checked

The signature, by an algorithm of the list, with a key of the set that is for
signatures, of the kind and curve of the algorithm, and, if the key names an
algorithm, for that one; iss and aud; exp, which a token must have, nbf and iat;
and that the token has no critical extension, as nothing here understands one.
Names of claims are what they are to the letter, as RFC 7519 has it; a date that
does not fit into 64 bits is not good, whichever it is. Ed25519 (RFC 9864) and EdDSA
(RFC 8037) are one algorithm here, in tokens and in keys.
Algorithms are asymmetric: "none" and HMAC can't be configured, symmetric keys in
the set are passed over, and what a token says about where its key is found (jku,
x5u, jwk) is not read.

# Keys

The set is fetched when it is first needed, again when it is older than
Config.Refresh, when no key of it is for a token, and when a signature does not fit
the key, which may have been replaced under the same ID, but not more often than
each Config.Cooldown, whatever tokens come. One request at a time
fetches; while the set is refreshed, others go on with the keys at hand. If it
can't be fetched the keys at hand are good until they are Config.MaxAge old; then,
and before the first fetch succeeds, tokens can't be checked, which is not the same
as a wrong token: see access.Authenticator. A key that left the set is no longer
good once the set has been fetched again. There is no goroutine behind it.

Signatures and claims are verified by github.com/golang-jwt/jwt, keys parsed by
github.com/MicahParks/jwkset.
*/
package faasjwt
