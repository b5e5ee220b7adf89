package admission

import "sync/atomic"

// A kept slot is one slot of a class and one of its group that a worker has left from its last
// call, for its next call of the same version. A call that finds its worker's kept slot writes no
// word that processors share: it writes the worker's own cell, and when it ends it reads the
// counters of its class and its group. This file has all about kept slots. What holds of them:
//
//  1. To all others a kept slot is the slot of a call that is about to end: it is in use, and it
//     comes back as soon as somebody lacks it. So the limits stay exact: calls that run and slots
//     that are kept together are never more than the limit, as with calls alone.
//  2. Only root calls that took their slot at once, of versions without a limit of their own and
//     of classes without a limit for tenants, leave a kept slot. All other calls give their slots
//     back. Nested calls, background calls and calls that wait take none that is kept.
//  3. A cell keeps one slot at most. The bit kept in cell.word is the slot: who changes it from 1
//     to 0 has the slot. Only the owner of the Keeper changes it from 0 to 1.
//  4. No slot of a class is kept while a call waits for the class, and none of the group while a
//     class is ready (see Group.ready). keep sets the bit kept and then reads the counters;
//     whoever begins to wait sets the slow bit of the counter and then recalls. So either the
//     recall finds the slot, or keep sees the slow bit, and gives the slot back under g.mu like a
//     call that ends. The same holds for the shut bit, for Version.state and for a lower limit:
//     whoever sets one of them recalls afterwards.
//  5. TryAcquire of a Keeper looks only at the cell: the bit kept says everything. While it is set,
//     whoever has removed, switched off, limited or shut anything has not recalled yet, so that
//     the call comes before that. After a Remove, a SetEnabled, a Drain or a Resize has returned, no
//     call starts with a slot that was kept before.
//  6. Nothing is refused, and no deadlock is found, because of kept slots: a call that finds no
//     slot recalls before it waits or is refused (Class.reclaim), and the room that dispatch
//     looks for includes what is kept (Group.canServe).
//  7. A number that leaves admission counts no kept slot: Used recalls before it reads.
//  8. The flags keeps are true while a slot is kept: keep sets the bit kept, then the flags; recall
//     clears the flags, and then looks at the cells. While nothing is kept, recall is one load.
//  9. The calls of a version are counted in Version.Entered and Settled and in the cells of the
//     version. Only the sums mean something: a call may be counted in a cell when it enters and in
//     the version when it is settled. A cell's counts are added to those of the version under
//     g.mu, by the owner of the Keeper, who knows that nobody counts in the cell meanwhile. Only
//     the owner's goroutines count there: a timer, Close and a caller that leaves may come after
//     the cell is dropped.
// 10. A worker may keep a removed version in memory until it serves another function for a while
//     or ends, but nothing of the version's owner: a Version knows no function.

// Keeper is what a worker has to keep the slot of its last call. Its zero value keeps nothing. All
// its methods may be called by one goroutine at a time, which is its owner.
type Keeper struct {
	cell   *cell    // nil if it keeps slots of no version yet
	last   *Version // of the last call, unless that is cell.version; not used to reach the version
	streak int      // how many of the latest calls in a row were of last
}

// cell is the part of a Keeper that others see too. It is on a cache line of its own.
type cell struct {
	word    atomic.Uint64 // the bit kept, and how many calls entered with a kept slot
	settled atomic.Uint64
	version *Version // constant
	index   int      // in the class's keepers.cells; guarded by g.mu
	_       [32]byte // a size that the allocator aligns to cache lines
}

// keepers has the cells of the workers that keep slots of one class. It is not a part of Class,
// so that a class of which no slot was ever kept stays small. Guarded by g.mu.
type keepers struct {
	cells   []*cell
	inGroup node[*Class] // the class's link in the list group.keepers, while there are cells
}

const (
	kept    = 1 << iota // the cell keeps a slot
	oneCall             // one call that has entered
)

// inARow is after how many calls of one version in a row a worker begins to keep its slots. The
// change locks g.mu.
const inARow = 4

