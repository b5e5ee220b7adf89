package ledgersqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost/ledgersqlite"
	"github.com/inproc/faas/faastest"
)

func TestMeterConforms(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]ledgersqlite.Option{
		"durable":      nil,
		"write behind": {ledgersqlite.WithWriteBehind(300)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faastest.TestMeter(t, func(t *testing.T) (faas.Meter, func() []faas.Execution) {
				l, _ := open(t, opts...)
				return l, func() []faas.Execution {
					require.NoError(t, l.Flush(context.Background()))
					return executions(t, l, ledgersqlite.Filter{})
				}
			})
		})
	}
}

func TestWhatIsRecordedIsReadBackToTheNanosecondAndByte(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	var want []faas.Execution
	odd := faas.Execution{ID: newID(), Tenant: "it's\x00 \xff\"", Labels: map[string]string{"": "\x00", "a": ""}, Duration: -1, Memory: -1, Start: epoch}
	for _, e := range append(calls(20), odd, faas.Execution{ID: newID()}) {
		l.Record(t.Context(), e)
		want = append(want, stored(e))
	}
	require.ElementsMatch(t, want, executions(t, l, ledgersqlite.Filter{}))
	require.NoError(t, l.Close())
	require.ElementsMatch(t, want, executions(t, openAt(t, path), ledgersqlite.Filter{}), "after another Open")
}

func TestARecordIsDurableWhenRecordReturns(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	for setting, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "fullfsync": "1"} {
		got, err := l.Pragma(setting)
		require.NoError(t, err)
		require.Equal(t, want, got, setting)
	}
	e := call(0)
	l.Record(t.Context(), e)
	var n int // another connection sees the row, so it is committed
	require.NoError(t, raw(t, path).QueryRow(`SELECT count(*) FROM executions WHERE id = ?`, e.ID[:]).Scan(&n))
	require.Equal(t, 1, n)
}

func TestTheSameRecordIsStoredOnce(t *testing.T) {
	t.Parallel()
	var told failures
	l, path := open(t, told.option())
	es := calls(100)
	for range 2 {
		require.NoError(t, l.Append(t.Context(), es))
		l.Record(t.Context(), es[7])
	}
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), len(es))
	o := faas.Overrun{ID: es[0].ID, Function: "f", Duration: time.Second}
	for range 2 { // the second RecordOverrun has another time
		l.RecordOverrun(t.Context(), o)
	}
	require.Len(t, collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{})), 1)
	require.Empty(t, told.all())

	require.NoError(t, l.Close())
	l = openAt(t, path)
	require.NoError(t, l.Append(t.Context(), es), "in another session")
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), len(es))
}

func TestTheSameIDWithOtherContentIsAnError(t *testing.T) {
	t.Parallel()
	change := map[string]func(e *faas.Execution){
		"function": func(e *faas.Execution) { e.Function = "g" },
		"version":  func(e *faas.Execution) { e.Version = "g" },
		"tenant":   func(e *faas.Execution) { e.Tenant = "" },
		"labels":   func(e *faas.Execution) { e.Labels = map[string]string{"team": "b"} },
		"attempt":  func(e *faas.Execution) { e.Attempt++ },
		"outcome":  func(e *faas.Execution) { e.Outcome++ },
		"start":    func(e *faas.Execution) { e.Start = e.Start.Add(1) },
		"queued":   func(e *faas.Execution) { e.Queued++ },
		"init":     func(e *faas.Execution) { e.Init++ },
		"duration": func(e *faas.Execution) { e.Duration++ },
		"memory":   func(e *faas.Execution) { e.Memory++ },
		"in":       func(e *faas.Execution) { e.BytesIn++ },
		"out":      func(e *faas.Execution) { e.BytesOut++ },
		"cold":     func(e *faas.Execution) { e.Cold = !e.Cold },
	}
	var told failures
	l, path := open(t, told.option())
	first := call(1)
	l.Record(t.Context(), first)
	for what, f := range change {
		e := first
		f(&e)
		err := l.Append(t.Context(), []faas.Execution{call(2), e, call(3)})
		require.ErrorIs(t, err, ledgersqlite.ErrConflict, what)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, first.ID.String())
		before := len(told.all())
		l.Record(t.Context(), e)
		require.Len(t, told.all(), before+1, what)
		require.ErrorIs(t, told.all()[before], ledgersqlite.ErrConflict, what)
	}
	require.Equal(t, []faas.Execution{stored(first)}, executions(t, l, ledgersqlite.Filter{}), "the first stays, and of Append all or none")
	require.True(t, l.Reserve(), "one that is refused does not stop the others")
	require.NoError(t, l.Err())

	o := faas.Overrun{ID: first.ID, Duration: 1}
	l.RecordOverrun(t.Context(), o)
	o.Duration++
	require.ErrorIs(t, l.AppendOverruns(t.Context(), []ledgersqlite.Overrun{{Overrun: o}}), ledgersqlite.ErrConflict)
}

