package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// printed is a writer for functions that may run at the same time.
type printed struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func TestEachTimerFiresWhenItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock begins in 2000
		var out printed
		require.NoError(t, run(5*time.Second, &out))
		text := out.text.String()
		assert.Contains(t, text, "in Berlin next at 2000-01-01 06:00:00 +0100 CET\n")
		assert.Equal(t, 1, strings.Count(text, "morning 00:00:00 by hand: true\n"), text)
		assert.Equal(t, 1, strings.Count(text, "once "), text)
		for _, second := range []string{"00:00:01", "00:00:02", "00:00:03", "00:00:04"} {
			assert.Equal(t, 1, strings.Count(text, "second "+second+" by hand: false\n"), text)
		}
	})
}
