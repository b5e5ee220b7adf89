package faasjwt

import (
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/inproc/faas/access"
)

var (
	errCritical  = errors.New("the token has a critical extension")
	errAlgorithm = errors.New("algorithm")
	errSignature = errors.New("signature")
	errDate      = errors.New("a date is out of range")
	errNoKey     = errors.New("no key of the issuer matches the token")

	// errKeys is the error for a token that can't be checked. It is not a wrong token: the
	// answer is 503 and not 401.
	errKeys = errors.New("faasjwt: can't get the issuer's keys")
)

// explain turns an error of a token into an access.ErrCredentials with a text of this package:
// a text of the library may repeat a part of the token. It returns errKeys unchanged.
func explain(err error) error {
	if errors.Is(err, errKeys) {
		return err
	}
	return fmt.Errorf("%w: JSON web token: %s", access.ErrCredentials, reason(err))
}

// reason returns the text that says what is wrong with a token.
func reason(err error) string {
	for _, own := range []error{errCritical, errAlgorithm, errSignature, errDate, errNoKey} {
		if errors.Is(err, own) {
			return own.Error()
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "expired"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "not valid yet"
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return "issued in the future"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "for another audience"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return "of another issuer"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "a claim is missing"
	}
	return "malformed"
}