func TestARecordThatCannotBeStoredIsTold(t *testing.T) {
	t.Parallel()
	var told failures
	l, _ := open(t, told.option(), ledgersqlite.WithWriteBehind(1))
	old := call(0)
	old.Start = time.Date(1066, 10, 14, 9, 0, 0, 0, time.UTC)
	require.True(t, l.Reserve())
	l.Record(t.Context(), old)
	require.Len(t, told.all(), 1)
	require.ErrorIs(t, told.all()[0], ledgersqlite.ErrRecord)
	require.True(t, l.Reserve(), "its place is free")
	l.Unreserve()
	require.ErrorIs(t, l.Append(t.Context(), []faas.Execution{call(1), old}), ledgersqlite.ErrRecord)
	require.Empty(t, executions(t, l, ledgersqlite.Filter{}))
}

func TestManyWritersShareCommits(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]ledgersqlite.Option{"durable": nil, "write behind": {ledgersqlite.WithWriteBehind(1 << 20)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told failures
			l, _ := open(t, append(opts, told.option())...)
			const writers, each = 16, 40
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						e := call(i)
						switch i % 4 {
						case 0:
							if err := l.Append(context.Background(), []faas.Execution{e, call(i)}); err != nil {
								t.Error(err)
							}
						case 1:
							l.Record(context.Background(), e)
							l.Record(context.Background(), e)
							l.RecordOverrun(context.Background(), faas.Overrun{ID: e.ID, Function: e.Function})
						case 2:
							l.Record(context.Background(), e)
							if _, err := l.Correct(context.Background(), ledgersqlite.Correction{Invocation: e.ID, Calls: -1, Why: "test"}); err != nil {
								t.Error(err)
							}
						default:
							l.Record(context.Background(), e)
						}
						if i == each/2 && w%8 == 0 {
							for _, err := range l.Records(context.Background(), ledgersqlite.Filter{Functions: []string{"f1"}}) {
								if err != nil {
									t.Error(err)
								}
							}
						}
					}
				})
			}
			wg.Wait()
			require.NoError(t, l.Flush(t.Context()))
			require.Empty(t, told.all())
			require.Len(t, executions(t, l, ledgersqlite.Filter{}), writers*each*5/4)
			require.Len(t, collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{})), writers*each/4)
			require.Len(t, collect(t, l.Corrections(t.Context())), writers*each/4)
			require.NoError(t, l.Verify(t.Context()))
		})
	}
}

// fillDisk makes the disk full, so that fifty records at once don't fit.
func fillDisk(t *testing.T, l *ledgersqlite.Ledger) {
	t.Helper()
	require.NoError(t, l.Flush(t.Context()))
	require.NoError(t, l.Full(1)) // SQLite uses the present size if the bound is smaller
	for i := 0; l.Append(t.Context(), calls(50)) == nil; i++ {
		require.Less(t, i, 100, "the disk doesn't get full")
	}
	require.Error(t, l.Err())
}

