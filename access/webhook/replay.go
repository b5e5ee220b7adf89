package webhook

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// digest is what a message is remembered by: a hash, so that all take the same room.
type digest [sha256.Size]byte

// memory has the messages that came. Each is kept as long as it could come again
// with a signature that is good.
type memory struct {
	room int        // how many it may have; not changed after New
	mu   sync.Mutex // guards seen and the sightings in it; never held while a handler runs
	seen map[digest]*sighting
}

// sighting is one message in memory.
type sighting struct {
	until time.Time // it can be dropped after that, if done
	done  bool      // its handler has ended; false: the handler runs
}

// state is what memory says about a message.
type state int

const (
	fresh   state = iota // it is new: the caller handles it, then calls done or forget
	handled              // a request has handled it
	running              // another request is handling it
	full                 // it is new, and there is no room to remember it
)

// enter returns the state of a message at now, and remembers a fresh one until until.
// One lock covers both: of two equal requests at once, one gets fresh and the other
// running. A message that is being handled is never dropped, however long that takes.
// Old ones are dropped only when there is no room, which costs a pass over all.
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

// once is like enter, for a message that counts as handled as soon as it is entered.
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

// done says that a fresh message was handled.
func (m *memory) done(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[d].done = true
}

// forget says that handling a fresh message has failed: it may come again.
func (m *memory) forget(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, d)
}
