package cost

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math/bits"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// table is a stripe's sums of one period: a hash table with linear probing. It is not a Go
// map, which can't look up a key with labels without copying them. The array recent is a
// cache in front of it: it has the cells that were used last, at indexes that cost less to
// compute than a hash. The stripe's mu guards everything.
type table struct {
	// start and end are seconds since 1970, end excluded. They bound the period or, if prices
	// change within it, a part of the period without such a change.
	start, end int64
	rules      *rules // of the books that are in force from start to end
	seed       maphash.Seed
	shared     *shared // of the ledger
	period     *period // shared by the tables of all stripes
	// recent has a cell at the recentIndex of its key. An entry may be nil, or a cell of
	// another key with the same index.
	recent [256]*cell
	slots  []*cell // a power of two of them, at most half in use
	used   int
}

// cell has the sums of one key and one declared memory.
type cell struct {
	hash uint64
	Key
	of       lot     // repeats Overrun and Spent of Key, and whether there is a Job
	labelsAt uintptr // the address of Key.Labels
	memory   int64
	sums
}

// hash returns the hash of a key. It leaves out version and labels, of which a function has
// few.
func (t *table) hash(e *faas.Execution) uint64 {
	h := maphash.String(t.seed, e.Tenant) ^ bits.RotateLeft64(maphash.String(t.seed, e.Function), 1)
	if e.Job != uuid.Nil { // a sender can choose it, so its hash needs the seed too
		h ^= maphash.Bytes(t.seed, e.Job[:])
	}
	h ^= (uint64(e.Outcome)<<1 | 1) * 0x9e3779b97f4a7c15 // any bits will do
	h ^= h >> 32
	return h
}

// cell returns the sums of a key. It begins them if the key is new.
func (t *table) cell(e *faas.Execution, of lot) *cell {
	recent := &t.recent[recentIndex(e)]
	if c := *recent; c != nil && c.matches(e, of) {
		return c
	}
	*recent = t.find(e, of)
	return *recent
}

// recentIndex returns the index in recent for the cell of a key. Keys may share an index, by
// chance or because a caller chose such names. Then they displace each other from the cache
// and become slower; cell.matches still tells them apart. The hash of the table itself has a
// secret seed.
func recentIndex(e *faas.Execution) uint8 {
	h := sampleName(e.Tenant)*0x9e3779b97f4a7c15 + sampleName(e.Function)*0xd6e8feb86659fd93 + uint64(e.Outcome)<<56
	if e.Job != uuid.Nil {
		h += binary.LittleEndian.Uint64(e.Job[8:]) * 0x94d049bb133111eb // the half of a UUIDv7 that is random
	}
	return uint8(h >> 56) // with any odd factors the highest bits depend on all others
}

// sampleName mixes the first and the last bytes of a name, where most names differ.
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

// word returns the first eight bytes as a number. The compiler turns it into a single load.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// find looks a key up in the slots, and adds it if it is not there. The search ends, since at
// least half of the slots are nil. This method and those below need the lock of t's stripe.
func (t *table) find(e *faas.Execution, of lot) *cell {
	hash := t.hash(e)
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := t.slots[i]
		if c == nil {
			return t.miss(hash, e, of)
		}
		if c.hash == hash && c.matches(e, of) {
			return c
		}
	}
}

// miss adds a cell for a key that has none. If there is no room for the key, it returns the cell
// that such calls share: the one without a job, or the one of the tenant Overflow.
func (t *table) miss(hash uint64, e *faas.Execution, of lot) *cell {
	if e.Job != uuid.Nil {
		if t.shared.admitJob(t.period, e.Job) {
			return t.insert(hash, e, of, t.rules.len())
		}
		other := *e
		other.Job = uuid.Nil
		return t.find(&other, of&^lotJob)
	}
	if e.Tenant == "" || e.Tenant == Overflow || t.shared.admit(t.period, t.fullHash(e, of)) {
		return t.insert(hash, e, of, t.rules.len())
	}
	other := *e
	other.Tenant = Overflow
	return t.find(&other, of)
}

// insert adds a cell for a new key. It copies the tenant's name, which may be a slice of a
// whole request and would keep the request in memory. The other names come from
// registrations.
func (t *table) insert(hash uint64, e *faas.Execution, of lot, rules int) *cell {
	if 2*t.used >= len(t.slots) {
		t.grow()
	}
	c := &cell{hash: hash, of: of, labelsAt: address(e.Labels), memory: e.Memory, sums: sums{quanta: make([]count, rules)}, Key: Key{
		Function: e.Function, Version: e.Version, Labels: e.Labels, Outcome: e.Outcome, Overrun: of.overrun(), Spent: of.spent(), Job: e.Job,
		Tenant: strings.Clone(e.Tenant),
	}}
	t.put(c)
	t.used++
	return c
}

// grow doubles the slots. recent stays valid: it points to cells, which don't move.
func (t *table) grow() {
	old := t.slots
	t.slots = make([]*cell, 2*len(old))
	for _, c := range old {
		if c != nil {
			t.put(c)
		}
	}
}

// put stores a cell in the first free slot from the index of its hash on.
func (t *table) put(c *cell) {
	mask := uint64(len(t.slots) - 1)
	i := c.hash & mask
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = c
}

// matches reports whether the cell counts calls such as e. All records of a function share
// one map of labels, so mostly it is enough to compare the map's address. This is safe: the
// cell keeps the map alive, so no other map can get its address. If an equal map with another
// address arrives, the cell keeps that one from then on.
func (c *cell) matches(e *faas.Execution, of lot) bool {
	if c.memory != e.Memory || c.Outcome != e.Outcome || c.of != of ||
		c.Tenant != e.Tenant || c.Function != e.Function || c.Version != e.Version || of&lotJob != 0 && c.Job != e.Job {
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

// address returns the address of a map. Two maps with the same address are the same map.
func address(labels map[string]string) uintptr { return reflect.ValueOf(labels).Pointer() }

// mapKey returns a text that is the same for equal keys and for no others.
func (c *cell) mapKey() string {
	var b strings.Builder
	for _, s := range []string{c.Function, c.Version, c.Tenant, labelText(c.Labels)} {
		b.WriteString(strconv.Quote(s))
	}
	b.WriteString(strconv.FormatInt(c.memory, 10))
	b.WriteByte('/')
	b.WriteString(strconv.Itoa(int(c.Outcome)))
	b.WriteString(strconv.FormatBool(c.Overrun))
	b.WriteString(c.Spent.String())
	b.Write(c.Job[:])
	return b.String()
}

// fullHash returns a hash of the whole key. shared.admit counts keys by these hashes. If two
// keys have the same hash they count as one, and the ledger keeps one key more than its
// bound.
func (t *table) fullHash(e *faas.Execution, of lot) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, text := range []string{e.Function, e.Version, e.Tenant, labelText(e.Labels)} {
		h.WriteString(text)
		h.WriteByte(0)
	}
	var rest [10]byte
	binary.BigEndian.PutUint64(rest[:], uint64(e.Memory)) // any bits will do
	rest[8] = byte(e.Outcome)
	rest[9] = byte(of)
	h.Write(rest[:])
	return h.Sum64()
}