// TryAcquire takes the kept slot for h, if there is one and it is of the version v. It also counts
// the call, so that v.Entered must not be raised for it. If it returns false it has done neither.
// The call must be a root, and not a background call.
func (k *Keeper) TryAcquire(v *Version, h *Hold) bool {
	c := k.cell
	if c == nil || c.version != v {
		k.notice(v)
		return false
	}
	if k.last != nil {
		k.last, k.streak = nil, 0
	}
	w := c.word.Load()
	if w&kept == 0 || !c.word.CompareAndSwap(w, w-kept+oneCall) {
		return false // only a recall makes the swap fail
	}
	h.version = v
	return true
}

// notice sees a call of a version whose slots k does not keep.
func (k *Keeper) notice(v *Version) {
	if k.last != v {
		k.last, k.streak = v, 0
	}
	if k.streak++; k.streak >= inARow && v.mayKeep() {
		k.adopt(v)
	}
}

// adopt makes v the version whose slots k keeps. It locks g.mu.
func (k *Keeper) adopt(v *Version) {
	k.last, k.streak = nil, 0
	g := v.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	k.drop()
	if v.refusal(Request{}) == nil {
		k.cell = &cell{version: v}
		v.class.addCell(k.cell)
	}
}

// Settled counts a settled call of v. The owner of k calls it, before it makes its worker idle.
// Any other goroutine that settles a call, and the owner if k was dropped, counts in v.Settled.
func (k *Keeper) Settled(v *Version) {
	if c := k.cell; c != nil && c.version == v {
		c.settled.Add(1)
		return
	}
	v.Settled.Add(1)
}

// Drop gives the kept slot back; the worker has ended. A second call does nothing. It locks g.mu.
func (k *Keeper) Drop() {
	if k.cell == nil {
		return
	}
	g := k.cell.version.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	k.drop()
}

// drop is Drop with g.mu held.
func (k *Keeper) drop() {
	c := k.cell
	if k.cell = nil; c == nil {
		return
	}
	v := c.version
	gave := v.class.recallFrom(c)
	v.Entered.Add(c.word.Load() / oneCall)
	v.Settled.Add(c.settled.Load())
	v.class.removeCell(c)
	if gave {
		v.class.group.dispatch()
	}
}

// ReleaseTo is like Release, but lets k keep the slots if it can. The caller must be the owner
// of k.
func (h *Hold) ReleaseTo(k *Keeper) {
	if !k.keep(h) {
		h.Release()
	}
}

// keep ends h and keeps its slots. It reports false, and has done nothing, if they are to be given
// back.
func (k *Keeper) keep(h *Hold) bool {
	c, v := k.cell, h.version
	if c == nil || c.version != v || c.word.Load()&kept != 0 || h.parent != nil {
		return false
	}
	if !v.hasPlenty() || !h.phase.CompareAndSwap(untracked, ended) { // see Release
		return false
	}
	c.word.Add(kept)
	for _, keeps := range [...]*atomic.Bool{&v.class.keeps, &v.class.group.keeps} {
		if !keeps.Load() { // a write would take the cache line away from other processors
			keeps.Store(true)
		}
	}
	if !v.mayKeep() && c.takeBack() {
		v.release()
	}
	return true
}

// takeBack reports whether the cell has kept a slot, which is then the caller's.
func (c *cell) takeBack() bool {
	for {
		w := c.word.Load()
		if w&kept == 0 {
			return false
		}
		if c.word.CompareAndSwap(w, w-kept) {
			return true
		}
	}
}

// mayKeep reports whether a slot of v may be kept.
func (v *Version) mayKeep() bool {
	return v.state.Load() == 0 && v.class.slots.isCalm() && v.class.group.slots.isCalm()
}

// isCalm reports whether no flag is set and the limit is not exceeded.
func (n *counter) isCalm() bool {
	v := n.v.Load()
	return v&(slowBit|shutBit) == 0 && used(v) <= limit(v)
}

