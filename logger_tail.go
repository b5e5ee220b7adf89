package faas

import (
	"bytes"
	"sync"
)

// tailSize is how many bytes a LogTail keeps: as many as AWS Lambda returns of a log
// (docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, LogResult).
const tailSize = 4096

// LogTail keeps the last 4 KiB that were written to it, for example of a call's log: see
// [WithLogTail]. The zero value is empty and ready. All methods may be called
// concurrently. A LogTail must not be copied after its first use.
type LogTail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

// Write appends p and keeps the last 4 KiB. It never fails, and does not retain p.
func (t *LogTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-tailSize):]...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	return len(p), nil
}

// Bytes returns a copy of the kept bytes. They may begin in the middle of a line.
func (t *LogTail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf)
}
