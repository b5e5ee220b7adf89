package admission_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/admission"
)

// The model says what should happen in the plainest way: it keeps all calls in
// one slice, finds out everything by searching it, and asks of each waiter
// whether it could ever be served if every call ended that can.
type model struct {
	limit   int
	classes []*modelClass
	turns   []*modelClass // those with a waiter and room, in the order of their turns
	calls   []*modelCall
	now     time.Duration
	drained bool
	closed  bool
}

type modelClass struct {
	limit, bound int
	removed      bool
	queue        []*modelCall
}

type modelCall struct {
	class    *modelClass
	parent   *modelCall // nil once it can't lend
	state    state
	err      error
	deadline time.Duration
	stuck    bool
	// Where a slot of its own is, or whose it uses.
	classFrom, groupFrom *modelCall
	lent                 *modelCall
}

type state int

const (
	queued state = iota
	holding
	over // ended or refused
)

// used tells whether the slot of o's own has not come back: o or one of those
// that have it from o, down the line, has not ended.
func used(o *modelCall, of func(*modelCall) *modelCall) bool {
	for k := o; k != nil && of(k) == o; k = k.lent {
		if k.state == holding {
			return true
		}
	}
	return false
}

func classFrom(k *modelCall) *modelCall { return k.classFrom }
func groupFrom(k *modelCall) *modelCall { return k.groupFrom }

