package admission_test

import (
	"slices"
	"time"

	"github.com/inproc/faas/internal/admission"
)

// model computes in the simplest way what a group should do. It keeps all calls in one slice,
// and finds everything by searching it. To find deadlocks it checks for each waiter whether
// the waiter could ever be served if every call ended that can.
type model struct {
	limit   int
	classes []*modelClass
	turns   int // the number of turns given so far
	calls   []*modelCall
	now     time.Duration
	drained bool
	closed  bool
}

type modelClass struct {
	limit, bound     int
	removed, off     bool
	reserved, weight int
	turn             int          // when it last got a slot that others waited for, or gave one back
	queue            []*modelCall // the waiting calls, in the order of arrival
	tenants          modelTenants
	versions         []*modelVersion
}

type modelCall struct {
	class    *modelClass
	version  *modelVersion
	tenant   string
	priority int
	charged  bool          // its tenant is charged for its time
	counts   bool          // it counts against its tenant's limit
	since    time.Duration // when it began
	parent   *modelCall    // nil once it can't lend a slot
	state    state
	err      error
	deadline time.Duration
	stuck    bool
	// The calls from which it has borrowed its slots; nil for a slot of its own.
	classFrom, groupFrom  *modelCall
	groupBorrower         *modelCall // has borrowed its slot of the group
	lender, classBorrower *modelCall // from which it has borrowed the slot of the class, and which has borrowed it from k
	versionHolds
}

type state int

const (
	queued state = iota
	holding
	replaced // its handler goes on without its slots
	over     // ended or refused
)

// half is one of a call's two slots: which call lent it, and which call has borrowed it.
type half struct{ from, to func(*modelCall) *modelCall }

var (
	classHalf = half{func(k *modelCall) *modelCall { return k.classFrom }, func(k *modelCall) *modelCall { return k.classBorrower }}
	groupHalf = half{func(k *modelCall) *modelCall { return k.groupFrom }, func(k *modelCall) *modelCall { return k.groupBorrower }}
)

func halfOf(c *modelClass) half {
	if c == nil {
		return groupHalf
	}
	return classHalf
}

// used reports whether this half of k's slot is still in use: k, or a call that has borrowed
// it from k directly or through others, has not ended.
func (h half) used(k *modelCall) bool {
	for ; k != nil; k = h.to(k) {
		if k.state == holding {
			return true
		}
	}
	return false
}

// owners returns the calls that took a slot of the class from the pool and have not given it
// back. A nil class stands for the group.
func (m *model) owners(c *modelClass) (os []*modelCall) {
	h := halfOf(c)
	for _, k := range m.calls {
		if h.from(k) == k && (c == nil || k.class == c) && h.used(k) {
			os = append(os, k)
		}
	}
	return os
}

func (m *model) room(c *modelClass) bool {
	if c == nil {
		return len(m.owners(nil)) < m.limit
	}
	return len(m.owners(c)) < c.limit
}

// has reports whether k could take a slot of its class and one of its version from the pools.
func (m *model) has(k *modelCall) bool { return m.room(k.class) && m.below(k) && m.roomIn(k.version) }

// lacksOnlyGroup reports whether k could have both of these slots, from the pools or by
// loans.
func (m *model) lacksOnlyGroup(k *modelCall) bool {
	return (m.lenderOf(k) != nil || m.below(k) && m.room(k.class)) && m.hasVersionNow(k)
}

// home reports whether k's parent has not lent its slot of the group.
func (m *model) home(k *modelCall) bool {
	return k.parent != nil && k.parent.state == holding && k.parent.groupBorrower == nil
}

// lenderOf returns the nearest call above k, of the same class, that has not lent its slot,
// or nil. If k's tenant is at its limit, the slot must come with a place in that limit.
func (m *model) lenderOf(k *modelCall) *modelCall {
	for p := k.parent; p != nil; p = p.parent {
		if p.class == k.class && p.state == holding && p.classBorrower == nil && (m.below(k) || place(p, k.tenant)) {
			return p
		}
	}
	return nil
}

