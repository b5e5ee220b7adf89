package faas

import (
	"sync"
	"time"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/instances"
	"github.com/inproc/faas/internal/window"
)

// scaling keeps a function at the scale that its policy (its Scaler) wants. It sets n, which is
// how many instances there should be. From n follows the version's limit in admission: how many
// of its calls may run at once. Raising n builds no instance. A call that gets a slot has one
// built for it in acquireInstance, if no instance has a free seat (a seat is the place of one
// call in an instance). The next tick builds what is still missing.
//
// A burst of calls makes no more instances than can be used, for three reasons. The method set
// keeps n within what the options and the router allow (Load.Max). A call has an instance built
// only while it has a slot, and tick builds no more than fairShare. The set of instances starts
// none beyond WithMaxInstances, and a call that waits claims a seat in an instance that is
// already being built before another is started: claimFor in internal/instances/seat.go.
//
// A function at rest has no window (its record of how many calls run or wait) and is not in
// the list of the scale loop. The next call makes the window and adds the function to the list.
//
// s.mu is never held while the policy or a hook runs, since both are foreign code and
// may call the router. The locks of admission (Resize), of the instances and of decisions
// may be taken while s.mu is held, but s.mu is never taken while one of them is held.
type scaling struct {
	fn             *function
	policy         Scaler
	stable, burst  time.Duration
	instances      *instances.Set // nil: the function has no init func, so there is nothing to build
	decisions      decisions
	mu             sync.Mutex // guards the fields below
	n              int
	rest           bool                // the policy's last answer stays valid until a call comes
	allowed        int                 // calls may raise n up to this without asking the policy (Target.UpTo)
	rule           string              // the Rule of the policy's last answer
	memory         State               // what the policy returned last
	turn           uint64              // counts the changes of memory, so that decide notices an outdated answer
	window         *window.Concurrency // of calls that run or wait; nil: at rest
	awake, removed bool
}

// newScaling makes the scaling of fn. It runs at registration, before any other goroutine has
// fn, so it takes no lock.
func (fn *function) newScaling() (*scaling, error) {
	s := &scaling{fn: fn, policy: fn.scaler, stable: 60 * time.Second, burst: 6 * time.Second}
	if s.policy == nil {
		s.policy = ConcurrencyScaler{}
	}
	if err := checkScaler(s.policy); err != nil {
		return nil, usageError("register", fn.who.name, ErrInput, "WithScaler: %v", err)
	}
	if w, ok := s.policy.(Windower); ok {
		s.stable, s.burst = w.Windows()
	}
	if fn.init != nil {
		s.instances = fn.newInstances()
	}
	return s, nil
}

// enter counts a call that is about to take a slot, and grows the function if there are too
// few slots. leave undoes the count. enter runs on the caller's goroutine. The count and the
// growth within `allowed` are one critical section: of two calls that arrive at once, the
// second sees the first in the window and the n that the first has set.
func (s *scaling) enter(c *callContext) *Error {
	if s.instances != nil {
		if err := s.initBackoff(c); err != nil {
			return err
		}
	}
	c.counted = true
	now := s.fn.router.clock.now()
	s.mu.Lock()
	if s.window == nil {
		s.window = window.New(s.stable, granularity(s.burst))
	}
	s.window.Add(now, 1)
	from, need := s.n, ceilDiv(s.window.Level(), s.fn.perInstance)
	short := need > from && !s.removed
	allowed := short && need <= s.allowed
	if allowed {
		s.growWithin(need, now)
	}
	woken := !s.awake && !s.removed
	s.awake = s.awake || woken
	s.mu.Unlock()
	// Of several calls that arrive at once, only the one that set awake adds the function.
	// add locks the loop's mutex, which is never taken while s.mu is held.
	if woken {
		s.fn.router.loop.add(s)
	}
	switch {
	case allowed && s.fn.router.reports.isHeard():
		s.reportGrowth(from, need)
	case short && !allowed:
		s.decide(true)
	}
	return nil
}

// initBackoff refuses a call if there is no instance, the last init failed, and it is
// too early to try the next init.
func (s *scaling) initBackoff(c *callContext) *Error {
	retry, err := s.instances.InitBackoff()
	if retry <= 0 {
		return nil
	}
	refused := refusal(s.fn.who.name, c.id, ReasonInit, instanceError(err))
	refused.RetryAfter = retry
	return refused
}

// growWithin raises n to `to` without asking the policy, because the policy allowed it in its
// last answer (Target.UpTo). So a burst of calls asks the policy once, and not for each call.
// s.mu must be held, so that n, the limit of admission and the target of the instances
// change together.
func (s *scaling) growWithin(to int, now int64) {
	from := s.n
	s.n = to
	s.fn.part.Resize(s.limit())
	if s.instances != nil {
		s.instances.SetTarget(to)
	}
	if !s.decisions.extendLast(from, to, s.fn.router.clock.time(now)) {
		s.decisions.add(s.growthDecision(from, to))
	}
}