// owners lists the calls with a slot of the class (nil: of the group) that is
// not back yet.
func (m *model) owners(c *modelClass) (os []*modelCall) {
	of := groupFrom
	if c != nil {
		of = classFrom
	}
	for _, k := range m.calls {
		if of(k) == k && (c == nil || k.class == c) && used(k, of) {
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

// home tells whether k's parent has its loan at home.
func (m *model) home(k *modelCall) bool {
	return k.parent != nil && k.parent.state == holding && k.parent.lent == nil
}

func (m *model) take(k *modelCall) bool {
	home := m.home(k)
	switch {
	case home && k.parent.class == k.class:
		k.classFrom, k.groupFrom = k.parent.classFrom, k.parent.groupFrom
	case !m.room(k.class):
		return false
	case home:
		k.classFrom, k.groupFrom = k, k.parent.groupFrom
	case m.room(nil):
		k.classFrom, k.groupFrom = k, k
	default:
		return false
	}
	if home {
		k.parent.lent = k
	}
	k.state = holding
	m.settle()
	return true
}

func (m *model) refuse(k *modelCall, err error) {
	k.state, k.err = over, err
	m.settle()
}

// settle takes out of the queues who does not wait any more, and brings the
// turns up to date.
func (m *model) settle() {
	for _, c := range m.classes {
		c.queue = slices.DeleteFunc(c.queue, func(k *modelCall) bool { return k.state != queued })
		eligible := len(c.queue) > 0 && m.room(c)
		if i := slices.Index(m.turns, c); i >= 0 && !eligible {
			m.turns = slices.Delete(m.turns, i, i+1)
		} else if i < 0 && eligible {
			m.turns = append(m.turns, c)
		}
	}
}

// serve lets in whoever can go: by free slots in turns, then by loans, those
// that have just come home first.
func (m *model) serve(homes ...*modelCall) {
	m.settle()
	for len(m.turns) > 0 && m.room(nil) {
		c := m.turns[0]
		m.take(c.queue[0])
		if i := slices.Index(m.turns, c); i >= 0 {
			m.turns = append(slices.Delete(m.turns, i, i+1), c)
		}
	}
	for _, p := range homes {
		for _, k := range m.calls {
			if k.state == queued && k.parent == p && m.take(k) {
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

func (m *model) acquire(c *modelClass, parent *modelCall, wait time.Duration) *modelCall {
	k := &modelCall{class: c, parent: parent, deadline: m.now + wait}
	m.calls = append(m.calls, k)
	nested := parent != nil
	if nested && parent.state != holding {
		k.parent = nil
	}
	switch {
	case c.removed:
		m.refuse(k, admission.ErrRemoved)
	case m.closed, m.drained && !nested:
		m.refuse(k, admission.ErrClosed)
	case m.take(k):
	case m.stuckIn(c) > 0 && m.stuckIn(c) >= min(c.limit, m.limit),
		m.stuckIn(nil) > 0 && m.stuckIn(nil) >= m.limit:
		m.refuse(k, admission.ErrStuck)
	case len(c.queue) >= c.bound:
		m.refuse(k, admission.ErrFull)
	default:
		c.queue = append(c.queue, k)
		m.settle()
		if k.parent != nil && !m.prospects()[k] {
			m.refuse(k, admission.ErrCycle)
		}
	}
	return k
}

// stuckIn counts the slots that a stuck call uses, itself or by a loan.
func (m *model) stuckIn(c *modelClass) (n int) {
	of := groupFrom
	if c != nil {
		of = classFrom
	}
	for _, o := range m.owners(c) {
		if slices.ContainsFunc(m.calls, func(k *modelCall) bool {
			return k.state == holding && k.stuck && of(k) == o
		}) {
			n++
		}
	}
	return n
}

func (m *model) release(k *modelCall) {
	c := k.class
	k.state = over
	for _, w := range m.calls {
		if w.state == queued && w.parent == k {
			w.parent = nil
		}
	}
	// What it had borrowed goes home, unless it has lent it on.
	var homes []*modelCall
	for k.lent == nil && k.parent != nil && k.parent.lent == k {
		k = k.parent
		k.lent = nil
		if k.state == holding {
			homes = append(homes, k)
			break
		}
	}
	m.unknot(c)
	m.serve(homes...)
}

// prospects finds who could ever go on, if each call ended as soon as the
// nested ones have that it waits for: the least such set, grown from those
// that need nothing.
func (m *model) prospects() map[*modelCall]bool {
	good := map[*modelCall]bool{}
	for again := true; again; {
		again = false
		for _, k := range m.calls {
			if !good[k] && (k.state == over || k.state == holding && m.canEnd(k, good) || k.state == queued && m.canGo(k, good)) {
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
	loan := k.parent != nil && m.comesBack(k.parent.lent, good, groupFrom)
	for l := k.parent; l != nil && !loan; l = l.lent {
		if l.state == over {
			return false // a slot of the group might do, but nobody counts on that
		}
	}
	return loan && k.parent.class == k.class ||
		m.comesFree(k.class, good) && (loan || m.comesFree(nil, good))
}

// comesBack tells whether what was lent to k will be given back.
func (m *model) comesBack(k *modelCall, good map[*modelCall]bool, of func(*modelCall) *modelCall) bool {
	for ; k != nil; k = k.lent {
		if !good[k] {
			return false
		}
		if k.lent != nil && of(k.lent) != of(k) {
			return true
		}
	}
	return true
}

// comesFree tells whether not all slots are held for good. A limit of none is
// somebody's decision and no knot.
func (m *model) comesFree(c *modelClass, good map[*modelCall]bool) bool {
	of := groupFrom
	if c != nil {
		of = classFrom
	}
	os := m.owners(c)
	return m.room(c) || len(os) == 0 || slices.ContainsFunc(os, func(o *modelCall) bool { return m.comesBack(o, good, of) })
}

// unknot refuses the newest of the nested calls for c without prospects that
// keeps c from coming free, as long as there is one.
func (m *model) unknot(c *modelClass) {
	for {
		good := m.prospects()
		if m.comesFree(c, good) {
			return
		}
		i := slices.IndexFunc(m.backward(), func(k *modelCall) bool {
			return k.state == queued && k.class == c && k.parent != nil && m.keeps(k, good)
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

// keeps tells whether w, being without prospects, keeps a slot from its class
// that others without prospects wait for.
func (m *model) keeps(w *modelCall, good map[*modelCall]bool) bool {
	if good[w] || w.parent.class == w.class {
		return false
	}
	wanted := func(c *modelClass) bool {
		return slices.ContainsFunc(c.queue, func(k *modelCall) bool { return k.parent != nil }) && !m.comesFree(c, good)
	}
	// Upwards: who waits for w, be it for a loan that a child left further
	// down, and whose slot is with one who does.
	waits, inUse := true, true
	for k, p := w, w.parent; p != nil; k, p = p, p.parent {
		waits = p.state == holding && (waits || p.lent == k && m.hasWaiting(p))
		inUse = waits || inUse && p.lent == k && k.classFrom == p.classFrom
		if inUse && p.classFrom == p && wanted(p.class) {
			return true
		}
		if !waits && p.lent != k {
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
	m.serve()
	if c != nil {
		m.unknot(c)
	}
}

func (m *model) shut(closed bool) {
	m.drained, m.closed = true, m.closed || closed
	for _, k := range m.calls {
		if m.closed && k.state == queued {
			k.state, k.err = over, admission.ErrClosed
		}
	}
	m.settle()
}

func (m *model) pass(d time.Duration) {
	m.now += d
	for _, k := range m.calls {
		if k.state == queued && k.deadline <= m.now {
			k.state, k.err = over, admission.ErrTimeout
		}
	}
	m.settle()
}

// machine drives a group and its model by the same steps.
type machine struct {
	model
	group  *admission.Group
	real   []*admission.Class
	theirs map[*modelCall]*call
	ctx    context.Context
}

func newMachine(t *rapid.T) *machine {
	s := &machine{theirs: map[*modelCall]*call{}, ctx: t.Context()}
	s.limit = rapid.IntRange(1, 4).Draw(t, "group")
	s.group = admission.NewGroup(s.limit)
	for range rapid.IntRange(1, 4).Draw(t, "classes") {
		c := &modelClass{limit: drawLimit(t), bound: rapid.SampledFrom([]int{0, 1, 3, 100, 100}).Draw(t, "queue")}
		s.classes = append(s.classes, c)
		s.real = append(s.real, s.group.NewClass(c.limit, c.bound))
	}
	return s
}

func drawLimit(t *rapid.T) int {
	return rapid.SampledFrom([]int{1, 1, 1, 2, 2, 3, admission.Unlimited, 0}).Draw(t, "limit")
}

// draw picks a call in the given state.
func (s *machine) draw(t *rapid.T, in state) *modelCall {
	var ks []*modelCall
	for _, k := range s.calls {
		if k.state == in && k.err == nil {
			ks = append(ks, k)
		}
	}
	if len(ks) == 0 {
		t.Skip("no such call")
	}
	return ks[rapid.IntRange(0, len(ks)-1).Draw(t, "call")]
}

func (s *machine) begin(t *rapid.T, parent *modelCall) {
	i := rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")
	wait := time.Duration(rapid.IntRange(1, 100).Draw(t, "wait")) * time.Minute
	k := s.acquire(s.classes[i], parent, wait)
	s.theirs[k] = launch(s.ctx, s.real[i], s.theirs[parent], wait)
}

func (s *machine) Root(t *rapid.T)  { s.begin(t, nil) }
func (s *machine) Child(t *rapid.T) { s.begin(t, s.draw(t, holding)) }
func (s *machine) Nest(t *rapid.T)  { s.begin(t, s.draw(t, holding)) } // as often again
func (s *machine) Late(t *rapid.T)  { s.begin(t, s.draw(t, over)) }

func (s *machine) Release(t *rapid.T) {
	k := s.draw(t, holding)
	s.release(k)
	s.theirs[k].hold.Release()
}

func (s *machine) Cancel(t *rapid.T) {
	k := s.draw(t, queued)
	s.refuse(k, context.Canceled)
	s.theirs[k].cancel()
}

func (s *machine) Pass(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes")) * time.Minute
	s.pass(d)
	time.Sleep(d)
}

func (s *machine) Resize(t *rapid.T) {
	i := rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")
	n := drawLimit(t)
	s.resize(s.classes[i], n)
	s.real[i].Resize(n)
}

func (s *machine) ResizeGroup(t *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(t, "limit")
	s.resize(nil, n)
	s.group.Resize(n)
}

func (s *machine) Stick(t *rapid.T) {
	k := s.draw(t, holding)
	k.stuck = !k.stuck
	s.theirs[k].hold.Stick(k.stuck)
}

func (s *machine) Shut(t *rapid.T) {
	i := rapid.IntRange(0, 40).Draw(t, "what") // rarely: little happens afterwards
	switch {
	case i < len(s.classes):
		s.classes[i].removed = true
		s.real[i].Remove()
	case i == 10:
		s.shut(false)
		s.group.Drain()
	case i == 11:
		s.shut(true)
		s.group.Close()
	default:
		t.Skip("not now")
	}
}

// Check compares what is with what should be, and both with the promise that
// no slot idles while work waits that is permitted.
func (s *machine) Check(t *rapid.T) {
	synctest.Wait()
	for i, k := range s.calls {
		is, should := describe(s.theirs[k]), k.describe()
		require.Equal(t, should, is, "call %d", i)
	}
	require.Equal(t, len(s.owners(nil)), s.group.Used())
	full := s.group.Used() >= s.group.Limit()
	for i, c := range s.classes {
		r := s.real[i]
		require.Equal(t, len(s.owners(c)), r.Used(), "class %d", i)
		require.Equal(t, len(c.queue), r.Queued(), "class %d", i)
		require.True(t, r.Queued() == 0 || full || r.Used() >= r.Limit(), "class %d idles", i)
		for _, k := range c.queue {
			require.False(t, s.home(k) && (k.parent.class == c || r.Used() < r.Limit()), "a loan idles")
		}
	}
	require.NoError(t, s.group.Check(s.real...))
}

func (k *modelCall) describe() string {
	switch {
	case k.err != nil:
		return k.err.Error()
	case k.state == queued:
		return "waits"
	case k.parent == nil:
		return "let in as a root"
	}
	return fmt.Sprint("let in, own class ", k.classFrom == k, ", own group ", k.groupFrom == k)
}

func describe(k *call) string {
	switch {
	case k.waits():
		return "waits"
	case k.err != nil:
		return k.err.Error()
	case k.hold.Orphan():
		return "let in as a root"
	}
	return fmt.Sprint("let in, own class ", k.hold.OwnsClass(), ", own group ", k.hold.OwnsGroup())
}

// finish ends everything, in any order, and asserts that nothing is left.
func (s *machine) finish(t *rapid.T) {
	for _, k := range s.calls {
		if k.state == queued {
			s.theirs[k].cancel()
		}
	}
	synctest.Wait()
	for _, k := range rapid.Permutation(s.calls).Draw(t, "order") {
		if s.theirs[k].runs() && k.state != over {
			s.theirs[k].hold.Release()
		}
	}
	require.NoError(t, s.group.Quiet(s.real...))
}

func TestGroupBehavesLikeItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			s := newMachine(t)
			t.Repeat(rapid.StateMachineActions(s))
			s.finish(t)
		})
	})
}
