package faas

import (
	"context"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproc/faas/internal/admission"
)

// This file holds function, which is one registration, that is, one version of a name;
// and registry, which is the table of all names.

// function is one registration, without the type parameters that its handle has. It is
// constant once it is registered, but for the counts at its end and what class and
// scaling guard themselves.
type function struct {
	*settings // not written to: functions without options share those of their router
	router    *Router
	who       *identity // with its name and version
	family    *family
	part      *admission.Version // of the family's class: this version's
	scaling   *scaling           // nil: the limit is fixed
	init      func(ctx context.Context) (handler any, closer func(context.Context) error, err error)
	chain     Runner // the middlewares around the handler; nil: none
	handle    handle

	// reserves reports whether a meter is a Reserver. plain tells that a root call needs
	// no gate, hook or meter before it takes its slot, so that it may skip admit.
	reserves, plain bool
	rawIn, rawOut   bool // the handler's input and output are []byte
	stream          bool // it answers piece by piece
	hidesInput      bool // there is a capture, and its input may hold values that hide themselves, see redact.Hides
	needsExtra      bool // each of its calls needs a callExtra
	confirmed       bool // an alias may name it; the registry's mu guards this

	// Each call is counted in part.Entered first, and at its end in refused or in
	// part.Settled. Entered and Settled stand in admission because each call writes
	// the counter beside them at the same moments, in one cache line. While the sums
	// differ, calls are under way: see unsettled.
	refused  refusals
	gone     atomic.Bool  // removed; set before the class refuses calls, see refuse
	runaways atomic.Int32 // settled calls with a handler that runs
	replaced atomic.Int32 // of those, the ones whose slot went to another call
}

// handle is the typed half of a function: a *Function or a *StreamFunction.
type handle interface {
	invokeBytes(ctx context.Context, to target, payload []byte) ([]byte, error)
	invokeBytesFunc(ctx context.Context, to target, payload []byte, answer func([]byte, error)) (gone bool)
	invokeStream(ctx context.Context, to target, payload []byte, w io.Writer) error
	types() (in, out reflect.Type)
}

// registry maps names to families. Reads take no lock. A map that is copied on each
// write would read as fast, but to fill it with n names would cost n² copies.
//
// It also keeps removed versions until their last call is over, so that Shutdown waits
// for those and no count is lost.
type registry struct {
	byName sync.Map // string → *family
	none   others   // what most names have beside $LATEST; always empty

	mu   sync.Mutex  // guards the fields below, each change of byName and each of a family's table
	gone []*function // removed, and with calls under way when sweep last looked
	past totals      // the counts of removed functions that are done
	owed []flusher   // meters of removed functions, which may still hold records
}

// add registers fn as the first version of its name, or as one more. If it fails, nothing
// of fn is left. g is what the class of a new name is in.
func (t *registry) add(fn *function, g *admission.Group) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.get(fn.who.name)
	if f != nil {
		if err := f.refuses(fn); err != nil {
			return err
		}
		fn.part = f.class.NewVersion(admission.Unlimited)
	} else {
		if f, err = fn.newFamily(g, &t.none); err != nil {
			return err
		}
		fn.part = f.class.Base()
	}
	if s := fn.scaling; s != nil { // before the first call, see Version.Resize
		fn.part.Resize(s.limit())
	}
	fn.family = f
	fn.plain = fn.plain && f.tenants == 0
	f.table.Store(f.table.Load().with(fn))
	t.byName.Store(fn.who.name, f)
	return nil
}

// confirm marks a version whose registration has succeeded: from then on aliases may name it.
func (t *registry) confirm(fn *function) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fn.confirmed = true
}

// get returns the family of that name, or nil.
func (t *registry) get(name string) *family {
	v, _ := t.byName.Load(name)
	f, _ := v.(*family)
	return f
}

// lookup returns the family that a reference is about, or nil, and the reference's
// qualifier. It looks for the whole first, since most calls have no qualifier, and no
// name has a colon.
func (t *registry) lookup(reference string) (_ *family, qualifier string) {
	if f := t.get(reference); f != nil {
		return f, ""
	}
	name, qualifier, _ := strings.Cut(reference, ":")
	if qualifier == "" {
		return nil, ""
	}
	return t.get(name), qualifier
}

// remove moves a function from its family to gone. It holds t.mu throughout, so that working
// sees the function in one of the two. It fails if another goroutine was first, or if an
// alias names the version.
func (t *registry) remove(fn *function) *Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := fn.family
	if f.table.Load().version(fn.who.version) != fn {
		return usageError("remove", fn.qualified(), ErrNotFound, "it has just been removed")
	}
	if alias, used := f.table.Load().namedBy(fn); used {
		return usageError("remove", fn.qualified(), ErrInUse, "the alias %q names it; SetAlias it to other versions first, or RemoveAlias", alias)
	}
	rest := f.table.Load().without(fn)
	f.table.Store(rest)
	// gone first: a call that the class refuses finds it set, and refuse counts it in the
	// router's counts. And the class before sweep counts: a call that comes after this is
	// refused.
	fn.gone.Store(true)
	if rest.isEmpty() {
		t.byName.Delete(fn.who.name)
		f.class.Remove()
	} else {
		fn.part.Remove()
	}
	if fn.scaling != nil {
		fn.scaling.remove(false)
	}
	t.gone = append(t.gone, fn)
	t.sweep()
	return nil
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
		fn.family.addPast(fn)
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

