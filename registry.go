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

// This file has function, which is one registration (one version of a name), and registry,
// which is the table of all names.

// function is one registration, without the type parameters of its handle. After the registration
// its fields do not change, except for the counters at the end; class and scaling have locks of
// their own.
type function struct {
	*settings // read-only: functions without options share the settings of their router
	router    *Router
	who       *identity // with its name and version
	family    *family
	part      *admission.Version // this version's part of the family's class
	scaling   *scaling           // nil: the limit is fixed
	init      func(ctx context.Context) (handler any, closer func(context.Context) error, err error)
	chain     Runner // the handler inside its middlewares; nil: there are none
	handle    handle

	// reserves is true if a meter is a Reserver. plain is true if a root call has to pass no
	// gate, hook or meter before it takes its slot, so that it may skip admit.
	reserves, plain bool
	rawIn, rawOut   bool // the handler's input and output are []byte
	stream          bool // a function of RegisterStream: its answer is written in pieces
	hidesInput      bool // there is a capture, and the input's type has values that hide themselves when encoded, see redact.Hides
	needsExtra      bool // each of its calls needs a callExtra
	confirmed       bool // an alias may name this version; guarded by the registry's mu

	// Each call is counted in part.Entered when it begins, and in refused or in
	// part.Settled when it ends. Entered and Settled are fields of admission.Version because
	// admission writes the counter beside them at the same moments: so all are in one cache
	// line. A call that finds a kept slot is counted by its worker's keeper instead; Counts of
	// part has the sums of both. If the sums differ, calls are in progress: see unsettled.
	refused  refusals
	gone     atomic.Bool  // the function was removed; set before the class refuses calls, see refuse
	runaways atomic.Int32 // how many settled calls have a handler that still runs
	replaced atomic.Int32 // how many of those have given their slot to another call
}

// handle is the typed half of a function: a *Function or a *StreamFunction.
type handle interface {
	invokeBytes(ctx context.Context, to target, payload []byte) ([]byte, error)
	invokeBytesFunc(ctx context.Context, to target, payload []byte, answer func([]byte, error)) (gone bool)
	invokeStream(ctx context.Context, to target, payload []byte, w io.Writer) error
	types() (in, out reflect.Type)
}

// registry maps names to families. Reads take no lock. A map that is copied on each write
// would be as fast to read, but filling it with n names would copy about n² entries.
//
// It also keeps removed versions until their last call is over, so that Shutdown waits
// for those calls and no count is lost.
type registry struct {
	byName sync.Map // string → *family
	none   others   // the aliases and numbered versions of a name that has only $LATEST, as most names do; always empty

	mu   sync.Mutex  // guards the fields below, each change of byName and each of a family's table
	gone []*function // removed functions which had calls in progress when sweep last looked
	past totals      // the counts of removed functions that have no more calls
	owed []flusher   // meters of removed functions that may still hold records
}

// add registers fn as the first version of its name, or as a further one. If it fails, no
// trace of fn is left. g is the group in which it makes the class of a new name.
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
// qualifier. For "resize:2" that is the family of "resize" and "2". It looks up the whole
// reference first, since most calls have no qualifier, and no name has a colon.
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
// sees the function in one of the two. It returns an error if another goroutine has removed the
// function first, or if an alias names the version.
func (t *registry) remove(fn *function) *Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := fn.family
	if f.table.Load().version(fn.who.version) != fn {
		return usageError("remove", fn.qualified(), ErrNotFound, "it has already been removed")
	}
	if alias, used := f.table.Load().namedBy(fn); used {
		return usageError("remove", fn.qualified(), ErrInUse, "the alias is %q; set it to other versions by SetAlias first, or remove it by RemoveAlias", alias)
	}
	rest := f.table.Load().without(fn)
	f.table.Store(rest)
	// gone is set first: refuse loads it when the class refuses a call, and then counts the call
	// in the router's counters. The class is removed before sweep counts, so that calls that
	// come after the count are refused.
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

// tidy does what sweep does, for callers that don't hold t.mu.
func (t *registry) tidy() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
}

// sweep drops removed functions whose last call is over, and adds their counts to past. It
// drops a meter from owed once the meter's buffer is empty. t.mu must be held.
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
	// Meters other than BufferedMeter have no method that says whether they hold records, so
	// they stay: each Shutdown flushes them.
	t.owed = slices.DeleteFunc(t.owed, func(m flusher) bool {
		b, ok := m.(*BufferedMeter)
		return ok && b.Len() == 0
	})
}

// owing appends the meters that belonged only to removed functions and may still hold
// records.
func (t *registry) owing(to []flusher) []flusher {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return append(to, t.owed...)
}

// sorted returns the families and their names, sorted by name. If a family is added or removed
// at the same time, the result may contain it or not.
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
// the removed ones that still have calls. Shutdown waits for these.
func (t *registry) working() []*function {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, _ := t.present()
	return all
}

