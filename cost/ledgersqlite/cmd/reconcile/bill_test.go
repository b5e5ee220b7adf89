package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost/ledgersqlite"
)

// export is a made-up report with the column names of AWS's documentation: no report of a
// real account was available.
const export = "../../../testdata/cur-2.0.csv"

// ran returns the path of a ledger with all calls of the export except the last.
func ran(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "calls.db")
	l, err := ledgersqlite.Open(file)
	require.NoError(t, err)
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for _, e := range []faas.Execution{
		{Function: "resize", Start: noon, Duration: 999_500 * time.Microsecond},
		{Function: "resize", Start: noon, Duration: time.Second},
		{Function: "mail", Start: noon.AddDate(0, 0, 1), Duration: 240 * time.Millisecond},
		{Function: "mail", Start: noon.AddDate(0, 0, -20), Duration: time.Hour},
	} {
		e.ID, e.Memory = uuid.New(), 1<<30
		l.Record(t.Context(), e)
	}
	require.NoError(t, l.Close())
	return file
}

func TestALedgerAndAnAWSBill(t *testing.T) {
	t.Parallel()
	ledger := ran(t)
	data, err := os.ReadFile(export)
	require.NoError(t, err)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	zipped := filepath.Join(t.TempDir(), "cur.csv.gz")
	require.NoError(t, os.WriteFile(zipped, packed.Bytes(), 0o600))

	const forgotten = "2026-03-15 forgotten: 3.000000 request billed, 0.000000 metered: 3.000000 (all of it)\n"
	for _, file := range []string{export, zipped} {
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{"-cur", file, ledger}, nil, &out, &errs)
		require.Equal(t, different, status, errs.String())
		require.Equal(t, forgotten+"2026-03-15 mail: 0.250000 GB-s billed, 0.240000 metered: 0.010000 (4.17 %)\n", out.String())
		require.Equal(t, "not compared: EUC1-Lambda-Provisioned-GB-Second\nnot compared: Lambda-Edge-Request\n", errs.String())
	}
	for tolerance, want := range map[string]string{"5%": forgotten, "0.04": forgotten, "100%": "the ledger and the AWS bill agree\n"} {
		var out, errs bytes.Buffer
		run(t.Context(), []string{"-verify", "-tolerance", tolerance, "-book", "aws-lambda-arm", "-cur", export, ledger}, nil, &out, &errs)
		require.Equal(t, want, out.String(), tolerance)
	}
}

func TestAnAWSBillThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	ledger := ran(t)
	for says, args := range map[string][]string{
		"usage":                {"-cur", export},
		"usage: ":              {"-cur", export, ledger, "-"},
		"no such file":         {"-cur", export + "2", ledger},
		"malformed":            {"-cur", ledger, ledger},
		"from 0% to 100%":      {"-cur", export, "-tolerance", "some", ledger},
		"write a part":         {"-cur", export, "-tolerance", "101%", ledger},
		"1e999999999":          {"-cur", export, "-tolerance", "1e999999999%", ledger},
		"no preset book":       {"-cur", export, "-book", "lambda", ledger},
		"-cur":                 {"-curr", export, ledger},
		"no such file or dire": {"-cur", export, ledger + "2"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, trouble, run(t.Context(), args, nil, &out, &errs), says)
		require.Contains(t, errs.String(), says)
		require.Empty(t, out.String(), says)
	}
}
