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

// cell is the sums of a key and a declared memory.
type cell struct {
	hash uint64
	Key
	memory         int64
	calls          uint64
	duration, init count
	quanta         []count // by the ledger's rules
}

// hash leaves version and labels out: a function has few.
func (l *Ledger) hash(e *faas.Execution) uint64 {
	h := maphash.String(l.seed, e.Tenant) ^ bits.RotateLeft64(maphash.String(l.seed, e.Function), 1)
	h ^= (uint64(e.Outcome)<<1 | 1) * 0x9e3779b97f4a7c15 // any bits will do
	h ^= h >> 32
	return h
}

// cell finds the sums of a key, or begins them.
func (t *table) cell(hash uint64, e *faas.Execution, overrun bool, rules int) *cell {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := t.slots[i]
		if c == nil {
			return t.insert(hash, e, overrun, rules)
		}
		if c.hash == hash && c.is(e, overrun) {
			return c
		}
	}
}

func (t *table) insert(hash uint64, e *faas.Execution, overrun bool, rules int) *cell {
	if 2*t.used >= len(t.slots) {
		t.grow()
	}
	c := &cell{hash: hash, memory: e.Memory, quanta: make([]count, rules), Key: Key{
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
func (c *cell) is(e *faas.Execution, overrun bool) bool {
	if c.memory != e.Memory || c.Outcome != e.Outcome || c.Overrun != overrun ||
		c.Tenant != e.Tenant || c.Function != e.Function || c.Version != e.Version {
		return false
	}
	if len(c.Labels) == 0 && len(e.Labels) == 0 || address(c.Labels) == address(e.Labels) {
		return true
	}
	if !maps.Equal(c.Labels, e.Labels) {
		return false
	}
	c.Labels = e.Labels
	return true
}

func address(labels map[string]string) uintptr { return reflect.ValueOf(labels).Pointer() }

// name is the same for equal keys and for no others.
func (c *cell) name() string {
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
