package faas

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// NewMemoryIdempotency returns a store that keeps entries in memory: they are lost when the
// process ends. It holds at most count entries, whose answers have at most bytes together.
// When one of the two is reached, a call with a new key fails with an error that Is
// [ErrOverloaded], until the window of another key has ended. A value ≤ 0 means the default,
// 100,000 entries and 64 MiB. The entry of a call whose answer is not remembered is dropped
// at once.
func NewMemoryIdempotency(count int, bytes int64) IdempotencyStore {
	if count <= 0 {
		count = defaultJobs
	}
	if bytes <= 0 {
		bytes = defaultJobBytes
	}
	return &memoryIdempotency{maxCount: count, maxBytes: bytes, entries: map[idempotencyKey]*storedIdempotency{}}
}

type memoryIdempotency struct {
	maxCount int
	maxBytes int64

	mu       sync.Mutex // guards what follows
	revision uint64     // of the last write
	bytes    int64      // of all answers
	entries  map[idempotencyKey]*storedIdempotency
	oldest   idempotencyHeap // the same entries, by Until
}

type idempotencyKey struct{ function, tenant, key string }

func (e *IdempotencyEntry) name() idempotencyKey {
	return idempotencyKey{e.Function, e.Tenant, e.Key}
}

type storedIdempotency struct {
	IdempotencyEntry

	at      int           // the index in memoryIdempotency.oldest
	changed chan struct{} // closed when the entry is written or dropped; nil: no Watch waits
}

func (e *IdempotencyEntry) size() int64 { return int64(len(e.Answer) + len(e.Failure)) }

func (m *memoryIdempotency) Create(ctx context.Context, e IdempotencyEntry) (IdempotencyEntry, bool, error) {
	if err := ctx.Err(); err != nil {
		return IdempotencyEntry{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for now := time.Now(); len(m.oldest) > 0 && !now.Before(m.oldest[0].Until); {
		m.drop(m.oldest[0])
	}
	if was := m.entries[e.name()]; was != nil {
		return was.IdempotencyEntry, false, nil
	}
	if len(m.entries) >= m.maxCount || m.bytes >= m.maxBytes {
		return IdempotencyEntry{}, false, usageError("idempotent", e.Function, ErrOverloaded, "there is no room for another key; see NewMemoryIdempotency")
	}
	m.revision++
	e.Revision = m.revision
	s := &storedIdempotency{IdempotencyEntry: e}
	m.entries[e.name()] = s
	m.bytes += e.size()
	heap.Push(&m.oldest, s)
	return e, true, nil
}

func (m *memoryIdempotency) Swap(_ context.Context, old, next IdempotencyEntry) (IdempotencyEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.entries[old.name()]
	if s == nil || s.Revision != old.Revision {
		return IdempotencyEntry{}, usageError("idempotent", old.Function, ErrRevision, "another call has taken the key")
	}
	m.revision++
	next.Revision = m.revision
	if next.isFree() {
		m.drop(s)
		return next, nil
	}
	m.bytes += next.size() - s.size()
	s.IdempotencyEntry = next
	s.tell()
	return next, nil
}

func (m *memoryIdempotency) Watch(ctx context.Context, e IdempotencyEntry) error {
	changed := m.changed(&e)
	if changed == nil {
		return nil
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// changed returns a channel that is closed when the entry changes, or nil if it has another
// revision than e already.
func (m *memoryIdempotency) changed(e *IdempotencyEntry) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.entries[e.name()]
	if s == nil || s.Revision != e.Revision {
		return nil
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// drop removes an entry. m.mu must be held.
func (m *memoryIdempotency) drop(s *storedIdempotency) {
	heap.Remove(&m.oldest, s.at)
	delete(m.entries, s.name())
	m.bytes -= s.size()
	s.tell()
}

// tell ends the Watches of the entry. The store's mu must be held.
func (s *storedIdempotency) tell() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// idempotencyHeap implements [heap.Interface]. Its first entry is the one whose window ends
// first.
type idempotencyHeap []*storedIdempotency

func (h *idempotencyHeap) Len() int { return len(*h) }

func (h *idempotencyHeap) Less(i, j int) bool {
	return (*h)[i].Until.Before((*h)[j].Until)
}

func (h *idempotencyHeap) Swap(i, j int) {
	all := *h
	all[i], all[j] = all[j], all[i]
	all[i].at, all[j].at = i, j
}

// Push adds x at the end.
func (h *idempotencyHeap) Push(x any) {
	s := x.(*storedIdempotency) //nolint:forcetypeassert // Create pushes nothing else
	s.at = len(*h)
	*h = append(*h, s)
}

// Pop removes the last entry.
func (h *idempotencyHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}
