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

// machine does the same random steps to a group and to its model.
type machine struct {
	model
	group  *admission.Group
	real   []*admission.Class
	parts  map[*modelVersion]*admission.Version
	theirs map[*modelCall]*call
	ctx    context.Context

	keepers [3]admission.Keeper // not in the model: to it, a slot that is kept is free
	counts  map[*modelVersion]*keptCounts
}

// keptCounts are the calls that took a kept slot, and those that were settled by a keeper.
type keptCounts struct{ entered, settled uint64 }

func newMachine(t *rapid.T) *machine {
	s := &machine{theirs: map[*modelCall]*call{}, parts: map[*modelVersion]*admission.Version{}, ctx: t.Context(), counts: map[*modelVersion]*keptCounts{}}
	s.limit = rapid.IntRange(1, 4).Draw(t, "group")
	s.group = admission.NewGroup(s.limit)
	if rapid.IntRange(0, 3).Draw(t, "keep all") > 0 {
		s.group.KeepAll()
	}
	for range rapid.IntRange(1, 4).Draw(t, "classes") {
		c := &modelClass{limit: drawLimit(t), bound: rapid.SampledFrom([]int{0, 1, 3, 6, 100, 100}).Draw(t, "queue"), weight: 1}
		s.turns++
		c.turn = s.turns
		c.tenants.limit = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "of a tenant")
		r := s.group.NewClass(c.limit, c.bound)
		if c.tenants.limit > 0 {
			r.LimitTenants(c.tenants.limit)
		}
		s.drawVersions(t, c, r)
		s.classes = append(s.classes, c)
		s.real = append(s.real, r)
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
	k := &modelCall{
		class: s.classes[i], version: s.drawVersion(t, s.classes[i]), parent: parent, deadline: s.now + wait,
		tenant:   rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "tenant"),
		priority: rapid.SampledFrom([]int{0, 0, 0, 1, -1}).Draw(t, "priority"),
	}
	s.acquire(k)
	if kept := s.takeKept(t, k); kept != nil {
		s.theirs[k] = kept
		return
	}
	s.theirs[k] = launch(s.ctx, s.parts[k.version], s.theirs[parent], admission.Request{Tenant: k.tenant, Priority: k.priority, Wait: wait})
}

func (s *machine) Root(t *rapid.T) { s.begin(t, nil) }

func (s *machine) AnotherRoot(t *rapid.T) { s.begin(t, nil) } // doubles the probability of kept slots

// takeKept makes the call with a slot that a keeper has, or returns nil.
func (s *machine) takeKept(t *rapid.T, k *modelCall) *call {
	if k.parent != nil || rapid.Bool().Draw(t, "without keeper") {
		return nil
	}
	c := &call{cancel: func() {}}
	if !s.drawKeeper(t, s.parts[k.version]).TryAcquire(s.parts[k.version], &c.hold) {
		return nil
	}
	s.countsOf(k).entered++
	c.answered.Store(true)
	return c
}

// drawKeeper picks a keeper that keeps a slot of v, if there is one.
func (s *machine) drawKeeper(t *rapid.T, v *admission.Version) *admission.Keeper {
	for i := range s.keepers {
		if s.keepers[i].Keeps() && s.keepers[i].KeepsOf(v) {
			return &s.keepers[i]
		}
	}
	return &s.keepers[rapid.IntRange(0, len(s.keepers)-1).Draw(t, "keeper")]
}

func (s *machine) countsOf(k *modelCall) *keptCounts {
	if s.counts[k.version] == nil {
		s.counts[k.version] = &keptCounts{}
	}
	return s.counts[k.version]
}

// Keep ends a call whose worker keeps its slot if it can.
func (s *machine) Keep(t *rapid.T) {
	k := s.draw(t, holding)
	i := rapid.IntRange(0, len(s.keepers)-1).Draw(t, "keeper")
	if v := s.parts[k.version]; v.Limit() == admission.Unlimited && rapid.IntRange(0, 3).Draw(t, "adopt") > 0 && !s.keepers[i].KeepsOf(v) {
		s.keepers[i].Adopt(v)
	}
	s.release(k, over)
	s.theirs[k].hold.ReleaseTo(&s.keepers[i])
	s.keepers[i].Settled(s.parts[k.version])
	s.countsOf(k).settled++
}

func (s *machine) KeepAgain(t *rapid.T) { s.Keep(t) } // doubles the probability

func (s *machine) Drop(t *rapid.T) {
	s.keepers[rapid.IntRange(0, len(s.keepers)-1).Draw(t, "keeper")].Drop()
}

