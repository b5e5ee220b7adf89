package ledgersqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Option is an option of [Open].
type Option interface {
	apply(c *config)
}

type option func(c *config)

func (o option) apply(c *config) { o(c) }

type config struct {
	behind    bool // Record doesn't wait
	room      int  // of what is not written yet, if behind
	failure   func(error)
	errorText func(error) string
	lazy      bool
	now       func() time.Time
	sync      string // of SQLite; FULL but for a benchmark that shows why
}

func newConfig(opts []Option) (config, error) {
	c := config{failure: logFailure, now: time.Now, sync: "FULL"}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	if c.behind && c.room < 1 {
		return c, fmt.Errorf("WithWriteBehind needs room for at least one record; got %d", c.room)
	}
	if c.failure == nil {
		return c, errors.New("WithFailure needs a function; leave it out to have failures logged")
	}
	return c, nil
}

func logFailure(err error) { slog.Default().Error("the ledger of calls has failed", "error", err) }

// WithWriteBehind has Record return when the record is accepted into a buffer of n,
// n ≥ 1, and not when it is durable: a crash loses what is in the buffer. When it is
// full the router refuses work. Each call holds a place in it from before it is
// admitted, while it waits for its slot, and while it runs: n has to be larger than
// the number of calls that wait and run at once.
func WithWriteBehind(n int) Option {
	return option(func(c *config) { c.behind, c.room = true, n })
}

// WithFailure sets what is told of failures that no caller gets to see: when the
// ledger can't be written any more, when Record is given a record that can't be
// stored, and for each record that comes after Close. The error is an [*Error]. f is
// called on the goroutine that met the failure, by several at once, and delays it;
// it must not call Close, Flush or Retry, and a panic in it is caught and dropped. Default:
// an Error of slog.Default().
func WithFailure(f func(err error)) Option {
	return option(func(c *config) { c.failure = f })
}

// WithErrorText has the text of a record's error stored, as f gives it: pass
// error.Error to store what it says. f is called in Record, on the goroutine that
// settles the call, and must not block; a panic in it is caught, and the text is
// empty then. Without it no text is stored: it may hold secrets of a function's
// callers.
func WithErrorText(f func(err error) string) Option {
	return option(func(c *config) { c.errorText = f })
}

// WithLazyCheck leaves out what takes time in proportion to the size of the file: Open
// then doesn't read every page of it. Damage is found when it is met, or by
// [Reader.Verify].
func WithLazyCheck() Option {
	return option(func(c *config) { c.lazy = true })
}
