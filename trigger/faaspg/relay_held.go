package faaspg

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/inproc/faas/trigger/source"
)

// held has the rows that a relay has taken and not let go of. It outlives a Run, because the
// sink reports the end of a row even after the Run has failed.
type held struct {
	ended chan struct{} // holds a token if the end of a row is to be written
	freed chan struct{} // holds a token if a row has ended since the token was last taken

	mu       sync.Mutex // guards what follows
	rows     map[int64]*heldRow
	tenants  map[string]int // how many rows of each tenant are under way
	underWay int
	since    int // how many rows have ended since takeFreed was last called
	over     outcomes
	quiet    chan struct{} // closed when no row is under way; nil: awaitEnds does not wait
}

type heldRow struct {
	tenant  string
	ordered bool // it has an order key
	over    bool // its end is known, and has yet to be written
}

// outcomes has the rows whose end is to be written to the table.
type outcomes struct {
	accepted []int64 // to be deleted
	returned []int64 // to be given back
	rejected []rejection
}

type rejection struct {
	seq int64
	why string
}

func (o *outcomes) isEmpty() bool { return len(o.accepted)+len(o.returned)+len(o.rejected) == 0 }

func (o *outcomes) add(seq int64, err error) {
	switch {
	case err == nil:
		o.accepted = append(o.accepted, seq)
	case errors.Is(err, source.ErrRejected):
		o.rejected = append(o.rejected, rejection{seq, err.Error()})
	default:
		o.returned = append(o.returned, seq)
	}
}

func (h *held) init() {
	h.ended, h.freed = make(chan struct{}, 1), make(chan struct{}, 1)
	h.rows, h.tenants = map[int64]*heldRow{}, map[string]int{}
}

// add notes a row that was taken. It returns false if the relay holds the row already. That
// happens when the relay's term had run out: another relay gave the row back, while here it is
// still under way, or its end has yet to be written.
func (h *held) add(row *row) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows[row.seq] != nil {
		return false
	}
	h.rows[row.seq] = &heldRow{tenant: row.tenant, ordered: row.ordered}
	h.tenants[row.tenant]++
	h.underWay++
	return true
}

// end notes how a row has ended: err is what the sink passes to done. Any goroutine may call
// it.
func (h *held) end(seq int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.rows[seq]
	if row == nil || row.over {
		return
	}
	row.over = true
	h.over.add(seq, err)
	h.underWay--
	h.since++
	if h.tenants[row.tenant]--; h.tenants[row.tenant] == 0 {
		delete(h.tenants, row.tenant)
	}
	if h.underWay == 0 && h.quiet != nil {
		close(h.quiet)
		h.quiet = nil
	}
	token(h.ended)
	token(h.freed)
}

// awaitEnds returns when no row is under way. It must be called after the last row was taken.
func (h *held) awaitEnds() {
	h.mu.Lock()
	if h.underWay == 0 {
		h.mu.Unlock()
		return
	}
	quiet := make(chan struct{})
	h.quiet = quiet
	h.mu.Unlock()
	<-quiet
}

// take returns the ends that are to be written. It removes the rows that are to be given back:
// this relay may take them again as soon as that is written. If the writing fails, appear gives
// them back. The other rows stay held until forget.
func (h *held) take() outcomes {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.over
	h.over = outcomes{}
	for _, seq := range o.returned {
		delete(h.rows, seq)
	}
	return o
}

// putBack undoes take, because the ends could not be written. Returned rows are left to appear.
func (h *held) putBack(o outcomes) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over.accepted = append(h.over.accepted, o.accepted...)
	h.over.rejected = append(h.over.rejected, o.rejected...)
	token(h.ended)
}

// forget removes rows whose end has been written. It reports whether one of them had an order
// key, because then the next row of that key can be taken.
func (h *held) forget(o *outcomes) (ordered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, seq := range o.accepted {
		ordered = ordered || h.rows[seq].ordered
		delete(h.rows, seq)
	}
	for _, r := range o.rejected {
		ordered = ordered || h.rows[r.seq].ordered
		delete(h.rows, r.seq)
	}
	return ordered
}

// seqs returns the numbers of the rows that are held.
func (h *held) seqs() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.AppendSeq([]int64{}, maps.Keys(h.rows))
}

// room returns how many more rows may be under way, in total and for each of the tenants.
func (h *held) room(window int, tenants []string) (all int, each []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range tenants {
		each = append(each, max(0, window/2-h.tenants[t]))
	}
	return max(0, window-h.underWay), each
}

// takeFreed returns how many rows have ended since its last call.
func (h *held) takeFreed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.since
	h.since = 0
	return n
}

func (h *held) countFreed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since
}

// token puts a token into a channel of capacity one, unless it is full.
func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
