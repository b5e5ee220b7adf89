package faastest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/inproc/faas"
)

// New returns a router that ends with the test. Its methods may be called
// concurrently, like those of any router.
//
//   - It logs to tb.Log, unless opts has a [faas.WithLogger].
//   - A cleanup of tb closes the router: it settles and records every call, waits
//     for the handlers that outlived their calls, and flushes the meters. Cleanups
//     that were registered before New run after that, so they may release what
//     the handlers use.
//   - A router made inside a [testing/synctest] bubble ends inside the bubble.
//     Virtual time passes meanwhile: a handler that sleeps for an hour after its
//     deadline costs the test nothing.
//   - The cleanup fails the test, and names the functions, if a handler does not
//     end before go test's own -timeout; inside a bubble, if a handler is blocked
//     for ever.
//   - Jobs that have not ended are dropped with the router: that is no failure. See
//     [NewJobs] for how to run them.
//   - After the cleanup tb is not used.
//
// Like [faas.New], it panics if an option is invalid, with an error that names
// the cure.
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

// end closes r and waits for the handlers that outlived their calls, for which
// Close does not wait.
func end(tb testing.TB, r *faas.Router) {
	tb.Helper()
	_ = r.Close() // always nil
	ctx, cancel := context.WithTimeout(context.Background(), patience(tb))
	defer cancel()
	if err := r.Shutdown(ctx); err != nil && !isJobsLeft(err) {
		tb.Errorf("faastest: the router did not end with the test: %v", err)
	}
}

// isJobsLeft reports whether Shutdown's error only says that jobs are left.
func isJobsLeft(err error) bool {
	if e, ok := err.(*faas.Error); ok { //nolint:errorlint // Shutdown has made it
		err = e.Err
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(all.Unwrap(), func(err error) bool { return !isJobsLeft(err) })
	}
	_, left := err.(*faas.JobsLeft) //nolint:errorlint // an error that wraps one may say more
	return left
}

// A wait for handlers ends reportTime before go test's -timeout, which leaves
// time to report what did not end. Inside a bubble, or without a -timeout, it
// ends after forever. That costs a bubble nothing: its clock jumps there if all
// goroutines are blocked.
const (
	reportTime = 5 * time.Second
	forever    = 100 * 365 * 24 * time.Hour
)

// patience returns how long to wait for handlers. T.Deadline panics inside a
// bubble, because the bubble's clock has nothing to do with the test's deadline.
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

// testLog is a writer to tb.Log that drops what comes after end. The router may
// log from a goroutine of its own while the test ends (for example about a
// handler that outlives its call), and tb.Log panics after the end of the test.
type testLog struct {
	mu    sync.Mutex // guards ended; held during tb.Log, so that end waits for a line being written
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
