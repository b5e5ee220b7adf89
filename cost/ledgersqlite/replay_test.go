package ledgersqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/cost/ledgersqlite"
)

// replayed returns the sums that a replay makes, or its error.
func replayed(tb testing.TB, r *ledgersqlite.Reader, f ledgersqlite.Filter) (string, error) {
	tb.Helper()
	sums := cost.NewLedger(cost.Calendar{})
	if err := r.Replay(tb.Context(), f, sums); err != nil {
		return "", err
	}
	calls, duration, init := map[bool]uint64{}, new(big.Int), new(big.Int)
	for _, u := range sums.Usage(epoch) {
		calls[u.Overrun] += u.Calls
		duration.Add(duration, u.Duration())
		init.Add(init, u.Init())
	}
	return fmt.Sprintf("%d calls and %d overruns of %s ns, init %s ns", calls[false], calls[true], duration, init), nil
}

// correctedLedger makes a ledger with records, overruns and corrections, and returns the
// sums of its replay.
func correctedLedger(t *testing.T, path string, n int) string {
	t.Helper()
	l, err := ledgersqlite.Open(path)
	require.NoError(t, err)
	es := calls(n)
	require.NoError(t, l.Append(t.Context(), es))
	var os []ledgersqlite.Overrun
	for i := range n / 10 {
		os = append(os, ledgersqlite.Overrun{Overrun: faas.Overrun{ID: es[i].ID, Function: es[i].Function, Tenant: es[i].Tenant, Duration: time.Second, Memory: 1 << 27}, At: epoch.Add(time.Minute)})
	}
	require.NoError(t, l.AppendOverruns(t.Context(), os))
	for i := range n / 20 {
		_, err := l.Correct(t.Context(), ledgersqlite.Correction{Invocation: es[7*i].ID, Duration: time.Duration(i+1) * time.Hour, Why: "it was longer"})
		require.NoError(t, err)
	}
	whole, err := replayed(t, l.Reader, ledgersqlite.Filter{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return whole
}

// After one byte of the file was changed, a replay either is complete or returns an error.
func TestADamagedLedgerMakesNoShortBill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "calls.db")
	whole := correctedLedger(t, path, 400)
	data := read(t, path)
	rng := rand.New(rand.NewPCG(7, 7))
	flips := 200
	switch {
	case os.Getenv("FAAS_SOAK") != "":
		flips = 10_000
	case testing.Short():
		flips = 40
	}
	refused, damaged := 0, filepath.Join(t.TempDir(), "damaged.db")
	for i := range flips {
		at := rng.IntN(len(data))
		was := data[at]
		data[at] ^= byte(1 + rng.IntN(255))
		require.NoError(t, os.WriteFile(damaged, data, 0o600))
		got, err := billOf(t, damaged, i%2 == 0)
		if err != nil {
			refused++
		} else {
			require.Equal(t, whole, got, "byte %d of %d, %#x instead of %#x", at, len(data), data[at], was)
		}
		data[at] = was
	}
	assert.Greater(t, refused, flips/5, "the others are of no use")
}

// billOf opens a ledger, with or without the check of the whole file, and replays it.
func billOf(t *testing.T, path string, check bool) (got string, err error) {
	t.Helper()
	var r *ledgersqlite.Reader
	var closeIt func() error
	if check {
		l, err := ledgersqlite.Open(path)
		if err != nil {
			return "", err
		}
		r, closeIt = l.Reader, l.Close
	} else {
		if r, err = ledgersqlite.OpenReader(path); err != nil {
			return "", err
		}
		closeIt = r.Close
	}
	got, err = replayed(t, r, ledgersqlite.Filter{})
	_ = closeIt() // a checkpoint may find the damage, and return an error
	return got, err
}

// forgetful removes an index from the schema, calls change and puts the index back. The index
// then lacks the rows that change has written.
func forgetful(t *testing.T, path, index string, change func()) {
	t.Helper()
	schema := func(f func(db *sql.DB)) {
		db := raw(t, path)
		db.SetMaxOpenConns(1)
		_, err := db.Exec(`PRAGMA writable_schema = ON`)
		require.NoError(t, err)
		f(db)
		require.NoError(t, db.Close())
	}
	var kind, name, table, text string
	var page int
	schema(func(db *sql.DB) {
		row := db.QueryRow(`SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = ?`, index)
		require.NoError(t, row.Scan(&kind, &name, &table, &page, &text))
		_, err := db.Exec(`DELETE FROM sqlite_schema WHERE name = ?`, index)
		require.NoError(t, err)
	})
	change()
	schema(func(db *sql.DB) {
		_, err := db.Exec(`INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)`, kind, name, table, page, text)
		require.NoError(t, err)
	})
}

