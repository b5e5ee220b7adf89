package source

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/pattern"
)

// Option is an option of [Drive]. Nil options are ignored.
type Option func(s *settings)

// settings are what the options of a driver set.
type settings struct {
	name        string
	function    string
	filters     []pattern.Pattern
	concurrency int
	size        int // 0: no WithBatch
	window      time.Duration
	restart     backoff
	log         *slog.Logger
}

func newSettings(opts []Option) *settings {
	s := &settings{concurrency: 64, restart: backoff{time.Second, time.Minute}, log: slog.Default()}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	if s.name == "" {
		s.name = s.function
	}
	return s
}

// To names the function that the items start, with or without a version; the name is resolved
// again for each delivery. An item's own Function goes before it.
func To(function string) Option { return func(s *settings) { s.function = function } }

// WithName names the driver: in Info, in logs, as the Door of its calls, and in the IDs of its
// jobs. So two drivers whose items have the same IDs and are not the same need two names, and the
// name must stay as it is from one process to the next. Default: the function of [To].
func WithName(name string) Option { return func(s *settings) { s.name = name } }

// WithFilter leaves out the items whose payload does not match: they are acknowledged and start
// nothing. A payload that is no JSON object matches nothing. With several filters one has to match,
// as on AWS Lambda.
func WithFilter(p ...pattern.Pattern) Option {
	return func(s *settings) { s.filters = append(s.filters, p...) }
}

// WithConcurrency sets how many items may be under way: taken from the source and not
// acknowledged. Default 64. Those that wait for their batch are under way too: so n should be some times its
// size. How many calls run at once is set by the function, see faas.WithConcurrency.
func WithConcurrency(n int) Option { return func(s *settings) { s.concurrency = n } }

// WithBatch has the items of To's function go into batches: one is sent when it has size items,
// when a further item would make it larger than the function's inputs may be (faas.WithLimits), and when its first item has
// waited for window, which is positive. The function must be one of [RegisterBatch]; without WithBatch it
// gets batches of one. All items of a batch have the same tenant and priority. Of Item it has ID, Payload,
// Tenant and Priority, and nothing of the contexts of Send; an item that comes
// again may run again in another batch.
func WithBatch(size int, window time.Duration) Option {
	return func(s *settings) { s.size, s.window = size, window }
}

// WithRestart sets how long a driver waits before it starts a source again that has failed: first
// the shortest time, twice as long each time, at most the longest; from the shortest again once the
// source has run for the longest. The same waits are between attempts to give a job to a queue that
// has no room. Default a second and a minute.
func WithRestart(shortest, longest time.Duration) Option {
	return func(s *settings) { s.restart = backoff{shortest, longest} }
}

// WithLog sets where the driver tells what goes wrong. Default slog.Default(). Nil: nowhere.
func WithLog(l *slog.Logger) Option {
	return func(s *settings) {
		if s.log = l; l == nil {
			s.log = slog.New(slog.DiscardHandler)
		}
	}
}

// check returns what can't work, and the cure.
func (s *settings) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("source: %w: "+format, append([]any{faas.ErrInput}, args...)...)
	}
	switch {
	case s.name == "":
		return bad("the driver has no name: give it a function by To, or a name by WithName")
	case s.concurrency < 1:
		return bad("WithConcurrency(%d): one item at least", s.concurrency)
	case s.size < 0 || s.size > 0 && s.window <= 0:
		return bad("WithBatch(%d, %v): one item at least, and a window to wait for more", s.size, s.window)
	case s.size > s.concurrency:
		return bad("WithBatch(%d): a batch has no more items than the %d of WithConcurrency", s.size, s.concurrency)
	case s.restart.shortest <= 0 || s.restart.longest < s.restart.shortest:
		return bad("WithRestart(%v, %v): the shortest wait is positive, and the longest is no shorter", s.restart.shortest, s.restart.longest)
	}
	return nil
}
