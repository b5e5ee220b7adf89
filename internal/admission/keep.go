package admission

import "sync/atomic"

// A kept slot is one slot of a class and one of its group that a worker has left from its last
// call, for its next call of the same version. A call that finds its worker's kept slot writes no
// word that processors share: it writes the worker's own cell, and when it ends it reads the
// counters of its class and its group. This file has all about kept slots. The rules are:
//
//  1. In the counters a kept slot is in use, like the slot of a call that is about to end. So the
//     limits stay exact: running calls and kept slots together are never more than the limit.
//     A recall takes kept slots back. It comes before any decision that a slot in use may change.
//  2. Only root calls that took their slots at once leave a kept slot, and only if their version has
//     no limit of its own and their class no limit for tenants. All other calls give their slots
//     back. Nested calls, background calls and calls that wait take no kept slot.
//  3. A cell keeps one slot at most. The bit kept in cell.word is the slot: the goroutine that changes
//     it from 1 to 0 has the slot. Only the owner of the Keeper changes it from 0 to 1.
//  4. No slot of a class is kept while a call waits for the class, and none of the group while a
//     class is ready (see Group.ready). Both sides write before they read: keep sets the bit kept and
//     then reads the counters; a waiter sets the slow bit of the counter and then recalls. So either
//     the recall finds the slot, or keep sees the slow bit and gives the slot back under g.mu, as
//     a call does that ends. The same is true of the shut bit, of Version.state and of a lower limit:
//     after each change of one of these there is a recall.
//  5. TryAcquire of a Keeper reads only the cell. While the bit kept is set, a Remove, SetEnabled,
//     Drain or Resize has not recalled this slot yet, so the call comes before that change. After one
//     of these has returned, no call starts with a slot that was kept before.
//  6. No call is refused, and no deadlock is found, because of kept slots. A call that finds no slot
//     takes kept slots back before it waits or is refused (Class.takeKept), and dispatch does so
//     before it passes a ready class over (Group.canServe).
//  7. A number that leaves this package counts no kept slot: Used recalls before it reads.
//  8. The flags Class.keeps and Group.keeps are true while a slot is kept. keep sets the bit kept and
//     then the flags; recall clears the flags and then looks at the cells. While nothing is kept,
//     recall costs one load.
//  9. A version's calls are counted in Version.Entered and Settled and in the version's cells.
//     Only the sums mean something: a call may be counted in a cell when it enters, and in the
//     version when it is settled. When a Keeper lets go of its cell, the cell's counts are added to
//     the version's. Both that and Counts happen under g.mu, so Counts sees each call once. Only the owner
//     counts in its cell. A timer, Close or a caller that leaves may settle a call after the
//     worker's cell is gone, and counts in the version.
// 10. A worker may keep a removed version in memory until it has served another function for a while
//     or ends. A Version refers to no function, so no handler or instance stays in memory with it.

// Keeper is what a worker has to keep the slot of its last call. Its zero value keeps nothing. Only
// one goroutine at a time may call its methods: its owner. All versions that it gets are of one group.
type Keeper struct {
	cell   *cell    // nil if it keeps slots of no version
	last   *Version // the version of the last call, if that is not cell.version; it is only compared
	streak int      // how many of the latest calls in a row were of last
}

// cell is the part of a Keeper that other goroutines see too: recall and Counts, under g.mu. It is on a
// cache line of its own.
type cell struct {
	word    atomic.Uint64 // the bit kept, and how many calls entered with a kept slot
	settled atomic.Uint64
	version *Version // written by the owner under g.mu; the owner reads it without
	index   int      // in the class's keepers.cells; guarded by g.mu
	_       [32]byte // a size that the allocator aligns to cache lines
}

// keepers has the cells of the workers that keep slots of one class. It is apart from Class, so that a
// class of which no slot was ever kept stays small. Guarded by g.mu.
type keepers struct {
	cells   []*cell
	inGroup node[*Class] // the class's link in the list group.keepers, while there are cells
}

const (
	kept    = 1 << iota // the cell keeps a slot
	oneCall             // one call that has entered
)

// inARow is how many calls of one version in a row make a worker keep that version's slots. The change
// from one version to another locks g.mu, so it must not come with each call.
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

