package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

func TestAGoodVersionTakesOverStepByStep(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, &out, t.Output()))
	t.Logf("\n%s", out.String())
	assert.Regexp(t, `1 +360 +0 *\n +2 +40 +0`, out.String(), "a tenth, exactly")
	assert.Regexp(t, `1 +200 +0 *\n +2 +200 +0`, out.String())
	assert.Regexp(t, `1 +0 +0 *\n +2 +400 +0`, out.String())
	assert.Contains(t, out.String(), "Version 2 is live.")
	assert.Contains(t, out.String(), "deploy moved price:live from {1: 100} to {1: 90, 2: 10}\n")
}

func TestABrokenVersionIsTakenBackAfterATenthOfTheCalls(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-broken", "-calls", "1000"}, &out, t.Output()))
	t.Logf("\n%s", out.String())
	assert.Regexp(t, `1 +900 +0 *\n +2 +100 +\d+`, out.String())
	assert.Contains(t, out.String(), "taken back")
	assert.NotContains(t, out.String(), "50 %")
	assert.Contains(t, out.String(), "deploy moved price:live from {1: 90, 2: 10} to {1: 100}\n")
}

func TestBadArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-calls", "1"}, {"-calls", "many"}} {
		require.Error(t, run(t.Context(), args, t.Output(), t.Output()), "%v", args)
	}
}
