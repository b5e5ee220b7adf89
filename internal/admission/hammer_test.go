package admission_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/admission"
)

// hammer makes many calls at once, in several classes, that make nested calls at random.
type hammer struct {
	t       *testing.T
	group   *admission.Group
	classes []*admission.Class
	own     []atomic.Int64 // slots of each class that calls hold at the moment, without loans
	tenants [][3]atomic.Int64
	limits  []int        // the limit of a tenant's calls, by class; 0: none
	ownAll  atomic.Int64 // slots of the group that calls hold at the moment, without loans
	cancels bool         // some calls give up, or never wait for their children
	exact   bool         // limits only grow
	sticks  bool         // some handlers outlive their calls, which are marked stuck or replaced
	pause   func(*rand.Rand)

	ran, refused, cycles atomic.Int64
}

func newHammer(t *testing.T, group int, limits ...int) *hammer {
	t.Helper()
	h := &hammer{t: t, group: admission.NewGroup(group), own: make([]atomic.Int64, len(limits)), exact: true}
	h.tenants = make([][3]atomic.Int64, len(limits))
	for i, n := range limits {
		c := h.group.NewClass(n, 10_000)
		h.classes, h.limits = append(h.classes, c), append(h.limits, 0)
		c.SetWeight(1 + i)
		if i%3 == 1 {
			h.limits[i] = 2
			c.LimitTenants(2)
		}
	}
	return h
}

// run starts roots on many goroutines, and returns when all calls have ended.
func (h *hammer) run(roots, each int, also ...func(done <-chan struct{})) {
	var calls, others sync.WaitGroup
	for i := range roots {
		calls.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range each {
				h.call(h.t.Context(), r, &calls, nil, 0)
			}
		})
	}
	done := make(chan struct{})
	for _, f := range also {
		others.Go(func() { f(done) })
	}
	calls.Wait()
	close(done)
	others.Wait()
	assert.NoError(h.t, h.group.Quiet(h.classes...))
	for i := range h.own {
		assert.Zero(h.t, h.classes[i].Queued())
		assert.Zero(h.t, h.own[i].Load())
	}
	h.t.Logf("%d ran, %d were refused or gave up, %d of them in a cycle", h.ran.Load(), h.refused.Load(), h.cycles.Load())
	assert.Positive(h.t, h.ran.Load())
}

func (h *hammer) call(ctx context.Context, r *rand.Rand, calls *sync.WaitGroup, parent *admission.Hold, depth int) {
	i := r.IntN(len(h.classes))
	if h.cancels && r.IntN(4) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(1000))*time.Microsecond)
		defer cancel()
	}
	hold, tenant := &admission.Hold{}, r.IntN(3)
	request := admission.Request{Parent: parent, Tenant: strconv.Itoa(tenant), Priority: r.IntN(3), Wait: patience}
	if err := h.classes[i].Acquire(ctx, hold, request); err != nil {
		h.explain(err)
		return
	}
	h.ran.Add(1)
	h.enter(i, hold)
	h.count(i, tenant, hold, 1)
	h.children(ctx, r, calls, hold, depth)
	h.pause(r)
	h.count(i, tenant, hold, -1)
	h.leave(i, hold)
	if h.sticks {
		h.outlive(r, hold)
	}
	hold.Release()
}

// outlive lets a handler run on for a while after its call was answered.
func (h *hammer) outlive(r *rand.Rand, hold *admission.Hold) {
	switch r.IntN(4) {
	case 0:
		hold.Replace()
		h.pause(r)
	case 1:
		hold.MarkStuck()
		h.pause(r)
	}
}

// explain fails the test for a refusal that may mean that a waiter was forgotten, and accepts
// the others.
func (h *hammer) explain(err error) {
	h.refused.Add(1)
	switch {
	case errors.Is(err, admission.ErrCycle):
		h.cycles.Add(1)
	case h.sticks && errors.Is(err, admission.ErrStuck):
	case h.cancels && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
	default:
		assert.NoError(h.t, err)
	}
}

func (h *hammer) children(ctx context.Context, r *rand.Rand, calls *sync.WaitGroup, hold *admission.Hold, depth int) {
	if depth == 4 || r.IntN(3) == 0 {
		return
	}
	var own sync.WaitGroup
	for range r.IntN(4) {
		seed, wait := r.Uint64(), &own
		if h.cancels && r.IntN(8) == 0 {
			wait = calls
		}
		wait.Go(func() { h.call(ctx, rand.New(rand.NewPCG(seed, 2)), calls, hold, depth+1) })
	}
	h.pause(r)
	own.Wait()
}

