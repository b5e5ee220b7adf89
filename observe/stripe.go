package observe

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// stripe has a part of the recorder's counts. Each record is counted in any one of the stripes,
// and readers add the stripes up. So records on several processors do not wait for each other.
type stripe struct {
	mu       sync.Mutex // guards what follows, and what the maps point to
	recorder *Recorder
	// recent finds a cell by a hash of its key, faster than the map cells. An entry may be nil
	// or of another key: keys with the same hash, by chance or because callers have chosen such
	// names, replace each other, and are then found in cells.
	recent [1024]*cell
	cells  map[cellKey]*cell
	counts map[seriesKey]*byTrigger
	dirty  []*pending // those that have counts

	refused map[refusedKey]uint64 // nil: none yet

	_ [64]byte // puts the lock of the next stripe on another cache line
}

// cellKey is the key by which usage is counted.
type cellKey struct {
	function, version, tenant string
	memory                    int64
	overrun                   bool
}

// cell is the usage of one key, as counted by this stripe.
type cell struct {
	cellKey
	used   cost.Sums
	counts *byTrigger // of the function and version
}

func (s *stripe) init(r *Recorder) {
	s.recorder = r
	s.cells, s.counts = map[cellKey]*cell{}, map[seriesKey]*byTrigger{}
}

// cell returns the cell of an execution, and makes it if it is new.
func (s *stripe) cell(e *faas.Execution, overrun bool) *cell {
	recent := &s.recent[recentIndex(e)]
	if c := *recent; c != nil && c.matches(e, overrun) {
		return c
	}
	key := cellKey{e.Function, e.Version, e.Tenant, e.Memory, overrun}
	c := s.find(key)
	if c.cellKey == key { // else the names had no room, and c is the shared cell of Other
		*recent = c
	}
	return c
}

// recentIndex returns the index in recent for an execution's cell.
func recentIndex(e *faas.Execution) uint64 {
	h := sample(e.Tenant)*0x9e3779b97f4a7c15 + sample(e.Function)*0xd6e8feb86659fd93
	if n := len(e.Version); n > 0 {
		h += uint64(e.Version[n-1]) * 0xa0761d6478bd642f
	}
	return h >> 54 // the factors are odd, so the highest bits depend on all the others
}

// sample mixes the first and last bytes of a name, because most names differ there.
func sample(s string) uint64 {
	n := len(s)
	if n >= 8 {
		var ends [16]byte
		copy(ends[:8], s)
		copy(ends[8:], s[n-8:])
		return binary.LittleEndian.Uint64(ends[:]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(ends[8:]), 29) ^ uint64(n)
	}
	if n >= 4 {
		var ends [8]byte
		copy(ends[:4], s)
		copy(ends[4:], s[n-4:])
		return binary.LittleEndian.Uint64(ends[:]) ^ uint64(n)
	}
	if n > 0 {
		return uint64(s[0])<<16 | uint64(s[n/2])<<8 | uint64(s[n-1])
	}
	return 0
}

func (c *cell) matches(e *faas.Execution, overrun bool) bool {
	return c.memory == e.Memory && c.overrun == overrun && c.tenant == e.Tenant && c.function == e.Function && c.version == e.Version
}

// find returns the cell of a key, under the names by which it is counted, and makes it if it is
// new.
func (s *stripe) find(key cellKey) *cell {
	if c := s.cells[key]; c != nil {
		return c
	}
	key = s.recorder.name(key)
	c := s.cells[key]
	if c == nil {
		c = &cell{cellKey: key, counts: s.series(seriesKey{key.function, key.version})}
		s.cells[key] = c
	}
	return c
}

// series returns this stripe's counts of a function and version.
func (s *stripe) series(key seriesKey) *byTrigger {
	if b := s.counts[key]; b != nil {
		return b
	}
	into := s.recorder.all.get(key)
	b := s.counts[into.key]
	if b == nil {
		b = &byTrigger{into: into}
		s.counts[into.key] = b
	}
	return b
}

// byTrigger has this stripe's counts of a function and version, by what started the calls.
type byTrigger struct {
	into *series
	of   [triggers]*pending // nil: there were no calls
}

// at returns the pending counts of a trigger, for the given second.
func (b *byTrigger) at(s *stripe, t trigger, second int64) *pending {
	p := b.of[t]
	if p == nil {
		p = &pending{into: b.into, trigger: t}
		b.of[t] = p
	}
	p.turnTo(s, second)
	return p
}

// pending has a stripe's counts of a function, version and trigger within one second. It is
// added to the series when a record of another second comes, or a reader. So a record is
// counted in one place only, and no timer is needed for the seconds.
type pending struct {
	tally
	into    *series
	second  int64
	dirty   bool // it is in the stripe's list dirty
	trigger trigger
}

// turnTo makes p count for a second. Most calls end in the same second as the call before.
func (p *pending) turnTo(s *stripe, second int64) {
	if p.dirty && p.second == second {
		return
	}
	if p.dirty {
		p.into.take(p)
	} else {
		p.dirty = true
		s.dirty = append(s.dirty, p)
	}
	p.second = second
}

// flush adds all pending counts to their series.
func (s *stripe) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.dirty {
		p.into.take(p)
		p.dirty = false
	}
	s.dirty = s.dirty[:0]
}

// flush adds the pending counts of all stripes to their series, one stripe after the other.
func (r *Recorder) flush() {
	for i := range r.stripes {
		r.stripes[i].flush()
	}
}
