package faas

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/foreign"
)

// This file holds function, which is one registration, and registry, which is the table
// of all of them by name.

// function is one registration: one version of a name, without the type parameters that its handle has. It is
// constant once it is registered, but for the counts at its end and what class and
// scaling guard themselves.
type function struct {
	*settings // not written to: functions without options share those of their router
	router    *Router
	who       *identity
	name      string
	version   string
	family    *family
	class     *admission.Class   // the family's
	part      *admission.Version // of class: this version's
	asked     *nameSettings      // what its own options set of those; nil once it is registered, and without options
	scaling   *scaling           // nil: the limit is fixed
	init      func(ctx context.Context) (handler any, closer func(context.Context) error, err error)
	chain     Runner // the middlewares around the handler; nil: none
	handle    handle

	// reserves tells whether a meter is a Reserver. plain tells that a root call needs
	// no gate, hook or meter before it takes its slot, so that it may skip admit.
	reserves, plain bool
	rawIn, rawOut   bool // the handler's input and output are []byte
	stream          bool // it answers piece by piece
	needsExtra      bool // each of its calls needs a callExtra

	// Each call is counted in part.Entered first, and at its end in refused or in
	// part.Settled. Entered and Settled stand in admission because each call writes
	// the counter beside them at the same moments, in one cache line. While the sums
	// differ, calls are under way: see unsettled.
	refused  refusals
	gone     atomic.Bool  // removed; set before the class refuses calls, see refuse
	runaways atomic.Int64 // settled calls with a handler that runs
	replaced atomic.Int64 // of those, the ones whose slot went to another call
}

// handle is the typed half of a function: a *Function or a *StreamFunction.
type handle interface {
	invokeBytes(ctx context.Context, to target, payload []byte) ([]byte, error)
	invokeStream(ctx context.Context, to target, payload []byte, w io.Writer) error
	types() (in, out reflect.Type)
}

// newFunction makes the untyped half of a function. It is not in the registry yet.
func (r *Router) newFunction(name string, opts []FunctionOption) (*function, error) {
	if err := checkName("register", name); err != nil {
		return nil, err
	}
	if r.closing.Load() {
		return nil, errClosing(name)
	}
	// Options are copied only for a function that has some: thousands of functions
	// without any share those of the router.
	fn := &function{settings: &r.common, router: r, name: name}
	if len(opts) > 0 {
		s, err := r.settings.defaults.with(name, opts)
		if err != nil {
			return nil, err
		}
		asked := nameOptions(opts)
		fn.settings, fn.asked = s, &asked
	}
	fn.version = versionName(fn.settings.version)
	fn.identify()
	if err := fn.compose(); err != nil {
		return nil, err
	}
	return fn, nil
}

// enter puts a function into the registry, and makes its minimum of instances. If a
// step fails, or a hook calls Goexit, the function is removed again.
func (r *Router) enter(fn *function, h handle) error {
	fn.bind(h)
	// All of this comes before add: from add on, calls may arrive on other goroutines, and
	// the fields of fn have no lock. The registry's map is the edge to those goroutines.
	if fn.isScaled() {
		s, err := fn.newScaling()
		if err != nil {
			return err
		}
		fn.scaling = s
	}
	if err := r.functions.add(fn); err != nil {
		return err
	}
	entered := false
	defer func() { // deferred: a WithDecisions hook may call Goexit
		if !entered {
			r.functions.remove(fn)
		}
	}()
	err := r.open(fn)
	entered = err == nil
	return err
}

// open makes a function's minimum of instances. Shutdown and Close store closing and
// then look through the registry; enter adds the function and then loads closing here.
// So they see the function, or this sees closing before it makes an instance. It loads
// closing again afterwards, because the init funcs may have taken long.
func (r *Router) open(fn *function) error {
	if r.closing.Load() {
		return errClosing(fn.name)
	}
	if fn.scaling == nil {
		return nil
	}
	err := fn.scaling.provide()
	switch {
	case r.closing.Load():
		return errClosing(fn.name)
	case err != nil:
		return &Error{Op: "register", Function: fn.name, Err: err}
	}
	return nil
}

