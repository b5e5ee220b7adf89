package webhook

import (
	"errors"
	"fmt"

	"github.com/inproc/faas/access"
)

// These are the errors of a verifier, in addition to access.ErrNoCredentials and
// access.ErrCredentials.
var (
	// ErrReplayed: the message has been handled, or is being handled. An error that Is
	// ErrReplayed also Is access.ErrCredentials.
	ErrReplayed = fmt.Errorf("%w: the message came before", access.ErrCredentials)
	// ErrFull: there are already as many messages as WithReplays allows to remember.
	ErrFull = errors.New("too many messages to remember")
	// ErrTooLarge: the body is larger than WithBodyLimit.
	ErrTooLarge = errors.New("the body is too large")
	// ErrBody: the body could not be read.
	ErrBody = errors.New("the body could not be read")
)
