package faas

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/inproc/faas/internal/instances"
	"github.com/inproc/faas/internal/window"
)

// scaling keeps a function at the scale that its policy wants. What it sets is
// how many instances there should be, n, and by that how many calls may run: a
// call that needs one more finds room for it at once. Instances themselves are
// made by the calls that got a slot, so that a function never has more than its
// fair share of the router could use.
//
// A function at rest has no window, and the loop doesn't know it.
type scaling struct {
	fn             *function
	policy         Scaler
	stable, burst  time.Duration
	instances      *instances.Set // nil: instances cost nothing
	decisions      decisions
	mu             sync.Mutex // guards what follows
	n              int
	rest           bool   // the last answer holds until a call comes
	allowed        int    // the last answer allows growth to it
	rule           string // of the last answer
	userLimit      int    // of calls at once, set by the user
	memory         State
	turn           uint64              // of memory, so that an answer to an older one is noticed
	window         *window.Concurrency // of calls that run or wait; nil: at rest
	awake, removed bool
}

func (fn *function) newScaling() (*scaling, error) {
	s := &scaling{fn: fn, policy: fn.scaler, stable: 60 * time.Second, burst: 6 * time.Second, userLimit: fn.concurrency}
	if s.policy == nil {
		s.policy = ConcurrencyScaler{}
	}
	if err := checkScaler(s.policy); err != nil {
		return nil, usageError("register", fn.name, ErrInput, "WithScaler: %v", err)
	}
	if w, ok := s.policy.(Windower); ok {
		s.stable, s.burst = w.Windows()
	}
	if fn.init != nil {
		s.instances = fn.newInstances()
	}
	return s, nil
}

// arrive counts a call that is about to ask for a slot, and grows the function
// if there is none for it.
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
	inStride := short && need <= s.allowed
	if inStride {
		s.growWithin(need, now)
	}
	woken := !s.awake && !s.removed
	s.awake = s.awake || woken
	s.mu.Unlock()
	if woken {
		s.fn.router.loop.add(s)
	}
	switch {
	case inStride && s.fn.router.tellsDecisions():
		s.reportGrowth(from, need)
	case short && !inStride:
		s.decide(true)
	}
	return nil
}

// backedOff tells a call that has no instance to hope for.
func (s *scaling) initBackoff(c *callContext) *Error {
	retry, err := s.instances.InitBackoff()
	if retry <= 0 {
		return nil
	}
	refused := refusal(s.fn.name, c.id, ReasonInit, instanceError(err))
	refused.RetryAfter = retry
	return refused
}

// stride grows the function as far as the policy has allowed beforehand: a burst
// asks it once, and not for each of its calls. The lock is held.
func (s *scaling) growWithin(to int, now int64) {
	from := s.n
	s.n = to
	s.fn.class.Resize(s.limit())
	if s.instances != nil {
		s.instances.SetTarget(to)
	}
	if !s.decisions.extendLast(from, to, s.fn.router.clock.time(now)) {
		s.decisions.add(s.growthDecision(from, to))
	}
}

// strode is the decision that a stride is; the lock is held.
func (s *scaling) growthDecision(from, to int) *Decision {
	l := s.load(true)
	return &Decision{Time: l.Now, Function: s.fn.name, From: from, To: to, Wanted: to, Rule: s.rule, Load: l}
}

// tell tells of a stride; without the lock.
func (s *scaling) reportGrowth(from, to int) {
	s.mu.Lock()
	d := s.growthDecision(from, to)
	s.mu.Unlock()
	s.fn.router.decided(d)
}

// seat gives the call that has a slot a place in an instance, and tells when it
// has it. It waits for one with its slot in hand: the place is part of the slot.
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

// lentInstance is the instance of the call above that has lent c its slot of the
// function, or nil.
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

// vacate gives back what scaling has given the call, or counted it for. The
// slot is given back after it, so that who gets it finds the place.
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

// granularity is that of a window's buckets: a second, or less where a burst
// window would be too few of them.
func granularity(burst time.Duration) time.Duration {
	return min(time.Second, max(burst/5, time.Millisecond))
}

// depart counts it out again. With its last call a removed function is out of the
// loop's sight.
func (s *scaling) leave() {
	s.mu.Lock()
	s.window.Add(s.fn.router.clock.now(), -1)
	over := s.removed && s.window.Level() == 0
	s.mu.Unlock()
	if over {
		s.fn.router.loop.drop(s)
	}
}

// decide asks the policy, and does what it says. No lock is held while it is
// asked; if another answer has come first, it is asked again.
func (s *scaling) decide(arrival bool) {
	for {
		s.mu.Lock()
		l, memory, turn := s.load(arrival), s.memory, s.turn
		s.mu.Unlock()
		t, next, ok := s.fn.router.desired(s.policy, s.fn.name, l, memory)
		if !ok {
			return
		}
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
			s.fn.router.decided(d)
		}
		return
	}
}