// errClosing is the error of a registration that comes too late.
func errClosing(name string) *Error {
	return usageError("register", name, ErrClosed, "register functions before Shutdown or Close")
}

// isScaled tells whether anything of scaling was asked for.
func (fn *function) isScaled() bool {
	return fn.init != nil || fn.scaler != nil || fn.minInstances > 0 || fn.maxInstances < admission.Unlimited || fn.perInstance > 1
}

// compose builds the chain of middlewares, and notes what calls have to ask for, once
// for all calls. A middleware is foreign code: its panic becomes an error.
func (fn *function) compose() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = usageError("register", fn.name, ErrInput, "a middleware panicked while it was composed: %s", foreign.Plain(p))
		}
	}()
	fn.chain = chain(fn.middleware, runHandler)
	if len(fn.middleware) > 0 && fn.chain == nil {
		return usageError("register", fn.name, ErrInput, "a middleware returned a nil Runner")
	}
	fn.reserves = slices.ContainsFunc(fn.meters, func(m Meter) bool { _, ok := m.(Reserver); return ok })
	fn.plain = !fn.reserves && len(fn.gates) == 0 && len(fn.contexts) == 0 && fn.tenantKey == nil && fn.tenants == 0
	return nil
}

// bind adds the typed half, and what follows from its types.
func (fn *function) bind(h handle) {
	raw := reflect.TypeFor[[]byte]()
	in, out := h.types()
	fn.handle, fn.rawIn, fn.rawOut = h, in == raw, out == raw
	fn.needsExtra = fn.init != nil || fn.chain != nil
}

// registry maps names to families of functions. Reads take no lock. A map that is copied on
// each write would read as fast, but to fill it with n functions would cost n² copies.
//
// It also keeps removed functions until their last call is over, so that Shutdown waits
// for those and no count is lost.
type registry struct {
	byName sync.Map // string → *family

	mu   sync.Mutex  // guards the fields below, and the changes of byName and of each family
	gone []*function // removed, and with calls under way when sweep last looked
	past totals      // the counts of removed functions that are done
	owed []flusher   // meters of removed functions, which may still hold records
}

// add registers fn as a version of its name, or fails if there is one already, or if fn
// does not suit the versions that there are. The families' routes are the edge by which
// other goroutines see what was written to fn before.
func (t *registry) add(fn *function) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.family(fn.name)
	if f == nil {
		f = newFamily(fn)
		if err := f.join(fn.router.group); err != nil {
			return err
		}
		f.routes.Store(&routes{})
		fn.part = f.class.Base()
	} else {
		if err := f.accepts(fn); err != nil {
			return err
		}
		fn.inherit(f)
		fn.part = f.class.NewVersion(admission.Unlimited)
	}
	fn.family, fn.class, fn.asked = f, f.class, nil
	f.routes.Store(f.routes.Load().with(fn))
	t.byName.Store(fn.name, f)
	return nil
}

// family returns the family of that name, or nil.
func (t *registry) family(name string) *family {
	v, _ := t.byName.Load(name)
	f, _ := v.(*family)
	return f
}

// get returns the function that a call by that name runs, or nil.
func (t *registry) get(name string) *function {
	if f := t.family(name); f != nil {
		return f.routes.Load().resolve("")
	}
	base, qualifier, qualified := splitName(name)
	if !qualified || qualifier == "" {
		return nil
	}
	if f := t.family(base); f != nil {
		return f.routes.Load().resolve(qualifier)
	}
	return nil
}

// remove moves a function from its family to gone, and with the last version the family
// goes. It holds t.mu throughout, so that working sees the function in one of the two. It
// is false if another goroutine was first.
func (t *registry) remove(fn *function) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := fn.family
	old := f.routes.Load()
	if old.version(fn.settings.version) != fn {
		return false
	}
	// gone first: a call that admission refuses finds it set, and refuse counts it in the
	// router's counts.
	fn.gone.Store(true)
	f.routes.Store(old.without(fn))
	if f.routes.Load().represents() == nil {
		t.byName.Delete(f.name)
		f.class.Remove() // before sweep counts: a call that comes after this is refused
	}
	fn.part.Remove()
	if fn.scaling != nil {
		fn.scaling.remove(false)
	}
	t.gone = append(t.gone, fn)
	t.sweep()
	return true
}

