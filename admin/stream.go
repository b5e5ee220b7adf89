package admin

import "sync"

// live is what the streams of a handler share.
type live struct {
	mu      sync.Mutex // guards what follows
	streams int        // that are open
}

// open returns how many streams there are.
func (l *live) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams
}