// set brings n to what the policy wants, within the limits, and answers the
// decision if that is another; the lock is held.
func (s *scaling) set(t Target, l *Load) *Decision {
	s.allowed, s.rule = min(t.UpTo, l.Max), t.Rule
	from, to := s.n, min(max(t.N, l.Min), l.Max)
	if s.removed || l.Arrival && to <= from { // others have come first
		return nil
	}
	s.n = to
	s.fn.class.Resize(s.limit())
	if s.instances != nil {
		s.instances.Scale(to, 0, s.fn.router.clock.now())
	}
	if from == to {
		return nil
	}
	d := &Decision{Time: l.Now, Function: s.fn.name, From: from, To: to, Wanted: t.N, Rule: t.Rule, Load: *l}
	s.decisions.add(d) // here, so that they are kept in the order in which they are made
	return d
}

// limit is how many calls may run: never none, so that a call that comes to
// a function without an instance brings one about.
func (s *scaling) limit() int {
	return int(min(int64(s.userLimit), int64(max(1, s.n))*int64(s.fn.perInstance)))
}

// load is what there is to tell; the lock is held.
func (s *scaling) load(arrival bool) Load {
	fn, now := s.fn, s.fn.router.clock.now()
	l := Load{Now: fn.router.clock.time(now), Instances: s.n, Ready: s.n, Per: fn.perInstance, Arrival: arrival}
	if s.instances != nil {
		_, l.Ready = s.instances.Count()
	}
	// Without the function's share of a full router it could not use more.
	per := fn.perInstance
	l.Max = min(fn.maxInstances, ceilDiv(min(s.userLimit, fn.router.group.Limit()), per))
	l.Min = min(fn.minInstances, l.Max)
	if w := s.window; w != nil {
		l.Stable, l.Burst = w.Average(now, s.stable), w.Average(now, s.burst)
		l.InFlight = min(w.Level(), fn.class.Used())
		l.Queued = w.Level() - l.InFlight
		l.Peak = w.Peak()
	}
	return l
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// tick asks the policy when nobody has come, and tells whether the function is
// at rest from then on.
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
	case s.removed: // its instances go with their last calls
		if s.window.Level() > 0 {
			return false
		}
	case !s.window.Empty(now) || live > s.goal() || !s.rest && s.n > s.fn.minInstances:
		return false
	}
	s.window, s.awake = nil, false
	return true
}

// share is how many instances the function could use now, as full as the router
// is.
func (s *scaling) fairShare() int {
	g := s.fn.router.group
	return ceilDiv(s.fn.class.Used()+max(0, g.Limit()-g.Used()), s.fn.perInstance)
}

// goal is how many instances there should be; the lock is held.
func (s *scaling) goal() int {
	if s.removed {
		return 0
	}
	return s.n
}

// bound sets the limit that the user gives; policies stay below it.
func (s *scaling) bound(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.userLimit, s.allowed = n, 0 // which was allowed under another limit
	s.fn.class.Resize(s.limit())
}

// provide makes the minimum, and returns when it is there, or the function is not
// there any more.
func (s *scaling) provide() error {
	n := s.fn.minInstances
	s.mu.Lock()
	l := s.load(false)
	d := s.set(Target{N: n, Rule: "minimum"}, &l)
	n = min(n, s.n) // others may have grown it
	s.mu.Unlock()
	if d != nil {
		s.fn.router.decided(d)
	}
	if s.instances == nil || n == 0 {
		return nil
	}
	return instanceError(s.instances.Provision(n))
}

// instances tells how many there should be, and how many can serve.
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

// isBuilding tells whether the function's inits or close functions are at work.
func (fn *function) isBuilding() bool {
	return fn.scaling != nil && fn.scaling.instances != nil && fn.scaling.instances.Busy()
}

// remove has instances go with their last calls, and no policy asked again.
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

// desired asks a policy; a panic is no answer.
func (r *Router) desired(p Scaler, function string, l Load, s State) (t Target, next State, ok bool) {
	defer r.guardHook("scaler", function)
	t, next = p.Desired(l, s)
	return t, next, t.N >= 0
}

// Decisions returns the last 64 changes of a function's scale, the oldest
// first, or [ErrNotFound]; for the empty name, those of the router's capacity.
// Where a burst has grown a function call by call, that is one entry with the
// load that was seen first; [WithDecisions] sees each step.
func (r *Router) Decisions(name string) ([]Decision, error) {
	if name == "" {
		if r.capacity == nil {
			return nil, nil
		}
		return r.capacity.decisions.all(), nil
	}
	fn, err := r.find("decisions", name)
	if err != nil {
		return nil, err
	}
	if fn.scaling == nil {
		return nil, nil
	}
	return fn.scaling.decisions.all(), nil
}

// tellsDecisions tells whether anybody wants to know of decisions as they are made.
func (r *Router) tellsDecisions() bool {
	return r.settings.decided != nil || r.settings.logger.Enabled(context.Background(), slog.LevelDebug)
}

// decided tells everybody who wants to know. It is called without a lock.
func (r *Router) decided(d *Decision) {
	if l := r.settings.logger; l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug("faas: scaled", "function", d.Function, "from", d.From, "to", d.To, "wanted", d.Wanted, "rule", d.Rule,
			"in_flight", d.Load.InFlight, "queued", d.Load.Queued, "stable", d.Load.Stable, "burst", d.Load.Burst)
	}
	if f := r.settings.decided; f != nil {
		defer r.guardHook("WithDecisions", d.Function)
		f(*d)
	}
}
