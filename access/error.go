package access

import (
	"errors"
	"fmt"

	"github.com/inproc/faas"
)

// What this package answers, to be asked for with [errors.Is].
var (
	// ErrUnanswered: the authorizer has not decided. It took too long, ended its
	// goroutine, or too many of its kind are stuck. It comes with faas.ErrDenied.
	ErrUnanswered = errors.New("the authorizer has not answered")
	// ErrNoCredentials: a request says nothing about who sends it, or nothing
	// that this [Authenticator] understands.
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

// DeniedError says who was not let through to what. It Is [faas.ErrDenied], and
// Cause, if Cause is not the platform's own answer to some other call.
type DeniedError struct {
	Principal Principal
	Function  string
	Cause     error // what the authorizer said; a *faas.PanicError if it panicked
}

// Error describes it on one line. It asks Cause for its text.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%v to %v: %v", faas.ErrDenied, e.Principal, e.Cause)
}

// Unwrap returns ErrDenied and the cause. An authorizer that calls functions
// itself may answer their errors. Those stay in Cause: a front that finds
// ErrNotFound or ErrOverloaded here would answer as if it were about this call,
// and tell that there is such a function.
func (e *DeniedError) Unwrap() []error {
	if foreign := (*faas.Error)(nil); errors.As(e.Cause, &foreign) {
		return []error{faas.ErrDenied}
	}
	return []error{faas.ErrDenied, e.Cause}
}

// setupMistake is an [ErrSetup] with the cure.
func setupMistake(format string, args ...any) error {
	return fmt.Errorf("access: %w: "+format, append([]any{ErrSetup}, args...)...)
}
