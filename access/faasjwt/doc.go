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

  - The signature: by an algorithm of the list, with a key of the set that is for
    signatures, has the kind and curve of the algorithm, and, if the key names an
    algorithm, is for that one.
  - iss and aud; exp, which a token must have; nbf and iat. A date that does not
    fit into 64 bits is refused in each of them.
  - That the token has no critical extension: this package knows none.

Names of claims are compared to the letter, as RFC 7519 has it. Ed25519 (RFC 9864)
and EdDSA (RFC 8037) are one algorithm here, in tokens and in keys.

Algorithms are asymmetric: "none" and HMAC can't be configured, and symmetric keys
in the set are left out. What a token says about where its key is (jku, x5u, jwk) is
not read.

# Keys

The set is fetched when it is first needed. It is fetched again when

  - it is older than Config.Refresh,
  - it has no key for a token, or
  - a signature does not fit the key, which the issuer may have replaced under the
    same ID.

There are never two fetches within Config.Cooldown, whatever tokens come. One request
at a time fetches. While the set is refreshed, other requests use the keys at hand.
If it can't be fetched, they are used until they are Config.MaxAge old. Then, and
before the first fetch succeeds, tokens can't be checked, which is not the same as a
wrong token: see access.Authenticator. A key that the issuer has removed is refused
once the set was fetched again. No goroutine runs in the background.

Signatures and claims are verified by github.com/golang-jwt/jwt, keys parsed by
github.com/MicahParks/jwkset.
*/
package faasjwt
