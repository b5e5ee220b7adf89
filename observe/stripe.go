package observe

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// stripe is a part of the recorder. Each record is counted in one stripe, no matter which:
// readers add them up.
type stripe struct {
	mu       sync.Mutex // guards what follows, and what the maps lead to
	recorder *Recorder
	// recent remembers a cell by a hash of its key. An entry may be of another key, or nil:
	// keys that share a hash, by chance or because callers chose such names, displace each
	// other and lose the short cut.
	recent [1024]*cell
	cells  map[cellKey]*cell
	counts map[seriesKey]*byTrigger
	dirty  []*pending // those that have something
	_      [64]byte   // the next stripe's lock is on another cache line
}

// cellKey is what usage is counted by.
type cellKey struct {
	function, version, tenant string
	memory                    int64
	overrun                   bool
}

// cell is what one key has used, as far as this stripe has counted it.
type cell struct {
	cellKey
	used   cost.Sums
	counts *byTrigger // of the function and version
}

func (s *stripe) init(r *Recorder) {
	s.recorder = r
	s.cells, s.counts = map[cellKey]*cell{}, map[seriesKey]*byTrigger{}
}

// cell finds the usage of a key, or begins it.
func (s *stripe) cell(e *faas.Execution, overrun bool) *cell {
	recent := &s.recent[recentIndex(e)]
	if c := *recent; c != nil && c.matches(e, overrun) {
		return c
	}
	key := cellKey{e.Function, e.Version, e.Tenant, e.Memory, overrun}
	c := s.find(key)
	if c.cellKey == key { // one that is folded shares c with others
		*recent = c
	}
	return c
}

// recentIndex is the place in recent for the cell of a key.
func recentIndex(e *faas.Execution) uint64 {
	h := sample(e.Tenant)*0x9e3779b97f4a7c15 + sample(e.Function)*0xd6e8feb86659fd93
	if n := len(e.Version); n > 0 {
		h += uint64(e.Version[n-1]) * 0xa0761d6478bd642f
	}
	return h >> 54 // with any odd factors the highest bits depend on all others
}

// sample mixes the first and last bytes of a name, which is where most names differ.
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

// find looks a key up, or adds it, under the names that it is counted by.
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

// series finds what this stripe has counted of a function and version.
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

// byTrigger is what a stripe has counted of a function and version, by what started the
// calls.
type byTrigger struct {
	into *series
	of   [triggers]*pending // nil: there were none
}

// at returns what is pending of a trigger, for the second.
func (b *byTrigger) at(s *stripe, t trigger, second int64) *pending {
	p := b.of[t]
	if p == nil {
		p = &pending{into: b.into, trigger: t}
		b.of[t] = p
	}
	p.turnTo(s, second)
	return p
}

// pending is what a stripe has counted of a function, version and trigger within one second. When
// a record of another second comes, or a reader, it is added to the series: so a record is
// counted in one place, and the time at which it is needs no timer.
type pending struct {
	tally
	into    *series
	second  int64
	dirty   bool // it is in the stripe's list
	trigger trigger
}

// turnTo makes p that of a second. Most calls are of the second of the call before.
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

// flush adds all that is pending to its series.
func (s *stripe) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.dirty {
		p.into.take(p)
		p.dirty = false
	}
	s.dirty = s.dirty[:0]
}

// flush adds all that is pending to its series, stripe by stripe.
func (r *Recorder) flush() {
	for i := range r.stripes {
		r.stripes[i].flush()
	}
}
