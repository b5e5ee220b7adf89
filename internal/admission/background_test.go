package admission_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/admission"
)

// beginBehind makes a background call on behalf of a tenant.
func beginBehind(t *testing.T, c *admission.Class, tenant string) *call {
	t.Helper()
	k := launch(t.Context(), c, nil, admission.Request{Tenant: tenant, Wait: patience, Background: true})
	synctest.Wait()
	return k
}

func TestABackgroundCallHasNoPlaceInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 2)
		running := beginAs(t, c, nil, "live")
		behind := []*call{beginBehind(t, c, "jobs"), beginBehind(t, c, "jobs"), beginBehind(t, c, "jobs")}
		first, second := beginAs(t, c, nil, "live"), beginAs(t, c, nil, "live")
		waits(t, append(behind, first, second)...)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "live"))
		third := beginBehind(t, c, "jobs")
		waits(t, third)
		assert.Equal(t, 6, c.Queued())
		other := beginAs(t, c, nil, "other") // displaces a call of the tenant with most places; jobs has no place
		refused(t, admission.ErrDisplaced, second)
		end(running, behind[0], other, first, behind[1], behind[2], third)
		quiet(t, g, c)
	})
}

func TestABackgroundCallRunsWhileTheGroupDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 0)
		g.Drain()
		refused(t, admission.ErrClosed, beginAs(t, c, nil, "live"))
		running := beginBehind(t, c, "jobs")
		waiting := beginBehind(t, c, "jobs")
		waits(t, waiting)
		end(running)
		g.Close()
		refused(t, admission.ErrClosed, beginBehind(t, c, "jobs"))
		end(waiting)
		quiet(t, g, c)
	})
}

func TestALiveCallWaitsForTheSlotOfABackgroundCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(2, 0)
		live, job := beginAs(t, c, nil, "live"), beginBehind(t, c, "jobs")
		next := beginAs(t, c, nil, "live")
		waits(t, next)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "live"))
		end(job)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "live"))
		end(live, next)
		quiet(t, g, c)
	})
}

func TestALiveCallWaitsForTheSlotOfTheGroupThatABackgroundCallHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c, other := g.NewClass(admission.Unlimited, 0), g.NewClass(1, 0)
		job := beginBehind(t, other, "jobs")
		next := beginAs(t, c, nil, "live")
		waits(t, next)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "live"))
		end(job, next)
		quiet(t, g, c, other)
	})
}

func TestTheCallsBelowABackgroundCallTurnNoLiveCallAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c, below := g.NewClass(1, 0), g.NewClass(1, 1)
		job := beginBehind(t, c, "jobs")
		nested := beginAs(t, below, job, "jobs")
		first, second := beginAs(t, below, nil, "live"), beginAs(t, below, nil, "live")
		waits(t, first, second) // one for the background call's slot, and one in the queue
		refused(t, admission.ErrFull, beginAs(t, below, nil, "live"))
		more := beginAs(t, below, job, "jobs")
		waits(t, more) // in addition to the live calls
		refused(t, admission.ErrFull, beginAs(t, below, job, "jobs"))
		end(nested, first, more, second, job)
		quiet(t, g, c, below)
	})
}

// backgroundRun is a group with two classes. The first class is tested: its calls are of two
// versions and two tenants. The second takes slots of the group from it.
type backgroundRun struct {
	group, bound, tenants int
	classes               [2]*admission.Class
	limits                [2]int
	versions              [2]*admission.Version // of the first class
	own                   [2]int
	calls                 []*backgroundCall // the calls that run or wait
}

type backgroundCall struct {
	hold           admission.Hold
	told           <-chan admission.Answer
	class, version int
	tenant         string
	live, runs     bool
}

// servable returns how many of a class's waiting live calls could run if there were no
// background calls. It admits them one by one, and counts each against every limit.
func (r *backgroundRun) servable(class int, more *backgroundCall) (served, waiting int) {
	var all, inClass int
	versions, tenants := [2]int{}, map[string]int{}
	fits := func(k *backgroundCall) bool {
		return all < r.group && inClass < r.limits[class] && versions[k.version] < r.own[k.version] && tenants[k.tenant] < r.tenants
	}
	count := func(k *backgroundCall) {
		all++
		if k.class == class {
			inClass++
			versions[k.version]++
			tenants[k.tenant]++
		}
	}
	queue := []*backgroundCall{more}
	for _, k := range r.calls {
		if k.live && k.runs {
			count(k)
		}
		if k.live && !k.runs && k.class == class {
			queue = append(queue, k)
		}
	}
	for _, k := range queue {
		if fits(k) {
			count(k)
			served++
		}
	}
	return served, len(queue)
}

