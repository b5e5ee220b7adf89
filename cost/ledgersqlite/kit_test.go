package ledgersqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost/ledgersqlite"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// open opens a ledger in a directory of its own, or at a path, and closes it at the end
// of the test.
func open(tb testing.TB, opts ...ledgersqlite.Option) (l *ledgersqlite.Ledger, path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "calls.db")
	return openAt(tb, path, opts...), path
}

func openAt(tb testing.TB, path string, opts ...ledgersqlite.Option) *ledgersqlite.Ledger {
	tb.Helper()
	l, err := ledgersqlite.Open(path, opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { l.Close() })
	return l
}

// failures collects the errors of WithFailure.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) option() ledgersqlite.Option {
	return ledgersqlite.WithFailure(func(err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.errs = append(f.errs, err)
	})
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]error(nil), f.errs...)
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// call returns the i-th of a series of different records.
func call(i int) faas.Execution {
	e := faas.Execution{
		ID: newID(), Function: fmt.Sprintf("f%d", i%3), Version: "v1", Tenant: fmt.Sprintf("tenant-%d", i%5),
		Labels: map[string]string{"team": "a", "n": "ü"}, Attempt: 1 + i%2, Outcome: faas.Outcome(i % 8),
		Start: epoch.Add(time.Duration(i) * time.Second), Queued: time.Millisecond, Init: time.Duration(i),
		Duration: time.Duration(i+1) * time.Microsecond, Memory: 128 << 20, BytesIn: i, BytesOut: 2 * i, Cold: i%2 == 1,
	}
	if e.Outcome != faas.OK {
		e.Err = fmt.Errorf("failure %d", i)
	}
	if i%4 == 3 {
		e.Origin = faas.Origin{Trigger: "http", Door: "lambda", RequestID: fmt.Sprint("r-", i), Timeout: time.Minute, Key: "ü", ReplayOf: e.ID}
		e.Job, e.Delivery, e.FirstByte = newID(), 1+i%3, time.Duration(i)
	}
	return e
}

func calls(n int) []faas.Execution {
	es := make([]faas.Execution, n)
	for i := range es {
		es[i] = call(i)
	}
	return es
}

// stored returns a record in the form in which it is read back, if no text of errors is
// stored.
func stored(e faas.Execution) faas.Execution {
	e.Start = e.Start.UTC().Round(0)
	if e.Outcome != faas.OK {
		e.Err = &ledgersqlite.StoredError{Outcome: e.Outcome}
	}
	return e
}

func collect[T any](tb testing.TB, seq iter.Seq2[T, error]) (all []T) {
	tb.Helper()
	for v, err := range seq {
		require.NoError(tb, err)
		all = append(all, v)
	}
	return all
}

func executions(tb testing.TB, l interface {
	Records(ctx context.Context, f ledgersqlite.Filter) iter.Seq2[ledgersqlite.Record, error]
}, f ledgersqlite.Filter,
) (all []faas.Execution) {
	tb.Helper()
	for _, r := range collect(tb, l.Records(tb.Context(), f)) {
		all = append(all, r.Execution)
	}
	return all
}

// raw opens the file as another program would.
func raw(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", "file://"+path+"?_pragma=busy_timeout(5000)")
	require.NoError(tb, err)
	tb.Cleanup(func() { db.Close() })
	return db
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	require.NoError(tb, err)
	return data
}
