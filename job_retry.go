package faas

import (
	"errors"
	"math"
	"time"
)

// Retry is the policy of a function's retries: how often, and when, a job runs again after a
// failed attempt. An attempt fails if the handler returns an error, panics or exits, or if its
// timeout passes. A delivery that does not reach the handler is no attempt; see [WithMaxAge]
// for those.
//
// The wait before the nth retry is First × Factorⁿ⁻¹, but at most Longest. It begins when the
// failed attempt has ended. Jitter then lengthens or shortens it, so the result can be longer
// than Longest. The default, without [WithRetry], is Lambda's policy: two retries, after 60 and
// 120 seconds. The zero Retry means no retries.
type Retry struct {
	Max     int           // the number of retries; a job has at most Max + 1 attempts
	First   time.Duration // the first wait; 0: 60 s
	Factor  float64       // each wait is this many times the one before; 0: 2
	Longest time.Duration // the longest wait before jitter; 0: no limit
	Jitter  float64       // the part of each wait by which it may be longer or shorter, at random; between 0 and 1
}

// wait returns the time between the nth failed attempt, n ≥ 1, and the next one. seed is in [0,
// 1). afterCall in job_next.go decides whether there is a next one.
func (r Retry) wait(n int, seed float64) time.Duration {
	first, factor := r.First, r.Factor
	if first == 0 {
		first = time.Minute
	}
	if factor == 0 {
		factor = 2
	}
	wait := float64(first) * math.Pow(factor, float64(n-1))
	if r.Longest > 0 {
		wait = min(wait, float64(r.Longest))
	}
	wait *= 1 + r.Jitter*(2*seed-1)
	return time.Duration(min(wait, float64(longestRetry)))
}

// longestRetry bounds a wait, so that a sum of times does not overflow.
const longestRetry = 100 * 365 * 24 * time.Hour

// check returns an error, made by bad, if a field is out of range.
func (r Retry) check(bad func(format string, args ...any) error) error {
	switch {
	case r.Max < 0:
		return bad("WithRetry: Max %d: there can't be fewer than 0 retries", r.Max)
	case r.First < 0 || r.Longest < 0:
		return bad("WithRetry: First %v, Longest %v: a wait can't be negative", r.First, r.Longest)
	case r.Factor != 0 && !(r.Factor >= 1) || math.IsInf(r.Factor, 1):
		return bad("WithRetry: Factor %v: must be at least 1; 0 stands for 2", r.Factor)
	case !(r.Jitter >= 0 && r.Jitter <= 1):
		return bad("WithRetry: Jitter %v: must be between 0 and 1", r.Jitter)
	}
	return nil
}

// RetryAfter returns an error by which a handler asks for another run of its job in d, without
// counting this one as an attempt: for example, if a service that it needs has asked for a
// pause. Only the job's age bounds how often that can happen. A negative d is 0. A nil err
// stands for an error without a cause. The result has the text of err and unwraps to it; in a
// call that is no job it has no other effect.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errLater
	}
	return &retryLaterError{err, max(d, 0)}
}

// Permanent returns an error by which a handler says that retries are of no use: its job is
// dead. The result has the text of err and unwraps to it; in a call that is no job it has no
// other effect. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

var errLater = errors.New("to be tried again later")

type retryLaterError struct {
	error

	after time.Duration
}

func (e *retryLaterError) Unwrap() error { return e.error }

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// jobAdvice is what a handler's error asks for its job.
type jobAdvice uint8

const (
	adviceNone  jobAdvice = iota
	adviceLater           // RetryAfter
	adviceDead            // Permanent
)

// adviceOf finds RetryAfter or Permanent in a handler's error; if it has both, the outer one
// counts. errors.As calls methods of the error, which are foreign code: if one panics, there is
// no advice.
func adviceOf(err error) (advice jobAdvice, after time.Duration) {
	defer func() {
		if recover() != nil {
			advice, after = adviceNone, 0
		}
	}()
	var later *retryLaterError
	var dead *permanentError
	isLater, isDead := errors.As(err, &later), errors.As(err, &dead)
	if isLater && isDead {
		var inner *permanentError
		isDead = !errors.As(later.error, &inner) // if Permanent is inside RetryAfter, RetryAfter is the outer one
	}
	switch {
	case isDead:
		return adviceDead, 0
	case isLater:
		return adviceLater, later.after
	}
	return adviceNone, 0
}