func TestAFullDiskRefusesWorkAndLosesNothing(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]ledgersqlite.Option{"durable": nil, "write behind": {ledgersqlite.WithWriteBehind(10)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told failures
			l, path := open(t, append(opts, told.option())...)
			require.True(t, l.Reserve(), "for a call that runs while it happens")
			fillDisk(t, l)
			there := len(executions(t, l, ledgersqlite.Filter{}))

			require.Len(t, told.all(), 1)
			require.ErrorContains(t, told.all()[0], path)
			require.ErrorContains(t, told.all()[0], "full")
			require.False(t, l.Reserve(), "no more work")
			running := call(1)
			l.Record(t.Context(), running) // returns although the disk is full
			l.RecordOverrun(t.Context(), faas.Overrun{ID: running.ID, Duration: 5})
			es, os := l.Unstored()
			require.Equal(t, []faas.Execution{stored(running)}, es)
			require.Len(t, os, 1)
			require.Equal(t, l.Err(), l.Flush(t.Context()))
			require.Error(t, l.Append(t.Context(), calls(1)))

			require.NoError(t, l.Retry(t.Context()), "one record may fit where fifty don't")
			require.NoError(t, l.Full(0))
			require.NoError(t, l.Retry(t.Context()))
			require.NoError(t, l.Err())
			es, os = l.Unstored()
			require.Empty(t, es)
			require.Empty(t, os)
			require.True(t, l.Reserve())
			require.Len(t, executions(t, l, ledgersqlite.Filter{}), there+1)
			require.Len(t, collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{})), 1)
			require.NoError(t, l.Verify(t.Context()))
		})
	}
}

// fillDiskForGood leaves no room for a single record.
func fillDiskForGood(t *testing.T, l *ledgersqlite.Ledger) {
	t.Helper()
	fillDisk(t, l)
	for i := 0; ; i++ {
		require.NoError(t, l.Retry(t.Context()))
		if l.Append(t.Context(), []faas.Execution{call(i)}) != nil {
			return
		}
		require.Less(t, i, 1000)
	}
}

func TestCloseTellsWhatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	var told failures
	l, path := open(t, told.option())
	fillDiskForGood(t, l)
	lost := call(0)
	l.Record(t.Context(), lost)
	err := l.Close()
	require.ErrorContains(t, err, "1 records and 0 overruns are not stored")
	require.ErrorContains(t, err, path)
	es, _ := l.Unstored()
	require.Equal(t, []faas.Execution{stored(lost)}, es)
	require.NoError(t, l.Close(), "idempotent")

	again := openAt(t, path)
	require.NoError(t, again.Append(t.Context(), es), "saved from there")
	require.NoError(t, again.Verify(t.Context()))
}

// In TestFlushWaitsOnlyForWhatWasAcceptedBefore the buffer is refilled as fast as it is
// written, until Flush has returned: the ledger is never idle.
func TestFlushWaitsOnlyForWhatWasAcceptedBefore(t *testing.T) {
	t.Parallel()
	l, _ := open(t, ledgersqlite.WithWriteBehind(5000)) // more than a commit takes
	first := calls(100)
	l.RecordBatch(t.Context(), first)
	var flushed atomic.Bool
	var writers sync.WaitGroup
	full := make(chan struct{})
	tell := sync.OnceFunc(func() { close(full) })
	for range 2 {
		writers.Go(func() {
			for i := 0; !flushed.Load(); i++ {
				if l.Reserve() {
					l.Record(context.Background(), call(i))
				} else {
					tell()
					runtime.Gosched()
				}
			}
		})
	}
	<-full
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := l.Flush(ctx)
	flushed.Store(true)
	writers.Wait()
	require.NoError(t, err)
	stored := map[uuid.UUID]bool{}
	for _, e := range executions(t, l, ledgersqlite.Filter{}) {
		stored[e.ID] = true
	}
	for _, e := range first {
		require.True(t, stored[e.ID])
	}
}

// Calls of Flush begin and give up while records come, fail and are tried again.
func TestFlushesEndWhileTheLedgerFailsAndRecovers(t *testing.T) {
	t.Parallel()
	l, _ := open(t, ledgersqlite.WithWriteBehind(1<<20))
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 50 {
				l.Record(context.Background(), call(i))
				ctx, cancel := context.WithCancel(context.Background())
				if w%2 == 0 {
					go cancel()
				}
				if err := l.Flush(ctx); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.NoError(t, l.Flush(t.Context()))
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), 200)
	fillDisk(t, l)
	for range 4 {
		all.Go(func() {
			l.Record(context.Background(), call(1))
			_ = l.Retry(context.Background())
			_ = l.Flush(context.Background())
		})
	}
	all.Wait()
	require.NoError(t, l.Full(0))
	require.NoError(t, l.Retry(t.Context()))
	es, os := l.Unstored()
	require.Empty(t, es)
	require.Empty(t, os)
}

