package faasjwt

import "github.com/golang-jwt/jwt/v5"

// algorithm returns the name that a signature algorithm has in this package. RFC
// 9864 calls Ed25519 what RFC 8037 calls EdDSA with a key of that curve, and there
// is no other EdDSA here.
func algorithm(name string) string {
	if name == "Ed25519" {
		return jwt.SigningMethodEdDSA.Alg()
	}
	return name
}

// asymmetric reports whether an algorithm verifies with a public key. "none" and
// HMAC do not: with them, the public key would be enough to sign.
func asymmetric(alg string) bool {
	switch jwt.GetSigningMethod(algorithm(alg)).(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS, *jwt.SigningMethodECDSA, *jwt.SigningMethodEd25519:
		return true
	}
	return false
}