// look reads the answers of the calls that waited, and returns how many were refused.
func (r *backgroundRun) look(t rapid.TB) (refused int) {
	r.calls = slices.DeleteFunc(r.calls, func(k *backgroundCall) bool {
		select {
		case a := <-k.told:
			k.runs = a.Err() == nil
			if !k.runs {
				require.True(t, k.live, "a background call is never refused")
				require.True(t, errors.Is(a.Err(), admission.ErrFull) || errors.Is(a.Err(), admission.ErrDisplaced))
				refused++
			}
			return !k.runs
		default:
			return false
		}
	})
	return refused
}

func (r *backgroundRun) arrive(t *rapid.T) {
	k := &backgroundCall{
		class: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "class"), version: rapid.IntRange(0, 1).Draw(t, "version"),
		tenant: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "tenant"), live: rapid.Bool().Draw(t, "live"),
	}
	v := r.versions[k.version]
	if k.class == 1 {
		v, k.version = r.classes[1].Base(), 0
	}
	served, waiting := r.servable(k.class, k)
	k.told = v.Join(&k.hold, admission.Request{Tenant: k.tenant, Background: !k.live})
	r.calls = append(r.calls, k)
	refused := r.look(t)
	if !k.live {
		require.Zero(t, refused, "a live call is refused for a background call")
		return
	}
	if k.class == 0 {
		require.Equal(t, waiting-served > r.bound, refused == 1, "%d live calls wait, without the others %d could run: %d refused", waiting, served, refused)
	}
}

// A live call is refused for a full queue exactly if it would also be refused without
// background calls: if the waiting live calls that could not run even then fill the queue.
func TestLiveCallsAreRefusedAsIfThereWereNoBackgroundCalls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 2, 3, admission.Unlimited})
		r := &backgroundRun{
			group: rapid.IntRange(1, 4).Draw(t, "group"), bound: rapid.IntRange(0, 2).Draw(t, "bound"),
			tenants: admission.Unlimited, limits: [2]int{limit.Draw(t, "limit"), admission.Unlimited}, own: [2]int{admission.Unlimited, admission.Unlimited},
		}
		g := admission.NewGroup(r.group)
		r.classes = [2]*admission.Class{g.NewClass(r.limits[0], r.bound), g.NewClass(admission.Unlimited, 100)}
		r.versions = [2]*admission.Version{r.classes[0].Base(), r.classes[0].Base()}
		switch rapid.IntRange(0, 2).Draw(t, "also limits") {
		case 1:
			r.own = [2]int{limit.Draw(t, "first version"), limit.Draw(t, "second version")}
			r.versions = [2]*admission.Version{r.classes[0].NewVersion(r.own[0]), r.classes[0].NewVersion(r.own[1])}
		case 2:
			r.tenants = rapid.IntRange(1, 2).Draw(t, "tenants")
			r.classes[0].LimitTenants(r.tenants)
		}
		t.Repeat(map[string]func(*rapid.T){
			"arrive": r.arrive,
			"end": func(t *rapid.T) {
				running := slices.DeleteFunc(slices.Clone(r.calls), func(k *backgroundCall) bool { return !k.runs })
				if len(running) == 0 {
					t.Skip("none runs")
				}
				k := rapid.SampledFrom(running).Draw(t, "which")
				k.hold.Release()
				r.calls = slices.DeleteFunc(r.calls, func(o *backgroundCall) bool { return o == k })
				require.Zero(t, r.look(t))
			},
			"": func(t *rapid.T) { require.NoError(t, g.Check(r.classes[:]...)) },
		})
		for len(r.calls) > 0 {
			i := slices.IndexFunc(r.calls, func(k *backgroundCall) bool { return k.runs })
			require.GreaterOrEqual(t, i, 0)
			k := r.calls[i]
			r.calls = slices.Delete(r.calls, i, i+1)
			k.hold.Release()
			r.look(t)
		}
		require.NoError(t, g.Quiet(r.classes[:]...))
	})
}
