package access

import (
	"log/slog"
	"time"
)

// Option is an option of [Authorizer]. Nil options are ignored.
type Option interface{ applyAuthorizer(*settings) }

type option func(*settings)

func (o option) applyAuthorizer(s *settings) { o(s) }

const defaultTimeout = time.Second

// settings is what the options of [Authorizer] say.
type settings struct {
	timeout time.Duration
	limit   int // of goroutines
	inline  bool
	logger  *slog.Logger
}

// WithTimeout sets how long a call waits for the authorizer's decision, the wait
// for a free goroutine ([WithGoroutines]) included. It must be positive.
// Default 1 s.
func WithTimeout(d time.Duration) Option { return option(func(s *settings) { s.timeout = d }) }

// WithGoroutines bounds how many goroutines of the authorizer there are at once,
// n ≥ 1. It counts those that were given up because they did not answer in time.
// Calls beyond n wait, within their time limit. When all n were given up, calls are
// denied at once. Default 256.
func WithGoroutines(n int) Option { return option(func(s *settings) { s.limit = n }) }

// WithInline runs the authorizer on the caller's goroutine. It saves a goroutine and
// a timer, and there is no time limit: an authorizer that blocks then blocks its
// caller. It is for authorizers that only compute, such as [Rules.Authorize].
func WithInline() Option { return option(func(s *settings) { s.inline = true }) }

// WithLogger sets the logger for calls that the authorizer left undecided. They are
// logged at level Warn, with function, principal and cause. Of a panic's value only
// the type is logged, and no text of errors. A decided no is not logged. Default:
// slog.Default() at the time of [Authorizer].
func WithLogger(l *slog.Logger) Option { return option(func(s *settings) { s.logger = l }) }

// check returns what is impossible about the options, with the cure.
func (s *settings) check() error {
	switch {
	case s.timeout <= 0:
		return setupMistake("WithTimeout(%v): must be positive; leave the option out for %v", s.timeout, defaultTimeout)
	case s.limit < 1:
		return setupMistake("WithGoroutines(%d): must be at least 1; for none, use WithInline", s.limit)
	case s.logger == nil:
		return setupMistake("WithLogger(nil): for silence, use slog.New(slog.DiscardHandler)")
	}
	return nil
}