func TestClosingFlushes(t *testing.T) {
	t.Parallel()
	l, path := open(t, ledgersqlite.WithWriteBehind(10_000))
	for i := range 5000 {
		l.Record(t.Context(), call(i))
	}
	require.NoError(t, l.Close())
	require.NoFileExists(t, path+"-wal", "all is in one file")
	require.Len(t, executions(t, openAt(t, path), ledgersqlite.Filter{}), 5000)
}

func TestARecordAfterCloseIsReported(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]ledgersqlite.Option{"durable": nil, "write behind": {ledgersqlite.WithWriteBehind(10)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told failures
			l, _ := open(t, append(opts, told.option())...)
			require.NoError(t, l.Close())
			require.False(t, l.Reserve())
			late := call(0)
			l.Record(t.Context(), late)
			l.RecordOverrun(t.Context(), faas.Overrun{ID: late.ID})
			require.Len(t, told.all(), 2)
			for _, err := range told.all() {
				require.ErrorIs(t, err, ledgersqlite.ErrClosed)
				require.ErrorContains(t, err, late.ID.String())
			}
			require.ErrorIs(t, l.Err(), ledgersqlite.ErrClosed)
			require.ErrorIs(t, l.Append(t.Context(), calls(1)), ledgersqlite.ErrClosed)
			es, os := l.Unstored()
			require.Equal(t, []faas.Execution{stored(late)}, es)
			require.Len(t, os, 1)
			for _, err := range l.Records(t.Context(), ledgersqlite.Filter{}) {
				require.Error(t, err)
			}
		})
	}
}

func TestAHookThatPanicsChangesNothing(t *testing.T) {
	t.Parallel()
	l, _ := open(t, ledgersqlite.WithFailure(func(error) { panic("hook") }), ledgersqlite.WithErrorText(func(error) string { panic("text") }))
	e := call(1)
	l.Record(t.Context(), e)
	e.Memory++
	l.Record(t.Context(), e) // a conflict, found by the writer's goroutine
	e.ID = newID()
	l.Record(t.Context(), e)
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), 2)
}

func TestAppendHeedsItsContext(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	db := raw(t, path)
	_, err := db.Exec(`BEGIN IMMEDIATE`) // another program writes
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	es := calls(1)
	require.ErrorIs(t, l.Append(ctx, es), context.Canceled)
	require.ErrorIs(t, l.Flush(ctx), context.Canceled)
	_, err = db.Exec(`COMMIT`)
	require.NoError(t, err)
	require.NoError(t, l.Flush(t.Context()))
	require.NoError(t, l.Append(t.Context(), es))
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), 1)
}

func TestTextsOfErrorsAreStoredOnRequestOnly(t *testing.T) {
	t.Parallel()
	secret := faas.Execution{ID: newID(), Outcome: faas.Failed, Err: errors.New("password is 1234")}
	l, path := open(t)
	l.Record(t.Context(), secret)
	require.NoError(t, l.Close())
	require.NotContains(t, string(read(t, path)), "1234")

	l, _ = open(t, ledgersqlite.WithErrorText(error.Error))
	l.Record(t.Context(), secret)
	require.EqualError(t, executions(t, l, ledgersqlite.Filter{})[0].Err, "password is 1234")
}

