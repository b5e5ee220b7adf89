package faashttp

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// ending is how a call ended, as far as a caller outside may know. Each dialect
// has its own words for it.
type ending int

const (
	failed ending = iota // the handler's own error
	panicked
	exited
	timedOut
	canceled
	outputInvalid
	outputTooLarge
	initFailed

	// Refusals: no handler ran.
	notFound
	denied
	badInput
	inputTooLarge
	overloaded
	closed
)

// endingOf tells how the call of a function ended, with the platform's error
// where it is one. What a handler returns may be the error of a nested call,
// and that one's refusal is not this call's: only an error about the function
// itself counts.
func endingOf(err error, function string) (ending, *faas.Error) {
	e, ok := err.(*faas.Error) //nolint:errorlint // wrapped, it is a handler's
	switch {
	case !ok || e.Function != function && e.Reason != faas.ReasonName:
		return failed, nil
	case e.Reason != "":
		return refusalOf(e), e
	}
	return outcomeOf(e), e
}

func refusalOf(e *faas.Error) ending {
	is := func(target error) bool { return errors.Is(e, target) }
	switch {
	case is(faas.ErrNotFound), is(faas.ErrName):
		return notFound
	case is(faas.ErrOverloaded):
		return overloaded
	case is(faas.ErrDenied):
		if e.RetryAfter > 0 { // it is a question of when, not of whether
			return overloaded
		}
		return denied
	case is(faas.ErrTooLarge):
		return inputTooLarge
	case is(faas.ErrInput):
		return badInput
	case is(faas.ErrClosed):
		return closed
	case is(context.Canceled), is(context.DeadlineExceeded):
		return canceled
	case is(faas.ErrDepth), is(faas.ErrCycle):
		return failed
	}
	return denied // by a gate, with a sentinel of its own
}

func outcomeOf(e *faas.Error) ending {
	is := func(target error) bool { return errors.Is(e, target) }
	var p *faas.PanicError
	switch {
	case errors.As(e.Err, &p):
		if is(faas.ErrOutput) { // the encoder's
			return outputInvalid
		}
		return panicked
	case is(faas.ErrExited):
		return exited
	case is(faas.ErrTimeout):
		return timedOut
	case is(faas.ErrTooLarge):
		return outputTooLarge
	case is(faas.ErrOutput):
		return outputInvalid
	case is(faas.ErrInit):
		return initFailed
	case is(faas.ErrClosed):
		return closed
	}
	return canceled
}

// retryAfter says when to come back; a second where nobody knows.
func retryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}
