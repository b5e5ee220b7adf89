package faastest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/inproc/faas"
)

// New returns a router that ends with the test. It is a router like any other:
// its methods may be called concurrently.
//
//   - Its logs go to tb.Log, unless opts has a [faas.WithLogger].
//   - A cleanup of tb closes it, which settles and records every call, waits
//     until the handlers that outlived their calls have ended, and has meters
//     deliver what they hold back. Cleanups that were registered before New run
//     after that, and may take away what handlers use.
//   - Made inside a [testing/synctest] bubble it ends inside the bubble, and
//     virtual time goes on while it does: a handler that sleeps for an hour
//     after its deadline costs the test nothing.
//   - The cleanup fails the test, and names the functions, if a handler does not
//     end before go test's own -timeout is up; inside a bubble, if it is blocked
//     for good.
//   - tb is not used any more when the cleanup has ended.
//
// Like [faas.New], it panics with an error that names the cure if an option is
// impossible.
func New(tb testing.TB, opts ...faas.RouterOption) *faas.Router {
	tb.Helper()
	log := &testLog{tb: tb}
	own := faas.WithLogger(slog.New(slog.NewTextHandler(log, nil)))
	r := faas.New(append([]faas.RouterOption{own}, opts...)...)
	tb.Cleanup(func() {
		defer log.end()
		end(tb, r)
	})
	return r
}

// end closes r and waits for what Close leaves behind.
func end(tb testing.TB, r *faas.Router) {
	tb.Helper()
	_ = r.Close() // always nil
	ctx, cancel := context.WithTimeout(context.Background(), patience(tb))
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		tb.Errorf("faastest: the router did not end with the test: %v", err)
	}
}

// Outside a bubble, reportTime is what is left of go test's -timeout to report
// what did not end; inside, or without a -timeout, forever stands for a handler
// that will not end at all. A bubble skips that time.
const (
	reportTime = 5 * time.Second
	forever    = 100 * 365 * 24 * time.Hour
)

// patience is how long to wait for handlers. A bubble's clock has nothing to do
// with the real deadline, and T.Deadline panics there to say so.
func patience(tb testing.TB) (d time.Duration) {
	tb.Helper()
	defer func() {
		if recover() != nil {
			d = forever
		}
	}()
	if t, ok := tb.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := t.Deadline(); ok {
			return max(time.Until(deadline)-reportTime, 0)
		}
	}
	return forever
}

// testLog is a writer to tb.Log. A runaway's report may come on a goroutine of
// its own while the test ends, and tb.Log panics after the end.
type testLog struct {
	mu    sync.Mutex // guards ended; held while tb logs, so that end waits for it
	ended bool
	tb    testing.TB
}

func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.tb.Helper()
		l.tb.Log(strings.TrimSuffix(string(line), "\n"))
	}
	return len(line), nil
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}