func (s *machine) Used(t *rapid.T) {
	i := rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")
	require.Equal(t, len(s.owners(s.classes[i])), s.real[i].Used())
	require.Equal(t, len(s.owners(nil)), s.group.Used())
}

func (s *machine) Child(t *rapid.T) { s.begin(t, s.draw(t, holding)) }

func (s *machine) Nest(t *rapid.T) { s.begin(t, s.draw(t, holding)) } // doubles the probability of nested calls

func (s *machine) Late(t *rapid.T) { s.begin(t, s.draw(t, over)) }

func (s *machine) On(t *rapid.T) { s.begin(t, s.draw(t, replaced)) }

func (s *machine) Release(t *rapid.T) {
	k := s.draw(t, holding)
	s.release(k, over)
	s.theirs[k].hold.Release()
}

func (s *machine) Replace(t *rapid.T) {
	k := s.draw(t, holding)
	s.release(k, replaced)
	s.theirs[k].hold.Replace()
}

func (s *machine) End(t *rapid.T) {
	k := s.draw(t, replaced)
	k.state = over
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

func (s *machine) Reserve(t *rapid.T) {
	i := rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")
	n := rapid.IntRange(0, 3).Draw(t, "floor")
	c, sum := s.classes[i], 0
	for _, d := range s.classes {
		sum += d.reserved
	}
	if n > c.reserved && sum-c.reserved+n > s.limit {
		require.ErrorIs(t, s.real[i].Reserve(n), admission.ErrReserved)
		return
	}
	require.NoError(t, s.real[i].Reserve(n))
	c.reserved = n
}

func (s *machine) SetWeight(t *rapid.T) {
	i := rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")
	s.classes[i].weight = rapid.IntRange(1, 4).Draw(t, "weight")
	s.real[i].SetWeight(s.classes[i].weight)
}

func (s *machine) SetEnabled(t *rapid.T) {
	i := rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")
	c := s.classes[i]
	c.off = !c.off && rapid.IntRange(0, 3).Draw(t, "off") == 0 // rarely, because little happens while a class is off
	if c.off {
		for _, k := range slices.Clone(c.queue) {
			s.refuse(k, admission.ErrOff)
		}
	}
	s.real[i].SetEnabled(!c.off)
}

func (s *machine) ResizeGroup(t *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(t, "limit")
	s.resize(nil, n)
	s.group.Resize(n)
}

func (s *machine) MarkStuck(t *rapid.T) {
	k := s.draw(t, holding)
	k.stuck = true
	s.refuseStuck()
	s.theirs[k].hold.MarkStuck()
}

func (s *machine) Shut(t *rapid.T) {
	i := rapid.IntRange(0, 40).Draw(t, "what") // the rest is rare, because little happens afterwards
	switch {
	case i < len(s.classes):
		s.classes[i].removed, s.classes[i].reserved = true, 0
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

// Check compares the group with the model. It also checks in both that no slot is free while
// a call waits that may use it.
func (s *machine) Check(t *rapid.T) {
	synctest.Wait()
	for i, k := range s.calls {
		is, should := describe(s.theirs[k]), k.describe()
		require.Equal(t, should, is, "call %d", i)
	}
	require.Equal(t, len(s.owners(nil)), s.group.InUse())
	full := s.group.InUse() >= s.group.Limit()
	for i, c := range s.classes {
		r := s.real[i]
		require.Equal(t, len(s.owners(c)), r.InUse(), "class %d", i)
		require.Equal(t, len(c.queue), r.Queued(), "class %d", i)
		for _, k := range c.queue {
			free := s.lacksOnlyGroup(k)
			require.False(t, free && !full, "class %d idles", i)
			require.False(t, free && s.home(k), "a loan idles")
		}
	}
	s.checkVersions(t)
	require.NoError(t, s.group.Check(s.real...))
	require.NoError(t, s.group.CheckKept())
	for v, n := range s.counts {
		entered, settled := s.parts[v].Counts()
		require.Equal(t, [2]uint64{n.entered, n.settled}, [2]uint64{entered, settled})
	}
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
	return fmt.Sprint("let in, own class ", k.classFrom == k, ", own group ", k.groupFrom == k, ", own version ", k.versionFrom == k)
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
	return fmt.Sprint("let in, own class ", k.hold.OwnsClass(), ", own group ", k.hold.OwnsGroup(), ", own version ", k.hold.OwnsVersion())
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
	for _, v := range s.parts {
		require.NoError(t, v.Quiet())
	}
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