func (m *model) take(k *modelCall) bool {
	home, lender := m.home(k), m.lenderOf(k)
	if !m.lacksOnlyGroup(k) || !home && !m.room(nil) {
		return false
	}
	counts := k.class.tenants.limit > 0 && (lender == nil || !place(lender, k.tenant))
	k.classFrom, k.groupFrom = k, k
	if lender != nil {
		k.classFrom, k.lender, lender.classBorrower = lender.classFrom, lender, k
	}
	if home {
		k.groupFrom, k.parent.groupBorrower = k.parent.groupFrom, k
	}
	m.takeVersion(k)
	waited := slices.Contains(k.class.queue, k)
	k.state, k.since, k.charged, k.counts = holding, m.now, waited || k.class.tenants.limit > 0, counts
	k.class.queue = slices.DeleteFunc(k.class.queue, func(q *modelCall) bool { return q == k })
	if waited {
		m.served(k)
	}
	m.park(k)
	return true
}

func (m *model) refuse(k *modelCall, err error) {
	k.state, k.err = over, err
	if i := slices.Index(k.class.queue, k); i >= 0 {
		k.class.queue = slices.Delete(k.class.queue, i, i+1)
		m.gaveUp(k)
	}
}

// next returns the class that gets the next slot of the group, or nil.
func (m *model) next() (first *modelClass) {
	for _, c := range m.classes {
		able := m.open(c) || m.borrower(c) != nil
		if able && (first == nil || m.before(c, first)) {
			first = c
		}
	}
	return first
}

// open reports whether a call that waits for c could run without a loan, apart from its slot
// of the group.
func (m *model) open(c *modelClass) bool { return slices.ContainsFunc(c.queue, m.has) }

// borrower returns the oldest call that waits for c and could borrow the slots that are not
// free.
func (m *model) borrower(c *modelClass) *modelCall {
	i := slices.IndexFunc(c.queue, func(k *modelCall) bool { return m.lacksOnlyGroup(k) && !m.has(k) })
	if i < 0 {
		return nil
	}
	return c.queue[i]
}

// nextOf returns the call of c that gets the next slot of the group, when it is c's turn.
func (m *model) nextOf(c *modelClass) *modelCall {
	b := m.borrower(c)
	if !m.open(c) {
		return b
	}
	k := m.head(c)
	if b != nil && slices.Index(c.queue, b) < slices.Index(c.queue, k) {
		return b
	}
	return k
}

func (m *model) held(c *modelClass) (n int) {
	for _, o := range m.owners(nil) {
		if o.class == c {
			n++
		}
	}
	return n
}

func (m *model) before(c, d *modelClass) bool {
	has, had := m.held(c), m.held(d)
	if low, also := has < c.reserved, had < d.reserved; low != also {
		return low
	} else if low {
		if x, y := float64(has)/float64(c.reserved), float64(had)/float64(d.reserved); x != y {
			return x < y
		}
		return c.turn < d.turn
	}
	if x, y := share(has, c.weight), share(had, d.weight); x != y {
		return x < y
	}
	return c.turn < d.turn
}

// share returns the share by which a class is ranked: of the middle of its next slot, if it
// has any slot.
func share(has, weight int) float64 {
	if has == 0 {
		return 0
	}
	return (float64(has) + 0.5) / float64(weight)
}

// serve admits all calls that can run. First it gives each free slot to the class that is
// next. Then it admits calls that run on loans, first on slots that have just come back.
func (m *model) serve(homes, returned, returnedVersions []*modelCall) {
	for c := m.next(); c != nil && m.room(nil); c = m.next() {
		m.turns++
		c.turn = m.turns
		m.take(m.nextOf(c))
	}
	for _, p := range homes {
		for _, k := range m.calls {
			if k.state == queued && k.parent == p && m.take(k) {
				break
			}
		}
	}
	for _, p := range returned {
		for _, k := range m.calls {
			if k.state == queued && p.classBorrower == nil && above(p, k) && k.class == p.class && m.take(k) {
				break
			}
		}
	}
	for _, p := range returnedVersions {
		for _, k := range m.calls {
			if k.state == queued && p.versionBorrower == nil && above(p, k) && k.version == p.version && m.take(k) {
				break
			}
		}
	}
	for _, c := range m.classes {
		for _, k := range slices.Clone(c.queue) {
			if m.home(k) {
				m.take(k)
			}
		}
	}
}

