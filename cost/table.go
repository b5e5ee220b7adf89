package cost

import (
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
// it without making a copy of them.
type table struct {
	start, end int64 // seconds since 1970; end is not in the period
	slots      []*cell
	used       int
}

// counted is what a sum is kept by: a Key and the declared memory.
type counted struct {
	function, version, tenant string
	labels                    map[string]string
	memory                    int64
	outcome                   faas.Outcome
	overrun                   bool
}

type cell struct {
	hash uint64
	counted
	calls          uint64
	duration, init count
	quanta         []count // by the ledger's rules
}

// hash leaves version and labels out: a function has few.
func (l *Ledger) hash(k *counted) uint64 {
	h := maphash.String(l.seed, k.tenant) ^ bits.RotateLeft64(maphash.String(l.seed, k.function), 1)
	h ^= (uint64(k.outcome)<<1 | 1) * 0x9e3779b97f4a7c15 //nolint:gosec // any bits will do
	h ^= h >> 32
	return h
}

// cell finds the sums of a key, or begins them.
func (t *table) cell(hash uint64, k *counted, rules int) *cell {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := t.slots[i]
		if c == nil {
			return t.insert(hash, k, rules)
		}
		if c.hash == hash && c.is(k) {
			return c
		}
	}
}

func (t *table) insert(hash uint64, k *counted, rules int) *cell {
	if 2*t.used >= len(t.slots) {
		t.grow()
	}
	c := &cell{hash: hash, counted: *k, quanta: make([]count, rules)}
	// A record's strings may be part of something larger.
	c.function, c.version, c.tenant = strings.Clone(k.function), strings.Clone(k.version), strings.Clone(k.tenant)
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

// is tells whether c counts k. The labels are one map for all records of a
// function, so that it is enough to see that it is the same one; the cell holds
// on to it, so that no other can come to have its address. Equal labels in
// another map are equal too, and remembered in place of the first.
func (c *cell) is(k *counted) bool {
	if c.memory != k.memory || c.outcome != k.outcome || c.overrun != k.overrun ||
		c.tenant != k.tenant || c.function != k.function || c.version != k.version {
		return false
	}
	if len(c.labels) == 0 && len(k.labels) == 0 || address(c.labels) == address(k.labels) {
		return true
	}
	if !maps.Equal(c.labels, k.labels) {
		return false
	}
	c.labels = k.labels
	return true
}

func address(labels map[string]string) uintptr { return reflect.ValueOf(labels).Pointer() }

func (c *cell) key() Key {
	return Key{
		Function: c.function, Version: c.version, Tenant: c.tenant, Labels: c.labels,
		Outcome: c.outcome, Overrun: c.overrun,
	}
}

// name is the same for equal keys and for no others.
func (c *cell) name() string {
	var b strings.Builder
	for _, s := range []string{c.function, c.version, c.tenant, labelText(c.labels)} {
		b.WriteString(strconv.Quote(s))
	}
	b.WriteString(strconv.FormatInt(c.memory, 10))
	b.WriteByte('/')
	b.WriteString(strconv.Itoa(int(c.outcome)))
	b.WriteString(strconv.FormatBool(c.overrun))
	return b.String()
}
