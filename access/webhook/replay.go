package webhook

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// memory knows which messages came, each until nobody could send it again.
type memory struct {
	room int
	mu   sync.Mutex // guards seen
	seen map[[sha256.Size]byte]*sighting
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
func (m *memory) enter(name [sha256.Size]byte, now, until time.Time) state {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.seen[name]; s != nil && (!s.done || now.Before(s.until)) {
		if s.done {
			return handled
		}
		return running
	}
	if len(m.seen) >= m.room {
		maps.DeleteFunc(m.seen, func(_ [sha256.Size]byte, s *sighting) bool { return s.done && !now.Before(s.until) })
	}
	if len(m.seen) >= m.room {
		return full
	}
	m.seen[name] = &sighting{until: until}
	return fresh
}

func (m *memory) done(name [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[name].done = true
}

func (m *memory) forget(name [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, name)
}
