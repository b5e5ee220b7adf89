package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost/ledgersqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// host runs a program that leaves a ledger and its counters.
func host(t *testing.T) (ledger string, counters ledgersqlite.Counters) {
	t.Helper()
	ledger = filepath.Join(t.TempDir(), "calls.db")
	l, err := ledgersqlite.Open(ledger)
	require.NoError(t, err)
	r := faas.New(faas.WithMeter(l))
	f := faas.Register(r, "f", func(_ context.Context, n int) (int, error) { return n, nil })
	for n := range 7 {
		_, err := f.Invoke(t.Context(), n)
		require.NoError(t, err)
	}
	require.NoError(t, r.Shutdown(t.Context()))
	counters = l.Counters(r)
	require.NoError(t, l.Close())
	return ledger, counters
}

func reconcileWith(t *testing.T, c ledgersqlite.Counters, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	data, err := json.Marshal(c)
	require.NoError(t, err)
	var out, errs bytes.Buffer
	status = run(t.Context(), args, bytes.NewReader(data), &out, &errs)
	return status, out.String(), errs.String()
}

func TestALedgerThatAgrees(t *testing.T) {
	t.Parallel()
	ledger, c := host(t)
	status, stdout, stderr := reconcileWith(t, c, "-verify", ledger, "-")
	require.Equal(t, "the ledger and the scheduler agree\n", stdout)
	require.Empty(t, stderr)
	require.Equal(t, same, status)

	data, err := json.Marshal(c)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "counters.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	status, _, _ = reconcileWith(t, c, ledger, file)
	require.Equal(t, same, status)
}

func TestALedgerThatDiffers(t *testing.T) {
	t.Parallel()
	ledger, c := host(t)
	c.All.Admitted += 2
	c.Functions["f"] = c.All
	status, stdout, _ := reconcileWith(t, c, ledger, "-")
	require.Equal(t, "all functions: 9 admitted, 0 of them in flight, 7 recorded: 2 missing\nf: 9 admitted, 0 of them in flight, 7 recorded: 2 missing\n", stdout)
	require.Equal(t, different, status)
}

func TestALedgerThatIsInUse(t *testing.T) {
	t.Parallel()
	ledger, c := host(t)
	l, err := ledgersqlite.Open(ledger)
	require.NoError(t, err)
	defer l.Close()
	l.Record(t.Context(), faas.Execution{ID: uuid.New()})
	status, stdout, stderr := reconcileWith(t, c, ledger, "-")
	require.Equal(t, same, status, stdout+stderr)
}

func TestWhatCannotBeTold(t *testing.T) {
	t.Parallel()
	ledger, c := host(t)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("text\n", 100)), 0o600))
	old := c
	old.Session += 5
	for name, try := range map[string]struct {
		c    ledgersqlite.Counters
		args []string
		says string
	}{
		"no arguments":        {c, nil, "usage"},
		"an unknown flag":     {c, []string{"-x", ledger, "-"}, "-x"},
		"no ledger":           {c, []string{text + "2", "-"}, "no such file"},
		"a damaged ledger":    {c, []string{text, "-"}, "damaged"},
		"no counters":         {c, []string{ledger, text + "2"}, "no such file"},
		"other counters":      {c, []string{ledger, text}, "the counters in " + text},
		"another's counters":  {old, []string{ledger, "-"}, "session 6"},
		"too many arguments":  {c, []string{ledger, "-", "-"}, "usage"},
		"counters of nothing": {ledgersqlite.Counters{}, []string{ledger, "-"}, "session 0"},
	} {
		status, stdout, stderr := reconcileWith(t, try.c, try.args...)
		require.Equal(t, trouble, status, name)
		require.Contains(t, stderr, try.says, name)
		require.Empty(t, stdout, name)
	}
}