// growthDecision describes a growth within what the policy allowed, see growWithin. s.mu must be held.
func (s *scaling) growthDecision(from, to int) *Decision {
	l := s.load(true)
	return &Decision{Time: l.Now, Function: s.fn.who.name, Version: s.fn.who.version, From: from, To: to, Wanted: to, Rule: s.rule, Load: l}
}

// reportGrowth passes the Decision of a growth by growWithin to the hooks. s.mu must not be
// held: the hooks are foreign code.
func (s *scaling) reportGrowth(from, to int) {
	s.mu.Lock()
	d := s.growthDecision(from, to)
	s.mu.Unlock()
	s.fn.router.reports.decided(d)
}

// acquireInstance gives a call that has a slot a seat in an instance, and returns the time at
// which the call got the seat. If another call lends c its slot, c shares that call's instance.
// The call holds its slot while it waits for a seat, because the limit of slots is what
// bounds the number of instances that are built.
func (s *scaling) acquireInstance(q *caller, c *callContext, asked int64) (now int64) {
	f := c.ensureExtra()
	if in := c.lentInstance(); in != nil && s.instances.Join(in) {
		f.instance = in
		c.task.use(in.Handler())
		return asked
	}
	got, waited := s.instances.Acquire(q.done)
	f.instance, f.unplaced, f.cold = got.Instance, instanceError(got.Err), got.Cold
	now = asked
	if waited {
		now = s.fn.router.clock.now()
		f.queued += now - asked
	}
	if got.Cold {
		f.initWait = now - asked
	}
	if got.Instance != nil {
		c.task.use(got.Instance.Handler())
	}
	return now
}

// lentInstance returns the instance of the call above that lends c its slot of the
// function, or nil. It reads the lender's field without a lock: the lender runs, so the
// field was written before its handler started, and its handler made this call.
func (c *callContext) lentInstance() *instances.Instance {
	lender := c.hold.Lender()
	if lender == nil {
		return nil
	}
	p := c.parent()
	for &p.hold != lender {
		p = p.parent()
	}
	return p.extra.instance
}

// releaseInstance gives back the call's seat and removes the call from the window. It
// must be called before the slot is given back: the call that gets the slot then finds the
// seat free. If spent is true, the instance gets no more calls.
func (c *callContext) releaseInstance(spent bool) {
	if !c.counted {
		return
	}
	c.counted = false
	if c.extra != nil && c.extra.instance != nil {
		in := c.extra.instance
		c.fn.scaling.instances.Release(in, spent, c.fn.router.clock.now())
	}
	c.fn.scaling.leave()
}

// granularity returns the length of a window's buckets: a second, or less if the burst
// window would have fewer than five of them.
func granularity(burst time.Duration) time.Duration {
	return min(time.Second, max(burst/5, time.Millisecond))
}

// leave undoes enter: it removes one call from the window. After the last call of a
// removed function it removes the function from the scale loop. It does so with s.mu
// unlocked, because the loop locks its own mutex.
func (s *scaling) leave() {
	s.mu.Lock()
	s.window.Add(s.fn.router.clock.now(), -1)
	over := s.removed && s.window.Level() == 0
	s.mu.Unlock()
	if over {
		s.fn.router.loop.drop(s)
	}
}

// decide asks the policy and does what the policy answers. s.mu must not be held, and it is not
// held while the policy runs. Meanwhile another goroutine may have applied an answer of its
// own, which changes s.turn. Then this answer was made from an outdated s.memory, and decide
// asks the policy again.
func (s *scaling) decide(arrival bool) {
	for {
		s.mu.Lock()
		l, memory, turn := s.load(arrival), s.memory, s.turn
		s.mu.Unlock()
		t, next, ok := s.fn.router.desired(s.policy, s.fn.who.name, l, memory)
		if !ok {
			return
		}
		// The counter s.turn is compared instead of s.memory: s.memory is the policy's State, and may be
		// of a type that can't be compared, for example a struct with a slice.
		s.mu.Lock()
		if s.turn != turn {
			s.mu.Unlock()
			continue
		}
		s.turn++
		s.memory, s.rest = next, t.Rest
		d := s.set(t, &l)
		s.mu.Unlock()
		if d != nil {
			s.fn.router.reports.decided(d)
		}
		return
	}
}

// set brings n to what the policy wants, within the limits, and returns the Decision,
// or nil if n stays. s.mu must be held. If the policy was asked because a call arrived, set
// never lowers n: calls that came at the same moment may have raised n since then.
func (s *scaling) set(t Target, l *Load) *Decision {
	s.allowed, s.rule = min(t.UpTo, l.Max), t.Rule
	from, to := s.n, min(max(t.N, l.Min), l.Max)
	if s.removed || l.Arrival && to <= from {
		return nil
	}
	s.n = to
	s.fn.part.Resize(s.limit())
	if s.instances != nil {
		s.instances.Scale(to, 0, s.fn.router.clock.now())
	}
	if from == to {
		return nil
	}
	d := &Decision{Time: l.Now, Function: s.fn.who.name, Version: s.fn.who.version, From: from, To: to, Wanted: t.N, Rule: t.Rule, Load: *l}
	s.decisions.add(d) // with s.mu held, so that decisions are kept in the order in which they were made
	return d
}