// enter and leave count the slots between Acquire and Release, so their count is never larger
// than the number of slots in use. The limit is read after the count. If limits only grow, it
// is not smaller than at the time of the count.
func (h *hammer) enter(i int, hold *admission.Hold) {
	if hold.OwnsClass() {
		n := h.own[i].Add(1)
		if limit := h.classes[i].Limit(); h.exact && n > int64(limit) {
			h.t.Errorf("class %d: %d slots in use of %d", i, n, limit)
		}
	}
	if hold.OwnsGroup() {
		n := h.ownAll.Add(1)
		if limit := h.group.Limit(); h.exact && n > int64(limit) {
			h.t.Errorf("group: %d slots in use of %d", n, limit)
		}
	}
}

// count does the same for the tenants of a class that has a limit for tenants.
func (h *hammer) count(i, tenant int, hold *admission.Hold, by int64) {
	if !hold.OwnsClass() {
		return
	}
	if n := h.tenants[i][tenant].Add(by); h.limits[i] > 0 && n > int64(h.limits[i]) {
		h.t.Errorf("class %d: %d calls of tenant %d", i, n, tenant)
	}
}

func (h *hammer) leave(i int, hold *admission.Hold) {
	if hold.OwnsClass() {
		h.own[i].Add(-1)
	}
	if hold.OwnsGroup() {
		h.ownAll.Add(-1)
	}
}

// check checks the state again and again while calls run. It is for virtual time only:
// without the pauses there, it would hold the lock nearly all the time.
func (h *hammer) check(done <-chan struct{}) {
	r := rand.New(rand.NewPCG(1, 3))
	for !finished(done) {
		if !assert.NoError(h.t, h.group.Check(h.classes...)) {
			return
		}
		h.pause(r)
	}
}

func (h *hammer) grow(done <-chan struct{}) {
	r := rand.New(rand.NewPCG(1, 4))
	for !finished(done) {
		c := h.classes[r.IntN(len(h.classes))]
		if c.Limit() < 20 {
			c.Resize(c.Limit() + 1)
		}
		if h.group.Limit() < 40 {
			h.group.Resize(h.group.Limit() + 1)
		}
		h.pause(r)
	}
}

func (h *hammer) resize(done <-chan struct{}) {
	r := rand.New(rand.NewPCG(1, 5))
	for !finished(done) {
		h.classes[r.IntN(len(h.classes))].Resize(1 + r.IntN(5))
		h.group.Resize(1 + r.IntN(10))
		h.pause(r)
	}
}

func finished(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// In a bubble, a forgotten waiter times out as soon as no call runs, and the test fails.
func TestHammerInVirtualTime(t *testing.T) {
	t.Parallel()
	cases := map[string]func(h *hammer){
		"fixed":    func(h *hammer) { h.run(50, 20, h.check) },
		"growing":  func(h *hammer) { h.run(50, 20, h.check, h.grow) },
		"resized":  func(h *hammer) { h.exact = false; h.run(50, 20, h.check, h.resize) },
		"canceled": func(h *hammer) { h.cancels = true; h.run(50, 20, h.check) },
		"stuck":    func(h *hammer) { h.sticks = true; h.run(50, 20, h.check) },
		"all": func(h *hammer) {
			h.cancels, h.exact, h.sticks = true, false, true
			h.run(50, 20, h.check, h.resize)
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHammer(t, 8, 1, 2, 3, 10, admission.Unlimited)
				h.pause = func(r *rand.Rand) { time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond) }
				run(h)
			})
		})
	}
}

// Outside a bubble nothing slows the calls down, so that fast and slow paths interleave as
// closely as possible.
func TestHammerInRealTime(t *testing.T) {
	t.Parallel()
	for name, exact := range map[string]bool{"fixed": true, "resized and stuck": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHammer(t, 3, 1, 2, 3, admission.Unlimited)
			h.pause = func(*rand.Rand) { runtime.Gosched() }
			h.exact, h.cancels, h.sticks = exact, !exact, !exact
			if exact {
				h.run(20, 200)
			} else {
				h.run(20, 200, h.resize)
			}
		})
	}
}