// present does what working does, for callers that hold t.mu. It also returns how many names
// there are.
func (t *registry) present() (all []*function, names int) {
	t.sweep()
	families := t.sorted()
	for _, f := range families {
		all = append(all, f.table.Load().all()...)
	}
	return append(all, t.gone...), len(families)
}

// find looks up the version that a call by that name would run. op names the operation in the
// error. If the name is invalid, the error is about that.
func (r *Router) find(op, name string) (*function, *Error) {
	to, err := r.peek(op, name)
	return to.fn, err
}

// findVersion looks up the version that a name means: the one with that number, or $LATEST if
// the name has no qualifier. An alias is not found.
func (r *Router) findVersion(op, name string) (*function, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f != nil {
		if fn := f.table.Load().version(qualifier); fn != nil {
			return fn, nil
		}
	}
	return nil, notFound(op, name, f)
}

// findAll looks up the versions that a name means: without a qualifier all of them, and with a
// qualifier the one that it means.
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

// findName looks up a name that must not have a qualifier.
func (r *Router) findName(op, name string) (*family, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f == nil {
		return nil, notFound(op, name, f)
	}
	if qualifier != "" {
		return nil, usageError(op, name, ErrInput, "all versions of the name share this; leave %q out", ":"+qualifier)
	}
	return f, nil
}

// notFound returns the error for a name, or a version of f, that is not registered.
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

// identity is what a callContext keeps of its function, even if a handler keeps the context
// long after the call. There is one for each registration. It refers to no handler, hook or
// option of the user, so that a kept context does not keep those in memory. There are two
// exceptions: the router's logger, so that late goroutines can log, and the sampler of
// traces, which answers for the contexts of calls that are not traced.
type identity struct {
	about
	alias *byAlias    // the alias by which the call was made; nil: none
	log   functionLog // used only if alias is nil, see the method functionLog
}

// about is the part of an identity that does not depend on the alias.
type about struct {
	name    string
	version string
	labels  map[string]string
	timeout time.Duration
	memory  int64
	clock   *clock // each router has its own clock, so equal clocks mean the same router
	inline  bool
	sampler TraceSampler // nil: none
}

// byAlias is what an identity has in addition if the call was made by an alias.
type byAlias struct {
	name string
	of   *identity // the identity of the function itself
}

// aliasName returns the alias by which the call was made, or "".
func (who *identity) aliasName() string {
	if who.alias == nil {
		return ""
	}
	return who.alias.name
}

// own returns the identity of the function itself.
func (who *identity) own() *identity {
	if who.alias == nil {
		return who
	}
	return who.alias.of
}

// functionLog returns the functionLog of the function, whichever alias the call was made by.
func (who *identity) functionLog() *functionLog { return &who.own().log }

// unsettled returns how many calls are in progress: in admission, waiting or running. The counts
// of ended calls are loaded before Entered. A call that begins or ends between the loads
// can make the result too large, but never too small, so that Shutdown can't miss a call.
func (fn *function) unsettled() int {
	refused := fn.refused.count()
	entered, settled := fn.part.Counts()
	return int(entered - settled - refused)
}

// countRefused counts a refused call in fn.refused. A call of a removed function is counted
// in the router's refused instead, because the router's totals may already contain fn's own
// counts. It is then subtracted from Entered. The subtraction comes last: once unsettled
// is 0, Shutdown may return.
func (fn *function) countRefused(why Reason, delivery bool) {
	if !fn.gone.Load() {
		fn.refused.add(why, delivery)
		return
	}
	fn.router.refused.add(why, delivery)
	fn.part.Entered.Add(^uint64(0)) // subtracts one
}

// totals has the sums of the counts of removed functions.
type totals struct {
	admitted uint64
	rejected refusalCounts
}

// add adds the counts of a removed function that has no calls left. It uses Settled and not
// Entered: a call that arrives after the removal may be counted in Entered for a moment, until
// it is refused.
func (t *totals) add(fn *function) {
	_, settled := fn.part.Counts()
	t.admitted += settled
	t.rejected.add(fn.refused.snapshot())
}

// peek does what route does, for an operation that is not a call: it takes no turn of an alias.
func (r *Router) peek(op, name string) (target, *Error) {
	f, qualifier := r.functions.lookup(name)
	if f != nil {
		if to, ok := f.peek(qualifier); ok {
			return to, nil
		}
	}
	return target{}, notFound(op, name, f)
}

// route looks up the version that a call by a name runs. If the name is an alias of several
// versions, it chooses one of them and takes a turn, so that the next call may get another. op
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
// drops a removed function that has nothing left to do, and wakes a Shutdown.
func (fn *function) tellIfEnding() {
	if fn.gone.Load() {
		fn.router.functions.tidy()
	}
	fn.router.tellIfClosing()
}
