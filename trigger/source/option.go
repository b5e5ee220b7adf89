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
	size        int // the items of a batch; 0: without WithBatch
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

// To names the function that the items start, with or without a version. The name is resolved
// again for each delivery. An item with a Function of its own starts that one instead.
func To(function string) Option { return func(s *settings) { s.function = function } }

// WithName names the driver. The name appears in Info, in logs, as the Door of its calls, and
// goes into the IDs of its jobs. So two drivers need different names if their items may have
// the same IDs and are different items. The name must be the same in each run of the program.
// The default is the function of [To].
func WithName(name string) Option { return func(s *settings) { s.name = name } }

// WithFilter leaves out the items whose payload does not match: they are acknowledged and start
// nothing. A payload that is not a JSON object matches no filter. If there are several filters,
// an item must match one of them, as on AWS Lambda.
func WithFilter(p ...pattern.Pattern) Option {
	return func(s *settings) { s.filters = append(s.filters, p...) }
}

// WithConcurrency sets how many items may be under way, which means taken from the source and
// not acknowledged. The default is 64. Items that wait for their batch are under way too, so n
// should be several times the size of a batch. How many calls run at once is limited by the
// function, see faas.WithConcurrency.
func WithConcurrency(n int) Option { return func(s *settings) { s.concurrency = n } }

// WithBatch collects the items for To's function in batches. A batch is sent when it has size
// items, when one more item would make it larger than an input of the function may be (see
// faas.WithLimits), or when its first item has waited for window, which must be positive. The
// function must have been registered by [RegisterBatch]; without WithBatch it gets batches of
// one item. All items of a batch have the same tenant and priority. Of an Item, a batch uses
// only ID, Payload, Tenant and Priority, and nothing of Send's context. An item that comes
// again may run again in another batch.
func WithBatch(size int, window time.Duration) Option {
	return func(s *settings) { s.size, s.window = size, window }
}

// WithRestart sets how long a driver waits before it starts a failed source again: first the
// shortest time, then twice as long after each further failure, up to the longest. When the
// source has run for the longest time, the waits begin with the shortest again. The same waits
// apply between tries to give a job to a queue that has no room. The defaults are a second and
// a minute.
func WithRestart(shortest, longest time.Duration) Option {
	return func(s *settings) { s.restart = backoff{shortest, longest} }
}

// WithLog sets the logger for failures of the source and rejected items. The default is
// slog.Default(). Nil means that nothing is logged.
func WithLog(l *slog.Logger) Option {
	return func(s *settings) {
		if s.log = l; l == nil {
			s.log = slog.New(slog.DiscardHandler)
		}
	}
}

// check returns an error that says how to mend the settings, if they can't work.
func (s *settings) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("source: %w: "+format, append([]any{faas.ErrInput}, args...)...)
	}
	switch {
	case s.name == "":
		return bad("the driver has no name: give it a function by To, or a name by WithName")
	case s.concurrency < 1:
		return bad("WithConcurrency(%d): must be at least 1", s.concurrency)
	case s.size < 0 || s.size > 0 && s.window <= 0:
		return bad("WithBatch(%d, %v): the size must be at least 1, and the window positive", s.size, s.window)
	case s.size > s.concurrency:
		return bad("WithBatch(%d): the size must not be greater than the %d of WithConcurrency", s.size, s.concurrency)
	case s.restart.shortest <= 0 || s.restart.longest < s.restart.shortest:
		return bad("WithRestart(%v, %v): the shortest wait must be positive, and the longest not shorter than that", s.restart.shortest, s.restart.longest)
	}
	return nil
}