// goneOf returns the removed versions of f that are not done. t.mu must be held.
func (t *registry) goneOf(f *family) []*function {
	var of []*function
	for _, fn := range t.gone {
		if fn.family == f {
			of = append(of, fn)
		}
	}
	return of
}

// tidy is sweep for callers that don't hold t.mu.
func (t *registry) tidy() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
}

// sweep drops the removed functions after their last call is over, and adds their counts to
// past. It drops a meter from owed once its buffer is empty. t.mu must be held.
func (t *registry) sweep() {
	t.gone = slices.DeleteFunc(t.gone, func(fn *function) bool {
		if fn.unsettled() > 0 || fn.runaways.Load() > 0 || fn.isBuilding() {
			return false
		}
		t.past.add(fn)
		fn.family.past.add(fn)
		t.owed = fn.meters[len(fn.router.meters):].flushers(t.owed)
		return true
	})
	// Other meters than the BufferedMeter can't say whether they hold records, so they
	// stay: each Shutdown flushes them.
	t.owed = slices.DeleteFunc(t.owed, func(m flusher) bool {
		b, ok := m.(*BufferedMeter)
		return ok && b.Len() == 0
	})
}

// owing appends the meters that belonged to removed functions only, and may still hold
// records.
func (t *registry) owing(to []flusher) []flusher {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return append(to, t.owed...)
}