// limit returns how many calls of this version its instances can run. (What the user allows is
// another limit: that of the class, for all versions together.) limit counts at least one
// instance, even if n is 0: a call needs a slot to build the first instance. s.mu must be held.
func (s *scaling) limit() int {
	return int(min(admission.Unlimited, int64(max(1, s.n))*int64(s.fn.perInstance)))
}

// load returns what the policy gets. s.mu must be held. Calls come and go while the
// numbers of admission are read one after the other. Each number is right at the moment when
// it is read, but two of them need not fit together.
func (s *scaling) load(arrival bool) Load {
	fn, now := s.fn, s.fn.router.clock.now()
	l := Load{Now: fn.router.clock.time(now), Instances: s.n, Ready: s.n, Per: fn.perInstance, Arrival: arrival}
	if s.instances != nil {
		_, l.Ready = s.instances.Count()
	}
	// Instances beyond the number of the router's slots could not be used.
	per := fn.perInstance
	l.Max = min(fn.maxInstances, ceilDiv(min(fn.part.Class().Limit(), fn.router.group.Limit()), per))
	l.Min = min(fn.minInstances, l.Max)
	// Used may count a call that has left the window and not yet given back its slot (see
	// releaseInstance). The window's level bounds it, so that Queued is not negative.
	if w := s.window; w != nil {
		l.Stable, l.Burst = w.Average(now, s.stable), w.Average(now, s.burst)
		l.InFlight = min(w.Level(), fn.part.Used())
		l.Queued = w.Level() - l.InFlight
		l.Peak = w.Peak()
	}
	return l
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// tick asks the policy at the loop's tick, and reports whether the function is at rest
// from then on. At rest means: no call is in the window, there is no instance too many, and
// the policy's answer would stay the same. awake is cleared in the same critical section of s.mu,
// so that a call that enters afterwards sees that and adds the function to the loop again.
func (s *scaling) tick() (atRest bool) {
	if !s.fn.gone.Load() {
		s.decide(false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window != nil {
		s.window.ResetPeak()
	}
	now, live := s.fn.router.clock.now(), 0
	if s.instances != nil {
		s.instances.Scale(s.goal(), s.fairShare(), now)
		live, _ = s.instances.Count()
	}
	switch {
	case s.window == nil:
		return false
	case s.removed: // at rest only when its last call has left: until then, calls give back their instances
		if s.window.Level() > 0 {
			return false
		}
	case !s.window.Empty(now) || live > s.goal() || !s.rest && s.n > s.fn.minInstances:
		return false
	}
	s.window, s.awake = nil, false
	return true
}

// fairShare returns how many instances the function could use at present: those that its
// running calls use, and those that calls in the router's free slots would use. For example, a
// function with 4 running calls in a router with 2 free slots can use 6 instances of one
// seat each, even if the policy wants 20.
func (s *scaling) fairShare() int {
	g := s.fn.router.group
	return ceilDiv(s.fn.part.Used()+max(0, g.Limit()-g.Used()), s.fn.perInstance)
}

// goal returns how many instances there should be. s.mu must be held.
func (s *scaling) goal() int {
	if s.removed {
		return 0
	}
	return s.n
}

// withdraw sets s.allowed to 0, so that calls must ask the policy before they raise n. It is called
// when the limit of the name has changed: the policy gave its last answer under the old limit.
func (s *scaling) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = 0
}

// provide builds WithMinInstances instances. It returns when they are ready, or with an error
// if one could not be built or the function was removed.
func (s *scaling) provide() error {
	n := s.fn.minInstances
	s.mu.Lock()
	l := s.load(false)
	d := s.set(Target{N: n, Rule: "minimum"}, &l)
	n = min(n, s.n) // the limits may allow fewer
	s.mu.Unlock()
	if d != nil {
		s.fn.router.reports.decided(d)
	}
	if s.instances == nil || n == 0 {
		return nil
	}
	return instanceError(s.instances.Provision(n))
}

// instances returns how many instances there should be, and how many are ready.
func (fn *function) instances() (n, able int) {
	s := fn.scaling
	if s == nil {
		return 0, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instances == nil {
		return s.n, s.n
	}
	_, able = s.instances.Count()
	return s.n, able
}

// isBuilding reports whether an init or a close func of the function runs.
func (fn *function) isBuilding() bool {
	return fn.scaling != nil && fn.scaling.instances != nil && fn.scaling.instances.Busy()
}

// remove ends the scaling: each instance is closed after its last call, and the policy
// is not asked any more. If calls are left, s.leave of the last one removes the function from the
// scale loop. remove and leave both look at the window's level with s.mu held, so at least one of
// the two sees that the level is 0.
func (s *scaling) remove(closed bool) {
	s.mu.Lock()
	s.removed = true
	over := s.window == nil || s.window.Level() == 0
	s.mu.Unlock()
	if s.instances != nil {
		s.instances.Retire(closed)
	}
	if over {
		s.fn.router.loop.drop(s)
	}
}
