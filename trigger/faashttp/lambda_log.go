package faashttp

import (
	"encoding/base64"
	"sync"
)

// tailSize is how much of a log Lambda returns.
const tailSize = 4096

// logTail keeps the end of what is written to it. A handler may still write after
// its call is over, and from several goroutines, so t.mu guards every use of t.buf.
type logTail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

// Write keeps the end of p. It never fails.
func (t *logTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-tailSize):]...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	return len(p), nil
}

func (t *logTail) base64() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return base64.StdEncoding.EncodeToString(t.buf)
}