// families returns all names that have a function, in order. One that is added or removed
// at the same time may be in it or not.
func (t *registry) families() []*family {
	var all []*family
	t.byName.Range(func(_, v any) bool {
		if f, ok := v.(*family); ok {
			all = append(all, f)
		}
		return true
	})
	slices.SortFunc(all, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return all
}

// sorted returns the registered functions by name, and those of one name by version.
func (t *registry) sorted() []*function {
	var all []*function
	for _, f := range t.families() {
		all = append(all, f.routes.Load().all()...)
	}
	return all
}

// working returns the functions that may have calls: the registered ones, and the
// removed ones that are not done. Shutdown waits for these.
func (t *registry) working() []*function {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return append(t.sorted(), t.gone...)
}

// find looks up the function that a name stands for, with or without a qualifier. op
// names the operation in the error. A name that can't be registered is reported as that,
// for it can't be found either.
func (r *Router) find(op, name string) (*function, *Error) {
	if fn := r.functions.get(name); fn != nil {
		return fn, nil
	}
	return nil, r.notFound(op, name)
}

// findFamily looks up a name without a qualifier.
func (r *Router) findFamily(op, name string) (*family, *Error) {
	if f := r.functions.family(name); f != nil {
		return f, nil
	}
	if base, _, qualified := splitName(name); qualified && r.functions.family(base) != nil {
		err := usageError(op, clipName(name), ErrName, "this is for all versions of a name: leave out what follows the colon")
		err.Kind = KindNotFound
		return nil, err
	}
	return nil, r.notFound(op, name)
}

// notFound is the error for a name that stands for no function.
func (r *Router) notFound(op, name string) *Error {
	base, qualifier, qualified := splitName(name)
	err := checkName(op, base)
	if err == nil && qualified {
		err = checkQualifier(op, name, qualifier)
	}
	if err == nil {
		if f := r.functions.family(base); f != nil {
			err = usageError(op, name, ErrNotFound, "%s", f.offer())
		} else {
			err = usageError(op, name, ErrNotFound, "register it first")
		}
	}
	err.Kind = KindNotFound
	return err
}

// checkName enforces ^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$. Names go into URLs, headers,
// metrics and logs; a colon is reserved for qualifiers such as a version.
func checkName(op, name string) *Error {
	ok := len(name) >= 1 && len(name) <= 64 && name[0] != '-'
	for i := 0; ok && i < len(name); i++ {
		ok = isNameByte(name[i])
	}
	if ok {
		return nil
	}
	const cure = "use 1 to 64 of A–Z a–z 0–9 _ -, not starting with -"
	return usageError(op, clipName(name), ErrName, cure)
}

// join makes the family's class in admission, which grants its slots.
func (f *family) join(g *admission.Group) error {
	// A limit of 0 means "switched off" and not "wait for ever", so that it is a switch
	// of its own in admission.
	has := f.limits
	f.class = g.NewClass(has.concurrency, has.queue)
	if has.concurrency == 0 {
		f.class.SetEnabled(false)
	}
	if has.tenants > 0 {
		f.class.LimitTenants(has.tenants)
	}
	if has.weight != 1 {
		f.class.SetWeight(has.weight)
	}
	if has.reserved > 0 && errors.Is(f.class.Reserve(has.reserved), admission.ErrReserved) {
		return usageError("register", f.name, ErrInput,
			"WithReserved(%d): together, floors would exceed the router's capacity of %d; see SetCapacity", has.reserved, g.Limit())
	}
	return nil
}

// identity is what a callContext knows of its function, also when a handler keeps it
// long after the call. There is one for each registration. It refers to no handler, hook
// or option of the user's, so that a kept context does not keep those in memory.
type identity struct {
	name    string
	version string
	labels  map[string]string
	timeout time.Duration
	memory  int64
	inline  bool
	clock   *clock // each router has its own: equal clocks mean one router
}

// identify makes fn.who, once, before the first call.
func (fn *function) identify() {
	fn.who = &identity{
		name: fn.name, version: fn.version, labels: fn.labels, timeout: fn.timeout, memory: fn.memory,
		inline: fn.inline, clock: fn.router.clock,
	}
}

// unsettled is how many calls are under way: in admission, waiting or running. The counts
// of ended calls are loaded before Entered. A call that begins or ends between the loads
// can make the result too large, and never too small, so that Shutdown can't miss one.
func (fn *function) unsettled() int {
	over := fn.part.Settled.Load() + fn.refused.count()
	return int(fn.part.Entered.Load() - over)
}

// totals are the sums over functions that were removed.
type totals struct {
	admitted uint64
	rejected map[Reason]uint64
}

// add adds the counts of a removed function that has no calls left. It uses Settled, not
// Entered: a call that arrives after the removal may be counted in Entered, and is about
// to be refused.
func (t *totals) add(fn *function) {
	t.admitted += fn.part.Settled.Load()
	if t.rejected == nil {
		t.rejected = map[Reason]uint64{}
	}
	addCounts(t.rejected, fn.refused.snapshot())
}

// target is what a name stands for at one moment: the version that a call runs. A call
// goes to one, and to another only if that is removed before the call has its slot.
type target struct {
	fn     *function
	who    *identity // what the call's context knows of fn
	byName bool      // the name can be looked up again; false: a handle, which is bound to fn
}

// itself is the target of a call by fn's own handle.
func (fn *function) itself() target { return target{fn: fn, who: fn.who} }

// route looks up what a call by a name runs. op names the operation in the error.
func (r *Router) route(op, name string) (target, *Error) {
	fn, err := r.find(op, name)
	if err != nil {
		return target{}, err
	}
	return target{fn: fn, who: fn.who, byName: true}, nil
}

// errGone says that the target of a call by name was removed before the call had its slot.
// It stays inside the package: the name is looked up again. That comes to an end, since
// a name never stands for a function that is removed: each errGone takes a removal that
// came after the look-up.
var errGone = errors.New("removed before the call had its slot")

// isGone tells whether refused has the removal of the target for its cause, and the name can be
// looked up again. If it is true nothing of the call is left here: it goes to another
// target, or is refused as one of an unknown name.
func (to target) isGone(c *callContext, refused *Error) bool {
	if !to.byName || refused.Reason != ReasonNotFound || !to.fn.gone.Load() {
		return false
	}
	to.fn.part.Entered.Add(^uint64(0)) // minus one
	to.fn.tellIfEnding()
	if c.extra.trace != nil {
		c.endTrace(nil)
	}
	return true
}
