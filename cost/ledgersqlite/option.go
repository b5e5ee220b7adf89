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
	// behind is set if Record does not wait for the disk. room is then how many unwritten
	// records there may be.
	behind    bool
	room      int
	failure   func(error)
	errorText func(error) string
	lazy      bool
	now       func() time.Time
	// sync is the value of SQLite's pragma synchronous: FULL, except in the benchmark that
	// shows its cost.
	sync string
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

// WithWriteBehind makes Record return when the record is accepted into a buffer of n records
// (n ≥ 1), and not when it is durable: a crash loses the records in the buffer. While the
// buffer is full the router refuses work. Each call holds a place from before its admission
// until its record is written. So n must be larger than the number of calls that wait and run
// at once.
func WithWriteBehind(n int) Option {
	return option(func(c *config) { c.behind, c.room = true, n })
}

// WithFailure sets the function that is called for failures that are returned to no caller:
// the ledger can't be written any more, Record was given a record that can't be stored, or a
// record came after Close. The error is an [*Error]. f is called on the goroutine on which
// the failure occurred, which waits for it, and may be called by several goroutines at once.
// It must not call Close, Flush or Retry. A panic in it is recovered and dropped. Without
// this option, failures are logged to slog.Default() at level Error.
func WithFailure(f func(err error)) Option {
	return option(func(c *config) { c.failure = f })
}

// WithErrorText stores the text that f returns for a record's error: for example, pass
// error.Error as f. f is called in Record, on the goroutine that ends the call, and must not
// block. If it panics the text is empty. Without this option no text is stored, since it may
// hold secrets of a function's callers.
func WithErrorText(f func(err error) string) Option {
	return option(func(c *config) { c.errorText = f })
}

// WithLazyCheck makes Open skip the check that reads every page of the file, whose time grows
// with the size of the file. Damage is then found when the damaged part is read, or by
// [Reader.Verify].
func WithLazyCheck() Option {
	return option(func(c *config) { c.lazy = true })
}
