package memqueue

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// indexModel is an index and a map with the same entries. There are few IDs, so that operations hit
// the same ones.
type indexModel struct {
	index index[int]
	known map[ID]*node[int]
}

func drawID(t *rapid.T) (id ID) {
	binary.BigEndian.PutUint64(id[:8], rapid.Uint64Range(0, 7).Draw(t, "time"))
	binary.BigEndian.PutUint64(id[8:], rapid.Uint64Range(0, 150).Draw(t, "random"))
	return id
}

// Grow adds growing IDs, like those of new jobs.
func (m *indexModel) Grow(t *rapid.T) {
	id := drawID(t)
	for i := range rapid.IntRange(1, 150).Draw(t, "how many") {
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		m.known[id] = &node[int]{seq: uint64(i)}
		m.index.set(&id, m.known[id])
	}
}

func (m *indexModel) Set(t *rapid.T) {
	id := drawID(t)
	m.known[id] = &node[int]{}
	m.index.set(&id, m.known[id])
}

func (m *indexModel) Forget(t *rapid.T) {
	id := drawID(t)
	m.known[id] = nil
	m.index.set(&id, nil)
}

// Remove removes all IDs of a range, and perhaps some that are not there.
func (m *indexModel) Remove(t *rapid.T) {
	from := rapid.Uint64Range(0, 7).Draw(t, "from")
	for i := range rapid.IntRange(1, 150).Draw(t, "how many") {
		var id ID
		binary.BigEndian.PutUint64(id[:8], from)
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		delete(m.known, id)
		m.index.remove(&id)
	}
}

func (m *indexModel) Check(t *rapid.T) {
	entries, forgotten, last := 0, 0, ID{}
	for at, l := range m.index.leaves {
		if l.len() == 0 || l.ids[l.from] != m.index.firsts[at] {
			t.Fatalf("leaf %d of %d entries begins with %x and not with %x", at, l.len(), m.index.firsts[at], l.ids[l.from])
		}
		for i, id := range l.ids[l.from:l.used] {
			if entries > 0 && !last.before(&id) {
				t.Fatalf("%x stands before %x", last, id)
			}
			if n, known := m.known[id]; !known || n != l.nodes[l.from+i] {
				t.Fatalf("%x is %v", id, l.nodes[l.from+i])
			}
			if last = id; l.nodes[l.from+i] == nil {
				forgotten++
			}
			entries++
		}
	}
	seen := 0
	m.index.all(func(*node[int]) { seen++ })
	one := drawID(t)
	want, has := m.known[one]
	got, known := m.index.get(&one)
	if entries != len(m.known) || seen != entries-forgotten || has != known || got != want {
		t.Fatalf("%d entries and not %d; %d jobs and not %d; %x is known: %v", entries, len(m.known), seen, entries-forgotten, one, known)
	}
}

func TestAnIndexIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &indexModel{known: map[ID]*node[int]{}}
		t.Repeat(map[string]func(*rapid.T){"grow": m.Grow, "set": m.Set, "forget": m.Forget, "remove": m.Remove, "": m.Check})
	})
}

func TestTheLeavesOfAnIndexAreFilledAndLetGo(t *testing.T) {
	t.Parallel()
	number := func(i int) (id ID) {
		binary.BigEndian.PutUint64(id[:8], uint64(i))
		return id
	}
	var x index[int]
	const jobs = 100 * leafSize
	for i := range jobs {
		id := number(i)
		x.set(&id, &node[int]{})
	}
	assert.Len(t, x.leaves, 100)
	for i := range jobs { // one entry of each leaf stays
		if id := number(i); i%leafSize != 7 {
			x.remove(&id)
		}
	}
	assert.LessOrEqual(t, len(x.leaves), 8)
	for i := range jobs {
		id := number(i)
		x.remove(&id)
	}
	assert.Empty(t, x.leaves)
}