// sorted returns the families and their names, by name. One that is added or removed at
// the same time may be in it or not.
func (t *registry) sorted() []named {
	var all []named
	t.byName.Range(func(k, v any) bool {
		name, _ := k.(string)
		if f, ok := v.(*family); ok {
			all = append(all, named{name, f})
		}
		return true
	})
	slices.SortFunc(all, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return all
}

// named is a family with its name.
type named struct {
	name string
	*family
}

// working returns the versions that may have calls: the registered ones by name, and then
// the removed ones that are not done. Shutdown waits for these.
func (t *registry) working() []*function {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, _ := t.present()
	return all
}

// present is working for callers that hold t.mu; it also returns how many names there are.
func (t *registry) present() (all []*function, names int) {
	t.sweep()
	families := t.sorted()
	for _, f := range families {
		all = append(all, f.table.Load().all()...)
	}
	return append(all, t.gone...), len(families)
}

// find looks up what a call by that name runs. op names the operation in the error. A name
// that can't be registered is reported as that, for it can't be found either.
func (r *Router) find(op, name string) (*function, *Error) {
	to, err := r.peek(op, name)
	return to.fn, err
}

// findVersion looks up the version that a name means: no alias, and without a qualifier
// $LATEST.
func (r *Router) findVersion(op, name string) (*function, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f != nil {
		if fn := f.table.Load().version(qualifier); fn != nil {
			return fn, nil
		}
	}
	return nil, notFound(op, name, f)
}

// findAll looks up the versions that a name means: alone all of them, and with a qualifier
// the one.
func (r *Router) findAll(op, name string) ([]*function, *Error) {
	if f, qualifier := r.functions.lookup(name); f != nil && qualifier == "" {
		return f.table.Load().all(), nil
	}
	fn, err := r.find(op, name)
	if err != nil {
		return nil, err
	}
	return []*function{fn}, nil
}

// findName looks up a name that has to stand alone.
func (r *Router) findName(op, name string) (*family, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f == nil {
		return nil, notFound(op, name, f)
	}
	if qualifier != "" {
		return nil, usageError(op, name, ErrInput, "this is of the name, whose versions share it; leave %q out", ":"+qualifier)
	}
	return f, nil
}

// notFound is the error for a name, or a version of f, that is not there.
func notFound(op, name string, f *family) *Error {
	err := checkReference(op, name)
	switch {
	case err != nil:
	case f == nil || f.newest() == nil:
		err = usageError(op, name, ErrNotFound, "register it first")
	default:
		err = usageError(op, name, ErrNotFound, "there is %s", f.list())
	}
	err.Kind = KindNotFound
	return err
}

// identity is what a callContext knows of its function, also when a handler keeps it
// long after the call. There is one for each registration. It refers to no handler, hook
// or option of the user's, so that a kept context does not keep those in memory; but it
// does to the router's logger, so that late goroutines can log, and to the sampler of
// traces, which answers for the contexts of calls that are not traced.
type identity struct {
	about
	alias *byAlias    // by which the call was made; nil: by none
	log   functionLog // not used by an alias, see functionLog
}

// about is what does not depend on the alias.
type about struct {
	name    string
	version string
	labels  map[string]string
	timeout time.Duration
	memory  int64
	clock   *clock // each router has its own: equal clocks mean one router
	inline  bool
	sampler TraceSampler // nil: none
}

// byAlias is what an identity has more that is known by an alias.
type byAlias struct {
	name string
	of   *identity // the function's own
}

// aliasName is the alias by which the call was made, or empty.
func (who *identity) aliasName() string {
	if who.alias == nil {
		return ""
	}
	return who.alias.name
}

// own is the identity of the function itself.
func (who *identity) own() *identity {
	if who.alias == nil {
		return who
	}
	return who.alias.of
}

// functionLog is the function's, by whatever alias the call was made.
func (who *identity) functionLog() *functionLog { return &who.own().log }

// unsettled is how many calls are under way: in admission, waiting or running. The counts
// of ended calls are loaded before Entered. A call that begins or ends between the loads
// can make the result too large, and never too small, so that Shutdown can't miss one.
func (fn *function) unsettled() int {
	over := fn.part.Settled.Load() + fn.refused.count()
	return int(fn.part.Entered.Load() - over)
}

// countRefused counts a refused call in fn.refused. A call of a removed function is counted
// in the router's refused, and taken off Entered, because the router's totals may already
// have taken over fn's own counts. Entered is taken back after the count: once unsettled is
// 0, Shutdown may return.
func (fn *function) countRefused(why Reason, delivery bool) {
	if !fn.gone.Load() {
		fn.refused.add(why, delivery)
		return
	}
	fn.router.refused.add(why, delivery)
	fn.part.Entered.Add(^uint64(0)) // minus one
}

// totals are the sums over functions that were removed.
type totals struct {
	admitted uint64
	rejected refusalCounts
}

// add adds the counts of a removed function that has no calls left. It uses Settled, not
// Entered: a call that arrives after the removal may be counted in Entered, and is about
// to be refused.
func (t *totals) add(fn *function) {
	t.admitted += fn.part.Settled.Load()
	t.rejected.add(fn.refused.snapshot())
}

// peek is route for an operation that is no call, and takes no turn.
func (r *Router) peek(op, name string) (target, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f != nil {
		if to, ok := f.peek(qualifier); ok {
			return to, nil
		}
	}
	return target{}, notFound(op, name, f)
}

// route looks up what a call by a name runs, and takes a turn if the name is an alias. op
// names the operation in the error.
func (r *Router) route(ctx context.Context, op, name string) (target, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f != nil {
		if to, ok := f.target(ctx, qualifier); ok {
			return to, nil
		}
	}
	return target{}, notFound(op, name, f)
}

// tellIfEnding is called when a call, an init or a close func of fn has ended. It
// lets a removed function go once it has nothing left, and wakes a Shutdown.
func (fn *function) tellIfEnding() {
	if fn.gone.Load() {
		fn.router.functions.tidy()
	}
	fn.router.tellIfClosing()
}
