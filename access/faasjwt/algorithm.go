package faasjwt

import "github.com/golang-jwt/jwt/v5"

// algorithm returns the name that this package uses for a signature algorithm. Ed25519 of RFC
// 9864 and EdDSA of RFC 8037 are the same here, because this package supports EdDSA only with
// keys of that curve.
func algorithm(name string) string {
	if name == "Ed25519" {
		return jwt.SigningMethodEdDSA.Alg()
	}
	return name
}

// asymmetric reports whether an algorithm verifies with a public key. It returns false for
// "none" and HMAC: with these, the public key would be enough to sign.
func asymmetric(alg string) bool {
	switch jwt.GetSigningMethod(algorithm(alg)).(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS, *jwt.SigningMethodECDSA, *jwt.SigningMethodEd25519:
		return true
	}
	return false
}
