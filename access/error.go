package access

import (
	"errors"
	"fmt"

	"github.com/inproc/faas"
)

// The errors of this package, for [errors.Is].
var (
	// ErrUnanswered: the authorizer has not decided. It took too long, exited its goroutine, or
	// all of its goroutines are stuck. An error that Is ErrUnanswered also Is faas.ErrDenied.
	ErrUnanswered = errors.New("the authorizer has not answered")
	// ErrNoCredentials: a request has no credentials, or none that this
	// [Authenticator] understands.
	ErrNoCredentials = errors.New("no credentials")
	// ErrCredentials: a request's credentials are wrong, expired or malformed.
	ErrCredentials = errors.New("credentials are not valid")
	// ErrSetup: a rule, a token or a secret is not usable as given.
	ErrSetup = errors.New("invalid access setup")
)

// ReasonUnanswered is the Reason of a call that was denied because its authorizer has not
// decided: it panicked or took too long, or the caller's context ended first. If the authorizer
// decided to deny the call, the Reason is faas.ReasonDenied or the reason that the authorizer
// chose.
const ReasonUnanswered faas.Reason = "unanswered"

// DeniedError says which principal was denied which function. It Is [faas.ErrDenied]. It also
// Is its Cause, unless Cause contains an error of the router about another call.
type DeniedError struct {
	Principal Principal
	Function  string
	Cause     error // the authorizer's error; a *faas.PanicError if it panicked
}

// Error describes the denial on one line. It calls the Error method of Cause.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%v to %v: %v", faas.ErrDenied, e.Principal, e.Cause)
}

// Unwrap returns ErrDenied and the cause. It leaves out a cause that contains an *faas.Error:
// an authorizer that calls functions itself may return their errors. If a front found such an
// ErrNotFound or ErrOverloaded, it would answer as if it were about this call, and so show the
// caller that the function exists.
func (e *DeniedError) Unwrap() []error {
	if foreign := (*faas.Error)(nil); errors.As(e.Cause, &foreign) {
		return []error{faas.ErrDenied}
	}
	return []error{faas.ErrDenied, e.Cause}
}

// setupMistake returns an error that Is [ErrSetup]. Its text says how to correct the mistake.
func setupMistake(format string, args ...any) error {
	return fmt.Errorf("access: %w: "+format, append([]any{ErrSetup}, args...)...)
}
