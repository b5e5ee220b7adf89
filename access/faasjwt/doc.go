/*
Package faasjwt authenticates requests by JSON web tokens of an issuer. It is an
access.Authenticator that verifies tokens with the keys of the issuer's JWK set.

	issuer, err := faasjwt.New(faasjwt.Config{
		Issuer:   "https://id.example.com/",
		Audience: []string{"functions"},
		JWKS:     "https://id.example.com/.well-known/jwks.json",
	})
	mux.Handle("POST /fn/{name}", access.Authenticate(issuer)(front))

# What is checked

  - The signature: its algorithm must be one of the configured ones. Its key must be in the
    set, be meant for signatures, and have the kind and curve of the algorithm. If the key
    names an algorithm, it must be the same one.
  - iss and aud; exp, which a token must have; nbf and iat. A date that does not
    fit into 64 bits is refused in each of them.
  - That the token has no critical extension, because this package supports none.

Names of claims are compared exactly, as RFC 7519 requires. Ed25519 (RFC 9864)
and EdDSA (RFC 8037) are one algorithm here, in tokens and in keys.

Algorithms are asymmetric: "none" and HMAC can't be configured, and symmetric keys
in the set are ignored. The fields of a token that say where its key is (jku, x5u, jwk) are
ignored too.

# Keys

The set is fetched when it is first needed. It is fetched again when

  - it is older than Config.Refresh,
  - it has no key for a token, or
  - a signature does not match the key, which the issuer may have replaced under the
    same ID.

At least Config.Cooldown lies between two fetches, whatever tokens come. Only one request at
a time fetches. While the set is refreshed, other requests use the present keys. If the set
can't be fetched, the present keys are used until they are Config.MaxAge old. After that, and
before the first fetch succeeds, tokens can't be checked. This is another error than that of a
wrong token: see access.Authenticator. A key that the issuer has removed is refused once the
set is fetched again. No goroutine runs in the background.

Signatures and claims are verified by github.com/golang-jwt/jwt, keys are parsed by
github.com/MicahParks/jwkset.
*/
package faasjwt
