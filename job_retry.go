package faas

import (
	"errors"
	"math"
	"time"
)

// Retry says how often and when a job runs again after an attempt that failed: the
// handler returned an error, panicked or exited, or its timeout passed. Deliveries that
// don't reach the handler are no attempts; for those see [WithMaxAge].
//
// The wait before the nth retry is First × Factorⁿ⁻¹, but at most Longest. It begins when the
// failed attempt has ended. Jitter then makes it longer or shorter, so that it can be above
// Longest. Without [WithRetry] a function has Lambda's policy, two retries after 60 and
// 120 seconds. The zero Retry has none.
type Retry struct {
	Max     int           // retries; so there are at most Max + 1 attempts
	First   time.Duration // the first wait; 0: 60 s
	Factor  float64       // by which each wait is longer than the one before; 0: 2
	Longest time.Duration // 0: no limit
	Jitter  float64       // each wait is longer or shorter by up to this part of it, at random; between 0 and 1
}

// wait returns the time between the nth failed attempt, n ≥ 1, and the next. seed is in
// [0, 1). Whether there is a next one is decided in job_next.go, by afterCall.
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

// longestRetry keeps sums of times in range.
const longestRetry = 100 * 365 * 24 * time.Hour

// check returns an error, made by bad, that says what is out of range.
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

// RetryAfter returns an error with which a handler says that its job should be tried
// again in d, and that this was no attempt: for example, a service that it needs asked it
// to come back later. Only the age of the job bounds how often. A negative d is 0. For a
// call that is no job it is an error like any other; it has the text of err and unwraps
// to it. A nil err stands for an error without a cause.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errLater
	}
	return &retryLaterError{err, max(d, 0)}
}

// Permanent returns an error with which a handler says that trying again is of no use:
// its job is dead. For a call that is no job it is an error like any other; it has the
// text of err and unwraps to it. Permanent(nil) is nil.
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

// jobAdvice is what a handler's error says about its job.
type jobAdvice uint8

const (
	adviceNone  jobAdvice = iota
	adviceLater           // RetryAfter
	adviceDead            // Permanent
)

// adviceOf looks for RetryAfter and Permanent in a handler's error; the outer one counts.
// errors.As calls methods of the error, which is foreign code: a panic is no advice.
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
		isDead = !errors.As(later.error, &inner) // then Permanent is around RetryAfter
	}
	switch {
	case isDead:
		return adviceDead, 0
	case isLater:
		return adviceLater, later.after
	}
	return adviceNone, 0
}
