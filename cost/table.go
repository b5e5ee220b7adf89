package cost

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math/bits"
	"reflect"
	"strconv"
	"strings"

	"github.com/inproc/faas"
)

// table is a stripe's sums of one period: a hash table with linear probing,
// which is there because the language's own can't look up a key with labels in
// it without making a copy of them. In front of it are the cells that were asked
// for last, at places that cost less to work out than a hash.
type table struct {
	start, end int64  // seconds since 1970; end is not in the period, or in the part of it in which no price changes
	rules      *rules // of the books that are in force
	seed       maphash.Seed
	shared     *shared // of the ledger
	period     *period // the same for all stripes
	recent     [256]*cell
	slots      []*cell
	used       int
}

// cell is the sums of a key and a declared memory.
type cell struct {
	hash uint64
	Key
	labelsAt       uintptr // of the map in Key
	memory         int64
	calls          uint64
	measured       uint64 // calls whose processor time is known
	duration, init count
	quanta         []count // by the table's rules, those of durations first
}

// hash leaves version and labels out: a function has few.
func (t *table) hash(e *faas.Execution) uint64 {
	h := maphash.String(t.seed, e.Tenant) ^ bits.RotateLeft64(maphash.String(t.seed, e.Function), 1)
	h ^= (uint64(e.Outcome)<<1 | 1) * 0x9e3779b97f4a7c15 // any bits will do
	h ^= h >> 32
	return h
}

// cell finds the sums of a key, or begins them.
func (t *table) cell(e *faas.Execution, overrun bool) *cell {
	recent := &t.recent[recentIndex(e)]
	if c := *recent; c != nil && c.matches(e, overrun) {
		return c
	}
	*recent = t.find(e, overrun)
	return *recent
}

// place is where the cell of a key is remembered. Keys that share one, by chance
// or because somebody chose their names so, take it from each other: what decides
// is cell.is, and what they lose is the short cut. The table's own hash is keyed.
func recentIndex(e *faas.Execution) uint8 {
	h := sampleName(e.Tenant)*0x9e3779b97f4a7c15 + sampleName(e.Function)*0xd6e8feb86659fd93 + uint64(e.Outcome)<<56
	return uint8(h >> 56) // any odd factors will do: the highest bits then depend on all others
}

// sample is made of a name's first and last bytes: where names differ, mostly.
func sampleName(s string) uint64 {
	n := len(s)
	if n >= 8 {
		return word(s) ^ bits.RotateLeft64(word(s[n-8:]), 29) ^ uint64(n)
	}
	var h uint64
	for i := range n {
		h = h<<8 | uint64(s[i])
	}
	return h
}

// word is the first eight bytes, in one load.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func (t *table) find(e *faas.Execution, overrun bool) *cell {
	hash := t.hash(e)
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := t.slots[i]
		if c == nil {
			return t.miss(hash, e, overrun)
		}
		if c.hash == hash && c.matches(e, overrun) {
			return c
		}
	}
}

// miss begins the sums of a key, or finds those that it shares with others
// because there is no room for its own.
func (t *table) miss(hash uint64, e *faas.Execution, overrun bool) *cell {
	if e.Tenant == "" || e.Tenant == Overflow || t.shared.admit(t.period, t.fullHash(e, overrun)) {
		return t.insert(hash, e, overrun, t.rules.len())
	}
	other := *e
	other.Tenant = Overflow
	return t.find(&other, overrun)
}

func (t *table) insert(hash uint64, e *faas.Execution, overrun bool, rules int) *cell {
	if 2*t.used >= len(t.slots) {
		t.grow()
	}
	c := &cell{hash: hash, labelsAt: address(e.Labels), memory: e.Memory, quanta: make([]count, rules), Key: Key{
		Function: e.Function, Version: e.Version, Labels: e.Labels, Outcome: e.Outcome, Overrun: overrun,
		Tenant: strings.Clone(e.Tenant), // it may be a part of a whole request
	}}
	t.put(c)
	t.used++
	return c
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]*cell, 2*len(old))
	for _, c := range old {
		if c != nil {
			t.put(c)
		}
	}
}

func (t *table) put(c *cell) {
	mask := uint64(len(t.slots) - 1)
	i := c.hash & mask
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = c
}

// is tells whether c counts e. The labels are one map for all records of a
// function, so that it is enough to see that it is the same one; the cell holds
// on to it, so that no other can come to have its address. Equal labels in
// another map are equal too, and remembered in place of the first.
func (c *cell) matches(e *faas.Execution, overrun bool) bool {
	if c.memory != e.Memory || c.Outcome != e.Outcome || c.Overrun != overrun ||
		c.Tenant != e.Tenant || c.Function != e.Function || c.Version != e.Version {
		return false
	}
	at := address(e.Labels)
	if c.labelsAt == at {
		return true
	}
	if !maps.Equal(c.Labels, e.Labels) {
		return false
	}
	c.Labels, c.labelsAt = e.Labels, at
	return true
}

func address(labels map[string]string) uintptr { return reflect.ValueOf(labels).Pointer() }

// name is the same for equal keys and for no others.
func (c *cell) mapKey() string {
	var b strings.Builder
	for _, s := range []string{c.Function, c.Version, c.Tenant, labelText(c.Labels)} {
		b.WriteString(strconv.Quote(s))
	}
	b.WriteString(strconv.FormatInt(c.memory, 10))
	b.WriteByte('/')
	b.WriteString(strconv.Itoa(int(c.Outcome)))
	b.WriteString(strconv.FormatBool(c.Overrun))
	return b.String()
}

// fullHash is of all that keys are told apart by. Two that share one only have the
// ledger keep a key more.
func (t *table) fullHash(e *faas.Execution, overrun bool) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, text := range []string{e.Function, e.Version, e.Tenant, labelText(e.Labels)} {
		h.WriteString(text)
		h.WriteByte(0)
	}
	var rest [10]byte
	binary.BigEndian.PutUint64(rest[:], uint64(e.Memory)) //nolint:gosec // any bits will do
	rest[8] = byte(e.Outcome)
	if overrun {
		rest[9] = 1
	}
	h.Write(rest[:])
	return h.Sum64()
}
