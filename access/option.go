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

// settings are the values of the options of [Authorizer].
type settings struct {
	timeout time.Duration
	limit   int // how many goroutines may run authorize
	inline  bool
	logger  *slog.Logger
}

// WithTimeout sets how long a call waits for the authorizer's decision, including the wait for
// a free goroutine ([WithGoroutines]). It must be positive. Default 1 s.
func WithTimeout(d time.Duration) Option { return option(func(s *settings) { s.timeout = d }) }

// WithGoroutines bounds how many goroutines run the authorizer at once, n ≥ 1. Abandoned
// goroutines, which did not answer in time, count until they return. Calls beyond n wait,
// within their time limit. If all n are abandoned, calls are denied at once. Default 256.
func WithGoroutines(n int) Option { return option(func(s *settings) { s.limit = n }) }

// WithInline runs the authorizer on the caller's goroutine. This saves a goroutine and a timer,
// but there is no time limit: an authorizer that blocks then blocks its caller. It is for
// authorizers that only compute, such as [Rules.Authorize].
func WithInline() Option { return option(func(s *settings) { s.inline = true }) }

// WithLogger sets the logger for calls that the authorizer left undecided. They are logged at
// level Warn, with function, principal and cause. For a panic only the type of its value is
// logged, and no text of an authorizer's error ever is. A call that the authorizer decided to
// deny is not logged. Default: slog.Default() at the time of [Authorizer].
func WithLogger(l *slog.Logger) Option { return option(func(s *settings) { s.logger = l }) }

// check returns an error if an option is impossible. The error says how to correct it.
func (s *settings) check() error {
	switch {
	case s.timeout <= 0:
		return setupMistake("WithTimeout(%v): must be positive; leave the option out for %v", s.timeout, defaultTimeout)
	case s.limit < 1:
		return setupMistake("WithGoroutines(%d): must be at least 1; to run without goroutines, use WithInline", s.limit)
	case s.logger == nil:
		return setupMistake("WithLogger(nil): to log nothing, use slog.New(slog.DiscardHandler)")
	}
	return nil
}