// Root calls only, for the fast path. The limit is just reached, so every call may find the
// last slot, or begin to wait while that slot comes free.
func TestHammerAtTheEdgeOfTheLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3} {
		h := newHammer(t, n, n, 1)
		var all sync.WaitGroup
		for i := range n + 2 {
			all.Go(func() {
				for j := range 5000 {
					hold, c := &admission.Hold{}, (i+j)%2
					if err := h.classes[c].Acquire(t.Context(), hold, admission.Request{Wait: patience}); !assert.NoError(t, err) {
						return
					}
					h.enter(c, hold)
					h.leave(c, hold)
					hold.Release()
				}
			})
		}
		all.Wait()
		assert.NoError(t, h.group.Quiet(h.classes...))
	}
}

// Limits and weights go up and down while calls wait for all slots. Only one goroutine
// resizes, so it knows the limits. More slots than the limit may be in use only after the
// limit was lowered, and then their number must only fall.
func TestHammerWithLimitsThatFallAndRise(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(8)
	classes := []*admission.Class{g.NewClass(3, 1000), g.NewClass(admission.Unlimited, 1000), g.NewClass(5, 1000)}
	assert.NoError(t, classes[0].Reserve(1))
	classes[2].LimitTenants(4)
	var all, watch sync.WaitGroup
	var over atomic.Bool
	for i := range 16 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 8))
			for !over.Load() {
				var h admission.Hold
				c := classes[r.IntN(len(classes))]
				if !assert.NoError(t, c.Acquire(t.Context(), &h, admission.Request{Tenant: strconv.Itoa(r.IntN(3)), Wait: patience})) {
					return
				}
				if r.IntN(2) == 0 {
					runtime.Gosched()
				}
				h.Release()
			}
		})
	}
	changes := 2000
	if testing.Short() {
		changes = 400
	}
	watch.Go(func() {
		defer over.Store(true)
		r := rand.New(rand.NewPCG(1, 9))
		for range changes {
			classes[1].SetWeight(1 + r.IntN(5))
			i := r.IntN(len(classes) + 1)
			used, resize, old := g.Used, g.Resize, g.Limit()
			if i < len(classes) {
				used, resize, old = classes[i].Used, classes[i].Resize, classes[i].Limit()
			}
			limit, bound := 1+r.IntN(8), max(used(), old)
			resize(limit)
			for range 20 {
				now := used()
				if !assert.LessOrEqual(t, now, max(bound, limit)) {
					return
				}
				bound = now
				runtime.Gosched()
			}
		}
	})
	watch.Wait()
	g.Resize(8)
	all.Wait()
	assert.NoError(t, g.Quiet(classes...))
}

// While one class waits below its floor, no slot goes to another.
func TestHammerOnAFloor(t *testing.T) {
	t.Parallel()
	g := admission.NewGroup(4)
	classes := []*admission.Class{g.NewClass(admission.Unlimited, 1000), g.NewClass(admission.Unlimited, 1000), g.NewClass(admission.Unlimited, 1000)}
	assert.NoError(t, classes[0].Reserve(3))
	classes[1].SetWeight(admission.MaxWeight)
	var all sync.WaitGroup
	var over atomic.Bool
	for i := range 12 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 10))
			for !over.Load() {
				var h admission.Hold
				if !assert.NoError(t, classes[i%3].Acquire(t.Context(), &h, admission.Request{Wait: patience})) {
					return
				}
				for range r.IntN(3) {
					runtime.Gosched()
				}
				h.Release()
			}
		})
	}
	seen := 0
	low, own, turns := classes[0].Turns()
	looks := 100_000
	if testing.Short() {
		looks = 10_000
	}
	for range looks {
		nowLow, nowOwn, nowTurns := classes[0].Turns()
		if low && nowLow && own == nowOwn { // below its floor, and not served, during the whole time
			seen++
			if !assert.Equal(t, turns, nowTurns, "another was served") {
				break
			}
		}
		low, own, turns = nowLow, nowOwn, nowTurns
		runtime.Gosched()
	}
	over.Store(true)
	all.Wait()
	t.Logf("%d looks while it waited below its floor", seen)
	assert.NoError(t, g.Quiet(classes...))
}
