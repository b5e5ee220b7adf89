package ledgersqlite_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/cost/ledgersqlite"
)

func TestAFilterChoosesByEndFunctionAndTenant(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	es := calls(3000) // several pages
	for i := range es {
		if i%50 == 0 {
			es[i].Tenant = ""
		}
	}
	require.NoError(t, l.Append(t.Context(), es))
	for name, f := range map[string]ledgersqlite.Filter{
		"all":                 {},
		"from":                {From: es[1500].Start.Add(es[1500].Duration)},
		"to":                  {To: es[1500].Start.Add(es[1500].Duration)},
		"both":                {From: es[100].Start, To: es[2900].Start},
		"nothing":             {From: es[100].Start, To: es[100].Start},
		"a function":          {Functions: []string{"f1"}},
		"functions":           {Functions: []string{"f0", "f2", "no such"}},
		"no function":         {Functions: []string{}},
		"nobody's":            {Tenants: []string{""}},
		"a tenant's":          {Tenants: []string{"tenant-3"}},
		"all of it":           {From: es[7].Start, To: es[2000].Start, Functions: []string{"f1", "f2"}, Tenants: []string{"tenant-1", ""}},
		"an injection":        {Functions: []string{"') OR 1=1 --"}},
		"before all times":    {To: time.Unix(0, -1)},
		"since before 1970":   {From: time.Unix(0, -1)},
		"in a zone elsewhere": {From: es[1500].Start.In(time.FixedZone("", 3600))},
	} {
		var want []faas.Execution
		for _, e := range es {
			end := e.Start.Add(e.Duration)
			if (f.From.IsZero() || !end.Before(f.From)) && (f.To.IsZero() || end.Before(f.To)) &&
				contains(f.Functions, e.Function) && contains(f.Tenants, e.Tenant) {
				want = append(want, stored(e))
			}
		}
		require.Equal(t, want, executions(t, l, f), name)
	}
	for _, err := range l.Records(t.Context(), ledgersqlite.Filter{From: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)}) {
		require.ErrorIs(t, err, ledgersqlite.ErrRecord, "and not an empty answer")
	}
}

func contains(names []string, name string) bool { return names == nil || slices.Contains(names, name) }

func TestRecordsThatEndAtTheSameInstantAreAllRead(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	es := make([]faas.Execution, 1700)
	for i := range es {
		es[i] = faas.Execution{ID: newID(), Memory: int64(i)}
		if i%2 == 0 {
			es[i].Start = epoch
		}
	}
	require.NoError(t, l.Append(t.Context(), es))
	require.ElementsMatch(t, es, executions(t, l, ledgersqlite.Filter{}))
	require.Len(t, executions(t, l, ledgersqlite.Filter{From: epoch}), len(es)/2, "without a time they are before all")
}

func TestAnIterationSeesTheLedgerAsItBegan(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	es := calls(1200)
	require.NoError(t, l.Append(t.Context(), es))
	n := 0
	for r, err := range l.Records(t.Context(), ledgersqlite.Filter{}) {
		require.NoError(t, err)
		require.Empty(t, r.Corrections)
		if n++; n%400 == 1 { // the body of the loop may write, because no lock is held
			later := call(5000)
			require.NoError(t, l.Append(t.Context(), []faas.Execution{later}))
			_, err := l.Correct(t.Context(), ledgersqlite.Correction{Invocation: es[1100].ID, Memory: 1, Why: "test"})
			require.NoError(t, err)
		}
	}
	require.Equal(t, 1200, n)
}

