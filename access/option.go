package access

import (
	"log/slog"
	"time"
)

// Option is an option of [Authorizer]. Nil options are ignored.
type Option interface{ applyAuthorizer(*gate) }

type option func(*gate)

func (o option) applyAuthorizer(g *gate) { o(g) }

// WithTimeout sets how long a call waits for the authorizer's decision, the wait
// for a free goroutine ([WithGoroutines]) included. It must be positive.
// Default 1 s.
func WithTimeout(d time.Duration) Option { return option(func(g *gate) { g.timeout = d }) }

// WithGoroutines bounds how many goroutines of the authorizer there are at once,
// those that were given up among them, n ≥ 1. Calls beyond wait within their
// time limit; when all n were given up, calls are denied at once. Default 256.
func WithGoroutines(n int) Option { return option(func(g *gate) { g.limit = n }) }

// WithInline has the authorizer run on the caller's goroutine. It saves the
// hand-over, and gives up the time limit: an authorizer that blocks then blocks
// its caller. For those that only compute, such as [Rules.Authorize].
func WithInline() Option { return option(func(g *gate) { g.inline = true }) }

// WithLogger sets where calls are reported, at level Warn, that the authorizer
// left undecided, by function, principal and cause: a panic's value by its type
// and no text of errors. A decided no is no news, and not logged. Default:
// slog.Default() at the time of [Authorizer].
func WithLogger(l *slog.Logger) Option { return option(func(g *gate) { g.logger = l }) }

func (g *gate) check() error {
	switch {
	case g.authorize == nil:
		return setupMistake("Authorizer(nil): to let everybody in, leave the gate out")
	case g.timeout <= 0:
		return setupMistake("WithTimeout(%v): must be positive; leave the option out for %v", g.timeout, defaultTimeout)
	case g.limit < 1:
		return setupMistake("WithGoroutines(%d): must be at least 1; for none, use WithInline", g.limit)
	case g.logger == nil:
		return setupMistake("WithLogger(nil): for silence, use slog.New(slog.DiscardHandler)")
	}
	return nil
}
