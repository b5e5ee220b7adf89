package webhook

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// digest is what a message is remembered by.
type digest [sha256.Size]byte

// memory knows which messages came, each until nobody could send it again.
type memory struct {
	room int
	mu   sync.Mutex // guards seen
	seen map[digest]*sighting
}

type sighting struct {
	until time.Time
	done  bool
}

type state int

const (
	fresh   state = iota // it is ours to handle, until forget or done
	handled              // somebody has
	running              // somebody does
	full                 // it can't be remembered
)

// enter asks for a message at a moment, and remembers it until another.
func (m *memory) enter(d digest, now, until time.Time) state {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.seen[d]; s != nil && (!s.done || now.Before(s.until)) {
		if s.done {
			return handled
		}
		return running
	}
	if len(m.seen) >= m.room {
		maps.DeleteFunc(m.seen, func(_ digest, s *sighting) bool { return s.done && !now.Before(s.until) })
	}
	if len(m.seen) >= m.room {
		return full
	}
	m.seen[d] = &sighting{until: until}
	return fresh
}

// once is enter for a message that counts as handled when it has been let in.
func (m *memory) once(d digest, until time.Time) error {
	switch m.enter(d, time.Now(), until) {
	case fresh:
		m.done(d)
	case full:
		return ErrFull
	case handled, running:
		return ErrReplayed
	}
	return nil
}

func (m *memory) done(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[d].done = true
}

func (m *memory) forget(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, d)
}
