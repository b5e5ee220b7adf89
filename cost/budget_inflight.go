package cost

import "encoding/binary"

// inFlight is a call that was admitted and has not ended.
type inFlight struct {
	id       [16]byte
	account  *account // nil if this place of the table is empty
	reserved atoms
}

// inFlightTable is a hash table with linear probing, at most half full. The tracker's mu
// guards it. A Go map takes several times as long for this use: calls come and go while their
// number stays about the same, and a map has to clean up after deleted entries again and
// again.
type inFlightTable struct {
	places []inFlight
	used   int
}

// home returns the place at which the search for an id begins.
func (t *inFlightTable) home(id *[16]byte) int {
	h := binary.BigEndian.Uint64(id[8:]) ^ binary.BigEndian.Uint64(id[:8])*0x9e3779b97f4a7c15
	return int(h & uint64(len(t.places)-1)) // less than a length
}

// find returns the call with this id, or nil if there is none. The pointer is valid until the
// next add or remove, both of which move entries.
func (t *inFlightTable) find(id [16]byte) *inFlight {
	if len(t.places) == 0 {
		return nil
	}
	for i := t.home(&id); ; i = (i + 1) & (len(t.places) - 1) {
		if f := &t.places[i]; f.account == nil {
			return nil
		} else if f.id == id {
			return f
		}
	}
}

// add adds a call that is not in the table. It may move all entries.
func (t *inFlightTable) add(f inFlight) {
	if 2*(t.used+1) > len(t.places) {
		t.grow()
	}
	i := t.home(&f.id)
	for t.places[i].account != nil {
		i = (i + 1) & (len(t.places) - 1)
	}
	t.places[i] = f
	t.used++
}

// grow doubles the table. It never shrinks: a burst is likely to come again.
func (t *inFlightTable) grow() {
	old := t.places
	t.places, t.used = make([]inFlight, max(16, 2*len(old))), 0
	for _, f := range old {
		if f.account != nil {
			t.add(f)
		}
	}
}

// remove deletes an entry that find has returned. A search stops at the first empty place. So
// an entry behind the hole moves into the hole if a search for it would stop there.
func (t *inFlightTable) remove(f *inFlight) {
	mask := len(t.places) - 1
	hole := t.home(&f.id)
	for &t.places[hole] != f {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.places[i].account != nil; i = (i + 1) & mask {
		if home := t.home(&t.places[i].id); (i-home)&mask >= (i-hole)&mask {
			t.places[hole] = t.places[i]
			hole = i
		}
	}
	t.places[hole] = inFlight{}
	t.used--
}
