package main

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// TestRun runs the program as it is, but in virtual time: the bubble's clock jumps to the next timer when every goroutine
// waits, so that the run takes no time and every number is exact.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		require.NoError(t, run(t.Context(), nil, &out, t.Output()))
		t.Logf("\n%s", out.String())
		require.Less(t, time.Since(start), 5*time.Second)

		tables := strings.Split(out.String(), "TOOL ")
		require.Len(t, tables, 3)
		//                      CALLS OK TIMEOUT PANIC REFUSED
		requireRow(t, tables[1], "search", 40, 40, 0, 0, 0)
		requireRow(t, tables[1], "slow", 40, 0, 40, 0, 0)
		requireRow(t, tables[1], "deaf", 40, 0, 40, 0, 0)
		requireRow(t, tables[1], "broken", 40, 0, 0, 40, 0)
		requireRow(t, tables[1], "busy", 40, 6, 0, 0, 34)
		//                      ADMITTED REFUSED IN FLIGHT QUEUED STUCK
		requireRow(t, tables[2], "search", 40, 0, 0, 0, 0)
		requireRow(t, tables[2], "slow", 40, 0, 0, 0, 0)
		requireRow(t, tables[2], "deaf", 40, 0, 0, 0, 40)
		requireRow(t, tables[2], "broken", 40, 0, 0, 0, 0)
		requireRow(t, tables[2], "busy", 6, 34, 0, 0, 0)

		require.Contains(t, out.String(), "deadlines: 40 of deaf.")
		require.Contains(t, out.String(), "found: are you well?")
		require.Contains(t, out.String(), "asks 30 times at once: 10 answers, 20 refusals after 0.0 ms at most, 10 runs of a handler")
		require.Contains(t, out.String(), "the 40 deaf calls have ended, 60.0 s of slot time")
	})
}

// TestAnswersInTime looks at the times behind the table, which in virtual time are what they should be, exactly.
func TestAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch := new(watch)
		router := newRouter(watch)
		for name, a := range callAll(t.Context(), router, 100) {
			require.NoError(t, a.unexpected, name)
			require.Zero(t, a.slowestRefusal, name)
			require.Equal(t, map[string]time.Duration{
				"broken": 0,
				"busy":   300 * time.Millisecond, // six calls, two at a time
				"deaf":   timeout,
				"search": 20 * time.Millisecond,
				"slow":   timeout,
			}[name], a.slowest, name)
		}
		require.NoError(t, waitForDeaf(t.Context(), router, watch, t.Output()))
		n, sum := watch.overran()
		require.Equal(t, 20, n)
		require.Equal(t, 20*(deafFor-timeout), sum)
	})
}

// TestRealTime makes the same calls by the real clock. The bounds are wide: a loaded machine is slow, too.
func TestRealTime(t *testing.T) {
	watch := new(watch)
	router := newRouter(watch)
	sum := 0
	for name, a := range callAll(t.Context(), router, 100) {
		require.NoError(t, a.unexpected)
		require.Equal(t, a.calls, a.ok+a.timeout+a.panicked+a.refused, name)
		require.Less(t, a.slowest, deafFor, name)
		sum += a.calls
	}
	require.Equal(t, 100, sum)
	require.NoError(t, waitForDeaf(t.Context(), router, watch, t.Output()))
}

// TestOverspend asks for all of a budget first, and then for more.
func TestOverspend(t *testing.T) {
	a, err := newAllowance()
	require.NoError(t, err)
	router := newRouter(new(watch), a.options()...)
	defer router.Close()
	require.NoError(t, a.overspend(t.Context(), router, t.Output()))
	require.EqualValues(t, trialCalls, a.ran.Load())
	info, err := router.Info("search")
	require.NoError(t, err)
	require.EqualValues(t, trialCalls, info.Admitted)
	require.EqualValues(t, trialAsks-trialCalls, info.Rejected[cost.ReasonBudget])

	_, err = call(faas.WithTenant(t.Context(), trial), router, "search", "once more?")
	require.ErrorIs(t, err, cost.ErrBudget)
	require.ErrorIs(t, err, faas.ErrDenied)
	_, err = call(t.Context(), router, "search", "and others?")
	require.NoError(t, err, "the budget is about one agent")
	require.EqualValues(t, trialCalls, a.ran.Load())
}

func TestBadFlag(t *testing.T) {
	require.Error(t, run(context.Background(), []string{"-calls", "many"}, new(bytes.Buffer), new(bytes.Buffer)))
}

// requireRow finds a row of a table and compares the numbers at its beginning.
func requireRow(t *testing.T, table, name string, want ...int) {
	t.Helper()
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= len(want) || fields[0] != name {
			continue
		}
		var got []int
		for _, field := range fields[1 : len(want)+1] {
			n, err := strconv.Atoi(field)
			require.NoError(t, err, line)
			got = append(got, n)
		}
		require.Equal(t, want, got, name)
		return
	}
	t.Fatalf("no row %q in\n%s", name, table)
}
