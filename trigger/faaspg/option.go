package faaspg

import (
	"fmt"
	"time"

	"github.com/inproc/faas"
)

// RelayOption is an option of [NewRelay]. Nil options are ignored.
type RelayOption func(s *settings)

// settings are what the options of a relay set.
type settings struct {
	window    int
	poll      time.Duration
	term      time.Duration
	functions []string // nil: all
	listens   bool
}

// WithWindow sets how many rows a relay may have under way: taken, and their jobs not accepted, or
// with the queue in memory not settled. No tenant has more than half of them. Default 512, at least 2.
func WithWindow(n int) RelayOption { return func(s *settings) { s.window = n } }

// WithPoll sets how often a relay that waits looks for rows that no NOTIFY has told it of: those that
// have become due, that a dead relay had, or that were committed while the connection to listen on
// was broken. Default a second.
func WithPoll(every time.Duration) RelayOption { return func(s *settings) { s.poll = every } }

// WithTerm sets for how long the rows of a relay that gives no sign of life are left to it. A
// relay gives one three times in that time. It is how long the rows of a process that was killed wait,
// and how long PostgreSQL may be out of reach before another relay runs the same jobs. Default 15 s.
func WithTerm(d time.Duration) RelayOption { return func(s *settings) { s.term = d } }

// WithFunctions has a relay take the rows of these functions alone, by their base names. It is for a
// database that several services share, each with functions of its own. Default: all functions,
// registered here or not.
func WithFunctions(names ...string) RelayOption {
	return func(s *settings) { s.functions = append(s.functions, names...) }
}

// WithoutListen has a relay poll and not listen. It saves a connection, works behind a pooler that
// can't LISTEN, such as PgBouncer by transactions, and if no relay listens no transaction notifies.
func WithoutListen() RelayOption { return func(s *settings) { s.listens = false } }

// check returns what can't work, and the cure.
func (s *settings) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("faaspg: %w: "+format, append([]any{faas.ErrInput}, args...)...)
	}
	switch {
	case s.window < 2:
		return bad("WithWindow(%d): two rows at least", s.window)
	case s.poll <= 0:
		return bad("WithPoll(%v): must be positive", s.poll)
	case s.term < 10*time.Millisecond:
		return bad("WithTerm(%v): at least 10 ms", s.term)
	}
	return nil
}