// hasPlenty reports whether at most half the slots are in use. Above that, no slot is kept, so that
// calls whose number goes up and down near the limit don't have to recall again and again: between
// two recalls that find a slot, half the slots were given back.
func (v *Version) hasPlenty() bool {
	g := v.class.group
	return g.keepAll || v.class.slots.isHalfFree() && g.slots.isHalfFree()
}

func (n *counter) isHalfFree() bool { v := n.v.Load(); return used(v) <= limit(v)/2 }

// recall gives back the slots of c that are kept, and reports whether there were any. The caller
// must then call dispatch.
func (c *Class) recall() (some bool) {
	if !c.keeps.Load() {
		return false
	}
	c.keeps.Store(false)
	for _, k := range c.keepers.cells {
		some = c.recallFrom(k) || some
	}
	return some
}

// recallFrom gives back the slot that one cell of c keeps. It does what a call does that ends, but
// c keeps its turn: the call whose slot it was has ended when nobody waited for it.
func (c *Class) recallFrom(k *cell) bool {
	if !k.takeBack() {
		return false
	}
	c.slots.dec()
	c.group.slots.dec()
	c.refresh()
	c.breakCycles()
	return true
}

// recall gives back all slots that are kept, and reports whether there were any. The caller must
// then call dispatch.
func (g *Group) recall() (some bool) {
	if !g.keeps.Load() {
		return false
	}
	g.keeps.Store(false)
	for c := range g.keepers.all() {
		some = c.recall() || some
	}
	return some
}

// canServe reports whether there is a slot for the first of the ready classes. It recalls if need
// be: g's slow bit is set, so what is kept from then on is given back at once.
func (g *Group) canServe() bool {
	if g.ready.len() > 0 && !g.slots.hasRoom() {
		g.recall()
	}
	return g.ready.len() > 0 && g.slots.hasRoom()
}

// reclaim recalls the slots that a call of c may lack which has found none, and reports whether
// there were any. While the group has room, what other classes keep is left to them. To
// servedWithoutJobs it seems used then. That changes its result only if c has a limit for tenants:
// otherwise at most as many calls are served without background calls as c has of those, and the
// group has room for one more.
func (c *Class) reclaim() bool {
	g := c.group
	some := c.recall()
	if !g.slots.hasRoom() || g.background > 0 && c.queue.limit > 0 {
		some = g.recall() || some
	}
	if some {
		g.dispatch()
	}
	return some
}

// takeBack recalls all that is kept of c.
func (c *Class) takeBack() {
	if c.recall() {
		c.group.dispatch()
	}
}

// takeBack recalls all that is kept.
func (g *Group) takeBack() {
	if g.recall() {
		g.dispatch()
	}
}

func (c *Class) addCell(k *cell) {
	if c.keepers == nil {
		c.keepers = &keepers{}
		c.keepers.inGroup.value = c
	}
	ks := c.keepers
	k.index = len(ks.cells)
	ks.cells = append(ks.cells, k)
	if k.index == 0 {
		c.group.keepers.push(&ks.inGroup)
	}
}

func (c *Class) removeCell(k *cell) {
	ks := c.keepers
	last := len(ks.cells) - 1
	ks.cells[k.index] = ks.cells[last]
	ks.cells[k.index].index = k.index
	ks.cells[last] = nil
	ks.cells = ks.cells[:last]
	if last == 0 {
		ks.inGroup.remove()
	}
}

// Counts returns how many calls of v have entered and how many are settled. What is settled is
// read first, so that a call that comes or ends meanwhile can't make it larger than what has
// entered.
func (v *Version) Counts() (entered, settled uint64) {
	v.class.group.mu.Lock()
	defer v.class.group.mu.Unlock()
	settled = v.Settled.Load()
	for k := range v.cells {
		settled += k.settled.Load()
	}
	entered = v.Entered.Load()
	for k := range v.cells {
		entered += k.word.Load() / oneCall
	}
	return entered, settled
}

// cells yields the cells in which calls of v are counted.
func (v *Version) cells(yield func(*cell) bool) {
	if v.class.keepers == nil {
		return
	}
	for _, k := range v.class.keepers.cells {
		if k.version == v && !yield(k) {
			return
		}
	}
}
