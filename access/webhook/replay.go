package webhook

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// digest is the key of a message in memory: a hash, so that all keys have the same size.
type digest [sha256.Size]byte

// memory has the messages that came. Each is kept as long as it could come again with a valid
// signature.
type memory struct {
	room int        // the most messages that seen may have; not changed after New
	mu   sync.Mutex // guards seen and the sightings in it; never held while a handler runs
	seen map[digest]*sighting
}

// sighting is the state of one message in memory.
type sighting struct {
	until time.Time // after this time the sighting can be dropped, if done is true
	done  bool      // the message's handler has ended; while false, the handler runs
}

// state is the result of enter.
type state int

const (
	fresh   state = iota // the message is new: the caller handles it, then calls done or forget
	handled              // another request has handled the message
	running              // another request is handling the message
	full                 // the message is new, and there is no room to remember it
)

// enter returns the state of a message at the time now. It remembers a fresh message until the
// time until. It does both under one lock: of two equal requests at once, one gets fresh and
// the other running. A message that is being handled is never dropped, however long that takes.
// Messages whose time has passed are dropped only when there is no room, because that looks at
// all messages.
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

// once is like enter, but the message counts as handled at once.
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

// done marks a fresh message as handled.
func (m *memory) done(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[d].done = true
}

// forget removes a fresh message whose handling has failed, so that it may come again.
func (m *memory) forget(d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, d)
}