func TestStoredErrorsAreTheSentinelsOfTheirOutcomes(t *testing.T) {
	t.Parallel()
	for outcome, sentinel := range map[faas.Outcome]error{faas.TimedOut: faas.ErrTimeout, faas.Exited: faas.ErrExited, faas.InitFailed: faas.ErrInit} {
		e, err := ledgersqlite.RoundTrip(faas.Execution{Outcome: outcome})
		require.NoError(t, err)
		require.ErrorIs(t, e.Err, sentinel)
		require.ErrorContains(t, e.Err, outcome.String())
	}
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for cure, opt := range map[string]ledgersqlite.Option{
		"at least one record": ledgersqlite.WithWriteBehind(0),
		"leave it out":        ledgersqlite.WithFailure(nil),
	} {
		path := filepath.Join(t.TempDir(), "calls.db")
		_, err := ledgersqlite.Open(path, nil, opt)
		require.ErrorContains(t, err, cure)
		require.NoFileExists(t, path)
	}
}

func TestARouterIsRefusedWorkThatCouldNotBeRecorded(t *testing.T) {
	t.Parallel()
	var told failures
	l, _ := open(t, told.option())
	r := faastest.New(t, faas.WithMeter(l))
	var ran atomic.Int32
	f := faas.Register(r, "f", func(context.Context, int) (int, error) { ran.Add(1); return 0, nil })
	_, err := f.Invoke(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), 1, "when Invoke returns")

	fillDisk(t, l)
	_, err = f.Invoke(t.Context(), 1)
	refused := (*faas.Error)(nil)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, faas.ReasonMeterFull, refused.Reason)
	require.EqualValues(t, 1, ran.Load())

	require.NoError(t, l.Full(0))
	require.NoError(t, l.Retry(t.Context()))
	_, err = f.Invoke(t.Context(), 1)
	require.NoError(t, err)
}

func TestShutdownWritesWhatIsBehind(t *testing.T) {
	t.Parallel()
	l, path := open(t, ledgersqlite.WithWriteBehind(100_000))
	r := faas.New(faas.WithMeter(l))
	f := faas.Register(r, "f", func(_ context.Context, i int) (int, error) {
		if i%3 == 0 {
			return 0, fmt.Errorf("no %d", i)
		}
		return i, nil
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				_, _ = f.Invoke(context.Background(), i)
			}
		})
	}
	wg.Wait()
	require.NoError(t, r.Shutdown(t.Context()))
	var n int
	require.NoError(t, raw(t, path).QueryRow(`SELECT count(*) FROM executions`).Scan(&n))
	require.Equal(t, 4000, n)
	found, err := l.Reconcile(t.Context(), l.Counters(r))
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestABatchIsDurableWhenItsRecordBatchReturns(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	es := calls(5000) // more than one commit
	l.RecordBatch(t.Context(), es)
	l.RecordBatch(t.Context(), nil)
	var n int
	require.NoError(t, raw(t, path).QueryRow(`SELECT count(*) FROM executions`).Scan(&n))
	require.Equal(t, len(es), n)
}

func TestARecordOfABatchThatCannotBeStoredKeepsOutNoOther(t *testing.T) {
	t.Parallel()
	var told failures
	l, _ := open(t, told.option())
	es := calls(4)
	l.Record(t.Context(), es[1])
	es[1].Memory++                                            // a different record with the same id
	es[2].Start = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) // more nanoseconds than 64 bits hold
	l.RecordBatch(t.Context(), es)
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), 3)
	require.Len(t, told.all(), 2)
	require.ErrorIs(t, errors.Join(told.all()...), ledgersqlite.ErrConflict)
	require.ErrorIs(t, errors.Join(told.all()...), ledgersqlite.ErrRecord)
}

func TestABatchAfterCloseIsUnstored(t *testing.T) {
	t.Parallel()
	var told failures
	l, _ := open(t, told.option())
	require.NoError(t, l.Close())
	l.RecordBatch(t.Context(), calls(3))
	late, _ := l.Unstored()
	require.Len(t, late, 3)
	require.Len(t, told.all(), 3)
	require.ErrorIs(t, told.all()[2], ledgersqlite.ErrClosed)
}

func TestBehindABufferEverythingArrives(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	b := faas.Buffered(l, 100)
	for i := range 50 {
		require.True(t, b.Reserve())
		b.Record(t.Context(), call(i))
		b.RecordOverrun(t.Context(), faas.Overrun{ID: uuid.Must(uuid.NewV7())})
	}
	require.NoError(t, b.Close())
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), 50)
	require.Len(t, collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{})), 50)
}