func TestAnIterationEndsWithTheLoopOrTheContext(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	require.NoError(t, l.Append(t.Context(), calls(1200)))
	for range l.Records(t.Context(), ledgersqlite.Filter{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range l.Records(ctx, ledgersqlite.Filter{}) {
		if err != nil {
			last = err
			continue // nothing follows the error
		}
		n++
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
	require.Less(t, n, 1200)
}

func TestCorrectionsAreRowsThatReferToWhatTheyCorrect(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	es := calls(4)
	require.NoError(t, l.Append(t.Context(), es))
	o := faas.Overrun{ID: es[1].ID, Function: "f1", Duration: time.Second, Memory: 100}
	l.RecordOverrun(t.Context(), o)

	var made []ledgersqlite.Correction
	for _, c := range []ledgersqlite.Correction{
		{Invocation: es[1].ID, Duration: time.Minute, Init: 2, Memory: -1, Why: "the clock was wrong"},
		{Invocation: es[1].ID, Duration: -time.Second, Why: "not that much"},
		{Invocation: es[2].ID, Calls: -1, Why: "a test of ours"},
		{Invocation: es[3].ID, Calls: -1, Why: "mistaken"},
		{Invocation: es[3].ID, Calls: 1, Why: "after all"},
		{Invocation: es[1].ID, Overrun: true, Duration: -time.Millisecond, Memory: 1, Why: "it slept"},
	} {
		before := time.Now()
		got, err := l.Correct(t.Context(), c)
		require.NoError(t, err)
		require.NotZero(t, got.ID)
		require.WithinRange(t, got.At, before.Add(-time.Second), time.Now().Add(time.Second))
		c.ID, c.At = got.ID, got.At
		require.Equal(t, c, got)
		made = append(made, got)
	}
	require.NoError(t, l.Close())
	l = openAt(t, path)
	require.Equal(t, made, collect(t, l.Corrections(t.Context())))
	require.Equal(t, []faas.Execution{stored(es[0]), stored(es[1]), stored(es[2]), stored(es[3])}, executions(t, l, ledgersqlite.Filter{}), "the records stay")

	rs := collect(t, l.Records(t.Context(), ledgersqlite.Filter{}))
	require.Empty(t, rs[0].Corrections)
	require.Equal(t, made[:2], rs[1].Corrections)
	want := stored(es[1])
	want.Duration += 59 * time.Second
	want.Init += 2
	want.Memory--
	got, ok := rs[1].Corrected()
	require.True(t, ok)
	require.Equal(t, want, got)
	_, ok = rs[2].Corrected()
	require.False(t, ok)
	_, ok = rs[3].Corrected()
	require.True(t, ok)
	os := collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{}))
	fixed, ok := os[0].Corrected()
	require.True(t, ok)
	require.Equal(t, faas.Overrun{ID: o.ID, Function: "f1", Duration: 999 * time.Millisecond, Memory: 101}, fixed)
	require.NoError(t, l.Verify(t.Context()))
}

func TestACorrectionIsStoredOnceAndMakesSense(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	e := call(1)
	require.NoError(t, l.Append(t.Context(), []faas.Execution{e}))
	c := ledgersqlite.Correction{ID: newID(), Invocation: e.ID, Memory: 5, Why: "once"}
	first, err := l.Correct(t.Context(), c)
	require.NoError(t, err)
	again, err := l.Correct(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, first, again, "with the time of the first")
	c.Memory++
	_, err = l.Correct(t.Context(), c)
	require.ErrorIs(t, err, ledgersqlite.ErrConflict)

	for what, c := range map[string]ledgersqlite.Correction{
		"says no reason":         {Invocation: e.ID, Memory: 1},
		"changes nothing":        {Invocation: e.ID, Why: "x"},
		"negative duration":      {Invocation: e.ID, Duration: -e.Duration - 1, Why: "x"},
		"negative init":          {Invocation: e.ID, Init: -e.Init - 1, Why: "x"},
		"negative memory":        {Invocation: e.ID, Memory: -e.Memory - 6, Why: "x"},
		"billed twice":           {Invocation: e.ID, Calls: 1, Why: "x"},
		"billed less than never": {Invocation: e.ID, Calls: -2, Why: "x"},
		"overflow":               {Invocation: e.ID, Duration: 1<<63 - 1, Why: "x"},
		"init of an overrun":     {Invocation: e.ID, Overrun: true, Init: 1, Why: "x"},
	} {
		_, err := l.Correct(t.Context(), c)
		require.ErrorIs(t, err, ledgersqlite.ErrCorrection, what)
	}
	for _, c := range []ledgersqlite.Correction{
		{Invocation: newID(), Memory: 1, Why: "x"},
		{Invocation: e.ID, Overrun: true, Memory: 1, Why: "x"},
	} {
		_, err := l.Correct(t.Context(), c)
		require.ErrorIs(t, err, ledgersqlite.ErrNotFound)
	}
	require.Len(t, collect(t, l.Corrections(t.Context())), 1)
	require.True(t, l.Reserve(), "none of them stops the ledger")
}

func TestStoredRecordsAreRatedByABookThatCameLater(t *testing.T) {
	t.Parallel()
	lambda, err := cost.Preset("aws-lambda-x86")
	require.NoError(t, err)
	run, err := cost.Preset("gcp-cloud-run")
	require.NoError(t, err)

	l, _ := open(t)
	live := cost.NewLedger(cost.Calendar{}, lambda, run) // counts by both books from the start
	es := calls(2500)
	for i, e := range es {
		e.Duration = time.Duration(i) * 137 * time.Microsecond
		es[i] = e
		live.Record(t.Context(), e)
	}
	require.NoError(t, l.Append(t.Context(), es))
	o := ledgersqlite.Overrun{Overrun: faas.Overrun{ID: es[0].ID, Function: "f0", Duration: time.Hour, Memory: 1 << 30}, At: epoch.Add(time.Hour)}
	require.NoError(t, l.AppendOverruns(t.Context(), []ledgersqlite.Overrun{o}))
	live.AddOverrun(o.At, o.Overrun)

	old := cost.NewLedger(cost.Calendar{}, lambda)
	old.Record(t.Context(), es[0])
	_, err = old.Statement(epoch, run)
	require.ErrorIs(t, err, cost.ErrUnrated, "a sum can't be rated by a book that it was not made for")

	month := live.Period(epoch)
	for _, book := range []*cost.Book{lambda, run} {
		later := cost.NewLedger(cost.Calendar{}, book)
		require.NoError(t, l.Replay(t.Context(), ledgersqlite.Filter{From: month.Start, To: month.End}, later))
		want, err := live.Statement(epoch, book)
		require.NoError(t, err)
		got, err := later.Statement(epoch, book)
		require.NoError(t, err)
		require.Equal(t, want.Total.List.String(), got.Total.List.String())
		require.Len(t, got.Rows, len(want.Rows))
	}

	_, err = l.Correct(t.Context(), ledgersqlite.Correction{Invocation: es[9].ID, Calls: -1, Why: "test"})
	require.NoError(t, err)
	_, err = l.Correct(t.Context(), ledgersqlite.Correction{Invocation: es[10].ID, Duration: 1000 * time.Hour, Why: "test"})
	require.NoError(t, err)
	_, err = l.Correct(t.Context(), ledgersqlite.Correction{Invocation: es[0].ID, Overrun: true, Calls: -1, Why: "test"})
	require.NoError(t, err)
	corrected, want := cost.NewLedger(cost.Calendar{}, lambda), cost.NewLedger(cost.Calendar{}, lambda)
	require.NoError(t, l.Replay(t.Context(), ledgersqlite.Filter{}, corrected))
	es[10].Duration += 1000 * time.Hour
	es[10].Start = es[10].Start.Add(-1000 * time.Hour) // still in the same month
	for i, e := range es {
		if i != 9 {
			want.Record(t.Context(), e)
		}
	}
	a, err := corrected.Statement(epoch, lambda)
	require.NoError(t, err)
	b, err := want.Statement(epoch, lambda)
	require.NoError(t, err)
	require.Equal(t, b.Total.List.String(), a.Total.List.String())
	require.Equal(t, b.Overruns.String(), a.Overruns.String())
}

func TestAReaderReadsWhileOthersWrite(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	r, err := ledgersqlite.OpenReader(path)
	require.NoError(t, err)
	defer r.Close()
	for i := range 5 {
		require.NoError(t, l.Append(t.Context(), calls(10)))
		require.Len(t, executions(t, r, ledgersqlite.Filter{}), 10*(i+1))
	}
	require.NoError(t, r.Verify(t.Context()))
}

func TestReconcileFindsWhatIsMissingAndWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	require.NoError(t, l.Append(t.Context(), calls(30))) // f0, f1, f2: ten each
	session := l.Counters().Session
	count := func(n, inFlight uint64) ledgersqlite.Counter {
		return ledgersqlite.Counter{Admitted: n, InFlight: inFlight}
	}
	type functions = map[string]ledgersqlite.Counter
	for name, c := range map[string]struct {
		functions functions
		all       ledgersqlite.Counter
		want      []string
	}{
		"equal":             {functions{"f0": count(10, 0), "f1": count(10, 0), "f2": count(10, 0)}, count(30, 0), nil},
		"in flight":         {functions{"f0": count(12, 2), "f1": count(12, 5), "f2": count(10, 0)}, count(34, 7), nil},
		"one removed":       {functions{"f0": count(10, 0), "f1": count(10, 0)}, count(30, 0), nil},
		"registered anew":   {functions{"f0": count(3, 0), "f1": count(10, 0), "f2": count(10, 0)}, count(30, 0), nil},
		"one record lost":   {functions{"f0": count(11, 0), "f1": count(10, 0), "f2": count(10, 0)}, count(31, 0), []string{"all functions: 31 admitted, 0 of them in flight, 30 recorded: 1 missing", "f0: 11 admitted, 0 of them in flight, 10 recorded: 1 missing"}},
		"a function's lost": {functions{"f0": count(10, 0), "f1": count(10, 0), "f2": count(10, 0), "g": count(5, 1)}, count(35, 1), []string{"all functions: 35 admitted, 1 of them in flight, 30 recorded: 4 missing", "g: 5 admitted, 1 of them in flight, 0 recorded: 4 missing"}},
		"lost and too many": {functions{"f0": count(9, 0), "f1": count(11, 0), "f2": count(10, 0)}, count(30, 0), []string{"f1: 11 admitted, 0 of them in flight, 10 recorded: 1 missing"}},
		"too many":          {functions{"f0": count(9, 0), "f1": count(10, 0), "f2": count(10, 0)}, count(29, 0), []string{"all functions: 29 admitted, 0 of them in flight, 30 recorded: 1 too many", "f0: 9 admitted, 0 of them in flight, 10 recorded: 1 too many"}},
	} {
		found, err := l.Reconcile(t.Context(), ledgersqlite.Counters{Session: session, Functions: c.functions, All: c.all})
		require.NoError(t, err)
		var got []string
		for _, d := range found {
			got = append(got, d.String())
		}
		require.Equal(t, c.want, got, name)
	}
	_, err := l.Reconcile(t.Context(), ledgersqlite.Counters{Session: session + 1})
	require.ErrorIs(t, err, ledgersqlite.ErrNotFound)
}

