package access

import (
	"errors"
	"fmt"

	"github.com/inproc/faas"
)

// The errors of this package, for [errors.Is].
var (
	// ErrUnanswered: the authorizer has not decided. It took too long, exited its
	// goroutine, or all of its goroutines are stuck. It comes with faas.ErrDenied.
	ErrUnanswered = errors.New("the authorizer has not answered")
	// ErrNoCredentials: a request has no credentials, or none that this
	// [Authenticator] understands.
	ErrNoCredentials = errors.New("no credentials")
	// ErrCredentials: a request's credentials are wrong, expired or malformed.
	ErrCredentials = errors.New("credentials are not valid")
	// ErrSetup: a rule, a token or a secret can't be used as it was given.
	ErrSetup = errors.New("invalid access setup")
)

// ReasonUnanswered is the Reason of a call that was denied because its
// authorizer has not decided: it panicked, took too long, or the caller left
// first. A decided no has faas.ReasonDenied, or the reason that the authorizer
// chose.
const ReasonUnanswered faas.Reason = "unanswered"

// DeniedError says which principal was denied which function. It Is [faas.ErrDenied].
// It also Is its Cause, unless that is an error of the platform about another call.
type DeniedError struct {
	Principal Principal
	Function  string
	Cause     error // what the authorizer said; a *faas.PanicError if it panicked
}

// Error describes the denial on one line. It calls the Error method of Cause.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%v to %v: %v", faas.ErrDenied, e.Principal, e.Cause)
}

// Unwrap returns ErrDenied and the cause. It leaves out a cause that has a
// *faas.Error: an authorizer that calls functions itself may return their errors. A
// front that found such an ErrNotFound or ErrOverloaded would answer as if it were
// about this call, and so tell the caller that the function exists.
func (e *DeniedError) Unwrap() []error {
	if foreign := (*faas.Error)(nil); errors.As(e.Cause, &foreign) {
		return []error{faas.ErrDenied}
	}
	return []error{faas.ErrDenied, e.Cause}
}

// setupMistake makes an [ErrSetup] that names the cure.
func setupMistake(format string, args ...any) error {
	return fmt.Errorf("access: %w: "+format, append([]any{ErrSetup}, args...)...)
}