// adopt makes v the version whose slots k keeps. It locks g.mu. It uses the old cell again: since
// drop has removed it from its class, no other goroutine sees it.
func (k *Keeper) adopt(v *Version) {
	k.last, k.streak = nil, 0
	g := v.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	c := k.drop()
	if v.refusal(Request{}) != nil {
		return
	}
	if c == nil {
		c = &cell{}
	}
	c.version = v
	v.class.addCell(c)
	k.cell = c
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

// Drop gives the kept slot back, and adds the cell's counts to those of its version. It is called when
// the worker ends; a second call does nothing. It locks g.mu.
func (k *Keeper) Drop() {
	if k.cell == nil {
		return
	}
	g := k.cell.version.class.group
	g.mu.Lock()
	defer g.mu.Unlock()
	k.drop()
}

// drop is Drop with g.mu held. It returns the cell, which is empty then, or nil if there was none.
func (k *Keeper) drop() *cell {
	c := k.cell
	if k.cell = nil; c == nil {
		return nil
	}
	v := c.version
	gave := v.class.recallFrom(c)
	v.Entered.Add(c.word.Swap(0) / oneCall)
	v.Settled.Add(c.settled.Swap(0))
	v.class.removeCell(c)
	c.version = nil
	if gave {
		v.class.group.dispatch()
	}
	return c
}

// ReleaseTo is like Release, but lets k keep the slots if it can. The caller must be the owner
// of k.
func (h *Hold) ReleaseTo(k *Keeper) {
	if !k.keep(h) {
		h.Release()
	}
}

// keep ends h and keeps its slots. It returns false, and has done nothing, if h has to give its slots
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

// takeBack takes the kept slot out of the cell, and reports whether there was one. Then the caller has
// that slot.
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

// hasPlenty reports whether at most half of the slots are in use. If more are, no slot is kept. Otherwise
// a load that goes up and down near the limit would recall again and again. So between two recalls
// that find a slot, calls take at least half of the slots anew, and that is much work beside a recall.
func (v *Version) hasPlenty() bool {
	g := v.class.group
	return g.keepAll || v.class.slots.isHalfFree() && g.slots.isHalfFree()
}

func (n *counter) isHalfFree() bool { v := n.v.Load(); return used(v) <= limit(v)/2 }

// recall gives back the kept slots of c, and reports whether there were any. The caller must
// then call dispatch.
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

// recallFrom gives back the slot that one cell of c keeps. It does what a call does that ends, except
// that it does not change c.turn: the call that had the slot ended when no call waited for it.
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

// recall gives back all kept slots, and reports whether there were any. The caller must then call
// dispatch.
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

// canServe reports whether there is a slot for the first of the ready classes. If none is free it
// recalls first. The group's slow bit is set while a class is ready, so no slot is kept after that.
func (g *Group) canServe() bool {
	if g.ready.len() > 0 && !g.slots.hasRoom() {
		g.recall()
	}
	return g.ready.len() > 0 && g.slots.hasRoom()
}

// takeKept goes on for a call of c that found no slot: takeAtOnce returned missing. If slots are kept
// that the call may lack, takeKept takes them back and tries again. It returns what is missing then.
//
// It sets the slow bit of the counter before it recalls, and clears the bit at its end. Meanwhile no
// other goroutine can take or keep the slots that came back. Without the bit, a call could be
// refused that finds a slot without kept slots. For example, a group has 2 slots, and 2 callers make one call
// after the other. One slot is kept and the other caller's call runs. Our call takes the kept slot back. Before
// it tries again, the other call ends and keeps its slot, and its caller's next call takes the slot that
// came back.
func (c *Class) takeKept(h *Hold, tenant string, missing uint8) uint8 {
	for missing != 0 && c.recallFor(missing) {
		missing = c.takeAtOnce(h, tenant)
	}
	c.recalling, c.group.recalling = false, false
	c.refresh()
	return missing
}

// recallFor takes back the kept slots of c, or of the group, if the slot that is missing may be one of them.
// It returns false if a call can't lack a slot for that reason, or if it has done so before for this call. A slot of
// a version is never kept.
//
// While background calls have slots, mayNotWait computes with the numbers of used slots (see
// servedWithoutJobs), and kept slots would make its result too small. For the group's slots this
// can happen only if limits for tenants or of versions decide how many calls are served.
func (c *Class) recallFor(missing uint8) bool {
	g := c.group
	behind := g.background > 0
	switch {
	case !c.recalling && c.keeps.Load() && (missing == ofClass || behind):
		c.recalling = true
		c.slots.setFlag(slowBit, true)
		c.takeBack()
	case !g.recalling && g.keeps.Load() && (missing == ofGroup || behind && (missing == ofVersion || c.queue.limit > 0)):
		g.recalling = true
		g.slots.setFlag(slowBit, true)
		g.takeBack()
	default:
		return false
	}
	return true
}

// takeBack recalls the kept slots of c, and admits waiters that can use them.
func (c *Class) takeBack() {
	if c.recall() {
		c.group.dispatch()
	}
}

// takeBack recalls all kept slots, and admits waiters that can use them.
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

// Counts returns how many calls of v have entered and how many are settled. It reads the settled
// ones first, so that a call that comes or ends meanwhile can't make settled larger than entered.
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