func TestRowsThatAnIndexHasLostAreMissed(t *testing.T) {
	t.Parallel()
	for index, change := range map[string]func(l *ledgersqlite.Ledger, es []faas.Execution) error{
		"executions_ended": func(l *ledgersqlite.Ledger, _ []faas.Execution) error {
			return l.Append(context.Background(), calls(1))
		},
		"overruns_ended": func(l *ledgersqlite.Ledger, _ []faas.Execution) error {
			return l.AppendOverruns(context.Background(), []ledgersqlite.Overrun{{Overrun: faas.Overrun{ID: newID(), Duration: time.Second}, At: epoch}})
		},
		"corrections_invocation": func(l *ledgersqlite.Ledger, es []faas.Execution) error {
			_, err := l.Correct(context.Background(), ledgersqlite.Correction{Invocation: es[3].ID, Calls: -1, Why: "a test"})
			return err
		},
	} {
		t.Run(index, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "calls.db")
			l, err := ledgersqlite.Open(path)
			require.NoError(t, err)
			es := calls(20)
			require.NoError(t, l.Append(t.Context(), es))
			require.NoError(t, l.Close())
			forgetful(t, path, index, func() {
				l, err := ledgersqlite.Open(path, ledgersqlite.WithLazyCheck())
				require.NoError(t, err)
				require.NoError(t, change(l, es))
				require.NoError(t, l.Close())
			})
			l, err = ledgersqlite.Open(path, ledgersqlite.WithLazyCheck())
			require.NoError(t, err)
			defer l.Close()
			_, err = replayed(t, l.Reader, ledgersqlite.Filter{})
			require.ErrorIs(t, err, ledgersqlite.ErrCorrupt)
			require.ErrorIs(t, l.Verify(t.Context()), ledgersqlite.ErrCorrupt)
		})
	}
}

func TestAReplayCountsByJob(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	book, err := cost.Preset("aws-lambda-x86")
	require.NoError(t, err)
	good, bad := newID(), newID()
	run := func(job uuid.UUID, attempt int, outcome faas.Outcome) faas.Execution {
		return faas.Execution{
			ID: newID(), Function: "f", Job: job, Delivery: attempt, Attempt: attempt, Outcome: outcome,
			Start: epoch, Duration: time.Second, Memory: 1 << 30,
		}
	}
	es := []faas.Execution{run(good, 1, faas.Failed), run(good, 2, faas.OK), run(bad, 1, faas.TimedOut), run(newID(), 1, faas.OK)}
	require.NoError(t, l.Append(t.Context(), es))
	over := faas.Overrun{ID: es[2].ID, Function: "f", Job: bad, Attempt: 1, Duration: time.Second, Memory: 1 << 30}
	require.NoError(t, l.AppendOverruns(t.Context(), []ledgersqlite.Overrun{{Overrun: over, At: epoch}}))

	sums := cost.NewLedger(cost.Calendar{}, book)
	sums.CountJobs(100, nil)
	require.NoError(t, l.Replay(t.Context(), ledgersqlite.Filter{}, sums))
	used := map[cost.Spending]time.Duration{}
	for _, u := range sums.Usage(epoch) {
		used[u.Spent] += time.Duration(u.Duration().Int64())
	}
	require.Equal(t, map[cost.Spending]time.Duration{
		cost.OnFirstAttempts: 2 * time.Second, cost.OnRetries: time.Second, cost.OnDeadLetters: 2 * time.Second,
	}, used)
}

func TestAReplayIsWholeWhileRecordsComeIn(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	es := calls(600)
	require.NoError(t, l.Append(t.Context(), es[:100]))
	var writers sync.WaitGroup
	batches := 100
	if testing.Short() {
		batches = 25
	}
	writers.Go(func() {
		for i := range batches {
			assert.NoError(t, l.Append(context.Background(), es[100+5*i:105+5*i]))
			_, err := l.Correct(context.Background(), ledgersqlite.Correction{Invocation: es[i].ID, Duration: time.Second, Why: "a test"})
			assert.NoError(t, err)
			l.RecordOverrun(context.Background(), faas.Overrun{ID: es[i].ID, Duration: time.Second})
		}
	})
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		_, err := replayed(t, l.Reader, ledgersqlite.Filter{})
		require.NoError(t, err)
	}
}

func TestAFilterMayHaveAnyNumberOfNames(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	es := calls(600) // more than a page
	require.NoError(t, l.Append(t.Context(), es))
	require.NoError(t, l.AppendOverruns(t.Context(), []ledgersqlite.Overrun{{Overrun: faas.Overrun{ID: newID(), Tenant: "tenant-2"}, At: epoch}}))
	for _, n := range []int{2, 1001, 40_000} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("tenant-", 1+3*i) // 1, 4, …
		}
		for _, f := range []ledgersqlite.Filter{
			{Tenants: names},
			{Tenants: names, Functions: []string{"f1"}},
			{Functions: names},
			{Functions: names, Tenants: names},
			{Tenants: names, From: es[300].Start},
		} {
			var want []faas.Execution
			for _, e := range es {
				if contains(f.Tenants, e.Tenant) && contains(f.Functions, e.Function) && !e.Start.Add(e.Duration).Before(f.From) {
					want = append(want, stored(e))
				}
			}
			require.Equal(t, want, executions(t, l, f), n)
			got, err := replayed(t, l.Reader, f)
			require.NoError(t, err)
			require.Contains(t, got, fmt.Sprintf("%d calls and 0 overruns", len(want)), n)
			require.Empty(t, collect(t, l.Overruns(t.Context(), f)))
		}
	}
}