func TestSessionsAreCountedApart(t *testing.T) {
	t.Parallel()
	a, path := open(t)
	b := openAt(t, path)
	for i := range 6 {
		a.Record(t.Context(), call(3*i))
		b.Record(t.Context(), call(3*i+1))
		b.Record(t.Context(), call(3*i+1))
	}
	for l, want := range map[*ledgersqlite.Ledger]map[string]uint64{a: {"f0": 6}, b: {"f1": 12}} {
		got, err := l.Counts(t.Context(), l.Counters().Session)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestALedgerAgreesWithItsRouters(t *testing.T) {
	t.Parallel()
	l, _ := open(t, ledgersqlite.WithWriteBehind(10_000))
	var rs []*faas.Router
	for range 2 {
		r := faas.New(faas.WithMeter(l))
		rs = append(rs, r)
		for i := range 3 {
			f := faas.Register(r, fmt.Sprintf("f%d", i), func(_ context.Context, n int) (int, error) {
				if n%2 == 0 {
					panic(n)
				}
				return n, nil
			})
			for n := range 20 + i {
				_, _ = f.Invoke(t.Context(), n)
			}
		}
		require.NoError(t, r.Remove("f2"))
		require.NoError(t, r.Shutdown(t.Context()))
	}
	c := l.Counters(rs...)
	require.Equal(t, ledgersqlite.Counter{Admitted: 126}, c.All)
	require.Equal(t, ledgersqlite.Counter{Admitted: 42}, c.Functions["f1"])
	found, err := l.Reconcile(t.Context(), c)
	require.NoError(t, err)
	require.Empty(t, found)
}