func (m *model) acquire(k *modelCall) {
	c, parent := k.class, k.parent
	m.calls = append(m.calls, k)
	nested := parent != nil
	if nested && parent.state != holding {
		k.parent = nil
	}
	switch {
	case c.removed, k.version.removed:
		m.refuse(k, admission.ErrRemoved)
	case c.off:
		m.refuse(k, admission.ErrOff)
	case m.closed, m.drained && (!nested || parent.state == over):
		m.refuse(k, admission.ErrClosed)
	case m.take(k):
	case m.stuck(c), m.stuck(nil), m.stuckVersion(k.version):
		m.refuse(k, admission.ErrStuck)
	case len(c.queue) >= c.bound && m.victim(k) == nil:
		m.refuse(k, admission.ErrFull)
	default:
		victim := m.victim(k)
		c.queue = append(c.queue, k)
		m.arrived(k)
		if k.parent != nil && (m.deadlocksByLimit(k) || !m.prospects()[k]) {
			m.refuse(k, admission.ErrCycle)
		} else if victim != nil {
			m.refuse(victim, admission.ErrDisplaced)
		}
	}
}

// stuck reports whether every slot of the class is stuck. A nil class stands for the group.
func (m *model) stuck(c *modelClass) bool {
	limit := m.limit
	if c != nil {
		limit = c.limit
	}
	return m.stuckIn(c) > 0 && m.stuckIn(c) >= limit
}

// refuseStuck refuses the calls for which no slot can become free, since all are stuck.
func (m *model) refuseStuck() {
	for _, c := range m.classes {
		for _, k := range slices.Clone(c.queue) {
			if m.stuck(nil) || m.stuck(c) || m.stuckVersion(k.version) {
				m.refuse(k, admission.ErrStuck)
			}
		}
	}
}

// stuckIn returns how many slots are used by a stuck call, as its own or as a loan.
func (m *model) stuckIn(c *modelClass) (n int) {
	h := halfOf(c)
	for _, o := range m.owners(c) {
		if slices.ContainsFunc(m.calls, func(k *modelCall) bool {
			return k.state == holding && k.stuck && h.from(k) == o
		}) {
			n++
		}
	}
	return n
}

// release gives k's slots back, and sets its state to as: ended or replaced.
func (m *model) release(k *modelCall, as state) {
	c, k0 := k.class, k
	m.charge(k)
	k.state = as
	for _, w := range m.calls {
		if w.state == queued && w.parent == k {
			w.parent = nil
		}
	}
	returnedVersions := m.returnVersion(k)
	returned := m.returnClass(k)
	homes := m.returnGroup(k)
	m.unparkAll()
	m.breakCycles(c)
	if o := k0.groupFrom; !groupHalf.used(o) && m.next() != nil {
		m.turns++
		o.class.turn = m.turns
	}
	m.disown(k0)
	m.serve(homes, returned, returnedVersions)
}

// returnClass gives k's slot of its class back, unless k has lent it. A borrowed slot goes to
// its lender or, if that has ended, to the lender's lender.
func (m *model) returnClass(k *modelCall) (returned []*modelCall) {
	for ; k.classBorrower == nil && k.state >= replaced; k = k.lender {
		if k.counts {
			m.unpark(k.class, k.tenant)
		}
		if k.lender == nil {
			return nil
		}
		k.lender.classBorrower = nil
		if k.lender.state == holding {
			return []*modelCall{k.lender}
		}
	}
	return nil
}

// returnGroup does the same for k's slot of the group.
func (m *model) returnGroup(k *modelCall) (homes []*modelCall) {
	for k.groupBorrower == nil && k.parent != nil && k.parent.groupBorrower == k {
		k = k.parent
		k.groupBorrower = nil
		if k.state == holding {
			return []*modelCall{k}
		}
	}
	return nil
}

func (m *model) unparkAll() {
	for _, c := range m.classes {
		for _, l := range slices.Clone(c.tenants.lanes) {
			m.unpark(c, l.tenant)
		}
	}
}

// disown updates the waiters that could have borrowed the place of k, which has ended.
func (m *model) disown(k *modelCall) {
	c := k.class
	if c.tenants.limit == 0 || !slices.ContainsFunc(c.queue, func(w *modelCall) bool { return above(k, w) }) {
		return
	}
	for _, w := range slices.Clone(c.queue) {
		if above(k, w) && !m.canUseLentSlot(w) && m.blocks(w) {
			m.refuse(w, admission.ErrCycle)
		}
	}
	m.breakCycles(c)
}

// above reports whether w is below k: k made w, or made a call above w.
func above(k, w *modelCall) bool {
	for p := w.parent; p != nil; p = p.parent {
		if p == k {
			return true
		}
	}
	return false
}

// prospects returns the calls that could ever go on if each call ended as soon as the nested
// calls that it waits for have ended. It starts with the calls that need nothing, and adds
// calls until the set no longer grows.
func (m *model) prospects() map[*modelCall]bool {
	good := map[*modelCall]bool{}
	for again := true; again; {
		again = false
		for _, k := range m.calls {
			if !good[k] && (k.state >= replaced || k.state == holding && m.canEnd(k, good) || k.state == queued && m.canGo(k, good)) {
				good[k] = true
				again = true
			}
		}
	}
	return good
}

