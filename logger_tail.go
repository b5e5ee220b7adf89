package faas

import (
	"bytes"
	"sync"
)

// tailSize is how much a LogTail keeps: as much as AWS Lambda returns of a log
// (docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, LogResult).
const tailSize = 4096

// LogTail keeps the last 4 KiB of what is written to it, for example of the log of a
// call: see [WithLogTail]. The zero value is empty and ready. All methods may be called
// concurrently. It must not be copied once it is used.
type LogTail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

// Write keeps the end of p. It never fails, and does not keep p.
func (t *LogTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-tailSize):]...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	return len(p), nil
}

// Bytes returns a copy of what is kept. It begins with the rest of a line if what came
// before did not fit.
func (t *LogTail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf)
}
