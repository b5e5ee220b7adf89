package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "scaling.svg")
		var out bytes.Buffer
		began := time.Now()
		require.NoError(t, run(t.Context(), []string{"-out", file}, &out, t.Output()))
		t.Logf("%v\n%s", time.Since(began), out.String())
		require.Regexp(t, `0\.00s +0 to +1 +arrival`, out.String(), "the first call")
		require.Regexp(t, `to 1[2-9] +stable window`, out.String(), "40 calls a second of 0.3 s are 12, at 70 %% of use 18")
		require.Regexp(t, `1 to +0 +stable window.*\n\d+ decisions`, out.String(), "the silence")
		require.Less(t, time.Since(began), 25*time.Second)
		drawing, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(drawing), "capacity: instances")
	})
}

func TestAnInterruptEndsItWithTheDrawingSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "scaling.svg")
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		var out bytes.Buffer
		require.NoError(t, run(ctx, []string{"-out", file}, &out, t.Output()))
		require.FileExists(t, file)
	})
}

func TestBadArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-rate", "0"}, {"-rate", "NaN"}, {"-ramp", "-1s"}, {"-hold", "x"}} {
		require.Error(t, run(t.Context(), args, t.Output(), t.Output()))
	}
}