func (m *model) canEnd(k *modelCall, good map[*modelCall]bool) bool {
	return !slices.ContainsFunc(m.calls, func(x *modelCall) bool { return x.parent == k && !good[x] })
}

func (m *model) canGo(k *modelCall, good map[*modelCall]bool) bool {
	loan := k.parent != nil && comesBack(k.parent.groupBorrower, good, groupHalf)
	for l := k.parent; l != nil && !loan; l = l.groupBorrower {
		if l.state >= replaced {
			return false // a free slot of the group would do, but may never come
		}
	}
	return (loan || m.comesFree(nil, good)) && m.hasClass(k, good) && m.hasVersion(k, good)
}

// hasClass reports whether there will be a slot of its class for k if the calls in good end.
func (m *model) hasClass(k *modelCall, good map[*modelCall]bool) bool {
	soon := m.maySoon(k, good)
	for p := k.parent; p != nil; p = p.parent {
		if p.class == k.class && p.state == holding && (soon || place(p, k.tenant)) && comesBack(p.classBorrower, good, classHalf) {
			return true
		}
	}
	return soon && m.comesFree(k.class, good)
}

// comesBack reports whether the slot that was lent to k will be given back.
func comesBack(k *modelCall, good map[*modelCall]bool, h half) bool {
	for ; k != nil; k = h.to(k) {
		if !good[k] {
			return false
		}
	}
	return true
}

// comesFree reports whether a slot of c is free or will come free. A limit of 0 is set on
// purpose, and is not a deadlock.
func (m *model) comesFree(c *modelClass, good map[*modelCall]bool) bool {
	os := m.owners(c)
	return m.room(c) || len(os) == 0 || slices.ContainsFunc(os, func(o *modelCall) bool { return comesBack(o, good, halfOf(c)) })
}

// breakCycles refuses nested calls that wait for c and could never go on, one after the
// other: each time the newest that holds back a slot that others like it wait for.
func (m *model) breakCycles(c *modelClass) {
	for {
		good := m.prospects()
		i := slices.IndexFunc(m.backward(), func(k *modelCall) bool {
			hopeless := func() bool { return !m.hasClass(k, good) || !m.hasVersion(k, good) }
			return k.state == queued && k.class == c && k.parent != nil && hopeless() && m.keeps(k, good)
		})
		if i < 0 {
			return
		}
		m.refuse(m.backward()[i], admission.ErrCycle)
	}
}

func (m *model) backward() []*modelCall {
	b := slices.Clone(m.calls)
	slices.Reverse(b)
	return b
}

// keeps reports whether w, which could never go on, holds back a slot for which other such
// calls wait.
func (m *model) keeps(w *modelCall, good map[*modelCall]bool) bool {
	wanted := func(c *modelClass) bool {
		return slices.ContainsFunc(c.queue, func(k *modelCall) bool { return k.parent != nil && !m.hasClass(k, good) })
	}
	// The loop goes up through the calls that wait for w, for example for a loan that a child
	// left to it.
	waits := true
	for k, p := w, w.parent; p != nil; k, p = p, p.parent {
		waits = p.state == holding && (waits || p.groupBorrower == k && m.hasWaiting(p))
		if waits && (wanted(p.class) || m.wantedVersion(p.version, good)) {
			return true
		}
		if !waits && p.groupBorrower != k {
			return false
		}
	}
	return false
}

func (m *model) hasWaiting(p *modelCall) bool {
	return slices.ContainsFunc(m.calls, func(k *modelCall) bool { return k.state == queued && k.parent == p })
}

func (m *model) resize(c *modelClass, n int) {
	if c == nil {
		m.limit = n
	} else {
		c.limit = n
	}
	m.serve(nil, nil, nil)
	if c != nil {
		m.breakCycles(c)
	}
	m.refuseStuck()
}

func (m *model) shut(closed bool) {
	m.drained, m.closed = true, m.closed || closed
	for _, k := range m.calls {
		if m.closed && k.state == queued {
			m.refuse(k, admission.ErrClosed)
		}
	}
}

func (m *model) pass(d time.Duration) {
	m.now += d
	for _, k := range m.calls {
		if k.state == queued && k.deadline <= m.now {
			m.refuse(k, admission.ErrTimeout)
		}
	}
}
