// Package logtest has a log whose text tests can read.
package logtest

import (
	"bytes"
	"log/slog"
	"sync"
)

// Text keeps what is written to it. Any number of goroutines may use it. The zero value is empty.
type Text struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write appends p. It returns no error.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

// String returns what was written so far.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// JSON returns a logger that writes records of at least that level to t, each as one JSON object on a line.
func (t *Text) JSON(level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(t, &slog.HandlerOptions{Level: level}))
}
