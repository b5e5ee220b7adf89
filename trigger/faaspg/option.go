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

// WithWindow sets how many rows a relay may have under way: rows that it has taken and whose
// jobs are not accepted, or, with the queue in memory, not settled. No tenant has more than
// half of them. The default is 512; at least 2.
func WithWindow(n int) RelayOption { return func(s *settings) { s.window = n } }

// WithPoll sets how often a waiting relay looks for rows that no notification announces: rows
// that have become due, rows of a dead relay, and rows that were committed while the listening
// connection was broken. The default is a second.
func WithPoll(every time.Duration) RelayOption { return func(s *settings) { s.poll = every } }

// WithTerm sets after what time without a sign of life a relay loses its rows. A relay gives
// three signs of life in that time. So the rows of a killed process wait for that long, and if
// PostgreSQL is out of reach for longer, another relay runs the same jobs. The default is 15
// seconds, the smallest value 10 ms.
func WithTerm(d time.Duration) RelayOption { return func(s *settings) { s.term = d } }

// WithFunctions makes a relay take only the rows of these functions, given by their base names.
// It is for a database that several services share, each with its own functions. The default is
// all functions, whether they are registered here or not.
func WithFunctions(names ...string) RelayOption {
	return func(s *settings) { s.functions = append(s.functions, names...) }
}

// WithoutListen makes a relay poll, and not listen. That saves a connection, and works behind a
// pooler that does not support LISTEN, such as PgBouncer with transaction pooling. If no relay
// listens, no transaction notifies.
func WithoutListen() RelayOption { return func(s *settings) { s.listens = false } }

// check returns an error that says how to mend the settings, if they can't work.
func (s *settings) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("faaspg: %w: "+format, append([]any{faas.ErrInput}, args...)...)
	}
	switch {
	case s.window < 2:
		return bad("WithWindow(%d): must be at least 2", s.window)
	case s.poll <= 0:
		return bad("WithPoll(%v): must be positive", s.poll)
	case s.term < 10*time.Millisecond:
		return bad("WithTerm(%v): at least 10 ms", s.term)
	}
	return nil
}
