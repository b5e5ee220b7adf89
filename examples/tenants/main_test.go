package main

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// In virtual time the figures are exact, except for the order of calls that come at the same moment.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), nil, &out, t.Output()))
		t.Logf("\n%s", out.String())
		alone, fifo, fair := p99(t, out.String(), "alone"), p99(t, out.String(), "in one line with a"), p99(t, out.String(), "taking turns with a")
		require.Equal(t, 4*time.Millisecond, alone, "ten calls, eight slots")
		require.Greater(t, fifo, 500*time.Millisecond, "10,000 calls of 2 ms by eight, and a queue that stays full")
		// b gets half of the slots when a's calls free them: calls of a that began before b's keep
		// their slots until they end.
		require.LessOrEqual(t, fair, 2*alone+2*time.Millisecond)
		require.Regexp(t, `taking turns with a +\S+ +\S+ +0\n`, out.String(), "b is never refused")
		require.Regexp(t, `a: 20s recorded, 20s by its handlers' stopwatches, 0.00 % apart`, out.String())
		require.Regexp(t, `b: 20ms recorded, 20ms by its handlers' stopwatches, 0.00 % apart`, out.String())
	})
}

func p99(t *testing.T, out, name string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(name) + ` +\S+ +(\S+)`).FindStringSubmatch(out)
	require.Len(t, m, 2, "%s", name)
	d, err := time.ParseDuration(m[1])
	require.NoError(t, err)
	return d
}

func TestBadArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-slots", "0"}, {"-takes", "-1s"}, {"-flood", "0"}, {"-flood", "many"}} {
		require.Error(t, run(t.Context(), args, t.Output(), t.Output()), fmt.Sprint(args))
	}
}
