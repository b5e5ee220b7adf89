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

// versionLatest is the version of what is registered and not published, by
// the name that Lambda gave it.
const versionLatest = "$LATEST"

// function is one registration, free of type parameters.
type function struct {
	*settings // not written to: functions without options share those of their router
	router    *Router
	who       *identity
	name      string
	version   string
	class     *admission.Class
	scaling   *scaling // nil: the limit is fixed
	init      func(ctx context.Context) (handler any, closer func(context.Context) error, err error)
	chain     Runner // the middlewares around the handler; nil: none
	handle    handle

	// reserves tells whether a meter wants to be asked for room; plain, that a
	// root call has nobody to ask before it takes its slot.
	reserves, plain bool
	rawIn, rawOut   bool // the handler's input and output are []byte
	stream          bool // it answers piece by piece
	needsExtra      bool // all its calls have formalities

	// A call is counted in class.Entered before anything else, and in the end
	// in refused or in class.Settled: while the sums differ, one is on its way.
	refused  refusals
	gone     atomic.Bool // removed
	runaways atomic.Int64
	replaced atomic.Int64 // runaways that gave up their slot
}

// handle is a function's typed half.
type handle interface {
	invokeBytes(ctx context.Context, payload []byte) ([]byte, error)
	invokeStream(ctx context.Context, payload []byte, w io.Writer) error
	types() (in, out reflect.Type)
}

// newFunction makes all of a function but what has types.
func (r *Router) newFunction(name string, opts []FunctionOption) (*function, error) {
	if err := checkName("register", name); err != nil {
		return nil, err
	}
	if r.closing.Load() {
		return nil, errClosing(name)
	}
	s := &r.common
	if len(opts) > 0 {
		var err error
		if s, err = r.settings.defaults.with(name, opts); err != nil {
			return nil, err
		}
	}
	fn := &function{settings: s, router: r, name: name, version: versionLatest}
	fn.identify()
	if err := fn.compose(); err != nil {
		return nil, err
	}
	return fn, nil
}

// enter puts a function into service, and has its minimum of instances made. A
// function that is not wholly there in the end is not there at all.
func (r *Router) enter(fn *function, h handle) error {
	fn.bind(h)
	if fn.isScaled() {
		s, err := fn.newScaling()
		if err != nil {
			return err
		}
		fn.scaling = s
	}
	if err := fn.join(r.group); err != nil {
		return err
	}
	if err := r.functions.add(fn); err != nil {
		return err
	}
	entered := false
	defer func() { // a hook that is told of the decision may end the goroutine
		if !entered {
			r.functions.remove(fn)
		}
	}()
	err := r.open(fn)
	entered = err == nil
	return err
}

// open makes what a function needs to serve. Shutdown and Close set closing before
// they look for functions: either they see this one, or closing is seen here, before
// the first instance is made. It is looked at again after the last, which may have
// taken long.
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

func errClosing(name string) *Error {
	return usageError("register", name, ErrClosed, "register functions before Shutdown or Close")
}

// isScaled tells whether anything of scaling was asked for.
func (fn *function) isScaled() bool {
	return fn.init != nil || fn.scaler != nil || fn.minInstances > 0 || fn.maxInstances < admission.Unlimited || fn.perInstance > 1
}

// compose does once what would otherwise be done per call.
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

// bind adds the typed half.
func (fn *function) bind(h handle) {
	raw := reflect.TypeFor[[]byte]()
	in, out := h.types()
	fn.handle, fn.rawIn, fn.rawOut = h, in == raw, out == raw
	fn.needsExtra = fn.init != nil || fn.chain != nil
}

// registry maps names to functions. Reading takes no lock. A map that is
// copied on every write would read as fast, but costs the square of the number
// of functions to fill.
type registry struct {
	byName sync.Map // string → *function

	mu   sync.Mutex
	gone []*function // removed, and still at work when last looked at
	past totals      // of those that no longer are
	owed []flusher   // their own meters, which may have records of theirs yet
}

func (t *registry) add(fn *function) error {
	if _, taken := t.byName.LoadOrStore(fn.name, fn); taken {
		fn.class.Remove() // and what was reserved for it
		return usageError("register", fn.name, ErrDuplicate, "Remove it first, or choose another name")
	}
	return nil
}

func (t *registry) get(name string) *function {
	v, _ := t.byName.Load(name)
	fn, _ := v.(*function)
	return fn
}

// remove moves a function from the table to those that are gone. The lock is
// held throughout, so that working always sees it in one of the two.
func (t *registry) remove(fn *function) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.byName.CompareAndDelete(fn.name, fn) {
		return false
	}
	fn.gone.Store(true)
	fn.class.Remove() // before the look: from here on nobody enters unseen
	if fn.scaling != nil {
		fn.scaling.remove(false)
	}
	t.gone = append(t.gone, fn)
	t.sweep()
	return true
}

// tidy is sweep for those who don't have the lock.
func (t *registry) tidy() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
}

// sweep lets go of removed functions whose last call is over, and keeps their
// counts; the lock is held.
func (t *registry) sweep() {
	t.gone = slices.DeleteFunc(t.gone, func(fn *function) bool {
		if fn.unsettled() > 0 || fn.runaways.Load() > 0 || fn.isBuilding() {
			return false
		}
		t.past.add(fn)
		t.owed = fn.meters[len(fn.router.meters):].flushers(t.owed)
		return true
	})
	t.owed = slices.DeleteFunc(t.owed, func(m flusher) bool {
		b, ok := m.(*BufferedMeter)
		return ok && b.Len() == 0
	})
}

// owing adds the meters of functions that are gone and were their own.
func (t *registry) owing(to []flusher) []flusher {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return append(to, t.owed...)
}

func (t *registry) sorted() []*function {
	var all []*function
	t.byName.Range(func(_, v any) bool {
		if fn, ok := v.(*function); ok {
			all = append(all, fn)
		}
		return true
	})
	slices.SortFunc(all, func(a, b *function) int { return strings.Compare(a.name, b.name) })
	return all
}

// working are the functions that may have calls: the registered ones, and the
// removed that are not yet done.
func (t *registry) working() []*function {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	return append(t.sorted(), t.gone...)
}

// find looks a function up for an operation.
func (r *Router) find(op, name string) (*function, *Error) {
	if fn := r.functions.get(name); fn != nil {
		return fn, nil
	}
	err := checkName(op, name)
	if err == nil {
		err = usageError(op, name, ErrNotFound, "register it first")
	}
	err.Kind = KindNotFound
	return nil, err
}

// checkName enforces ^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$: names go into URLs,
// headers, metrics and logs, and a colon is kept for qualifiers.
func checkName(op, name string) *Error {
	ok := len(name) >= 1 && len(name) <= 64 && name[0] != '-'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
	if ok {
		return nil
	}
	const cure = "use 1 to 64 of A–Z a–z 0–9 _ -, not starting with -"
	return usageError(op, clipName(name), ErrName, cure)
}

// join gives the function its share of the router's slots.
func (fn *function) join(g *admission.Group) error {
	fn.class = g.NewClass(fn.concurrency, fn.queue)
	if fn.concurrency == 0 {
		fn.class.SetEnabled(false)
	}
	if fn.tenants > 0 {
		fn.class.LimitTenants(fn.tenants)
	}
	if fn.weight != 1 {
		fn.class.SetWeight(fn.weight)
	}
	if fn.reserved > 0 && errors.Is(fn.class.Reserve(fn.reserved), admission.ErrReserved) {
		return usageError("register", fn.name, ErrInput,
			"WithReserved(%d): together, floors would exceed the router's capacity of %d; see SetCapacity", fn.reserved, g.Limit())
	}
	return nil
}

// identity is what a context tells of its function for as long as it is kept. It
// is one for each registration, and refers to nothing that is the user's.
type identity struct {
	name    string
	version string
	labels  map[string]string
	timeout time.Duration
	memory  int64
	inline  bool
	clock   *clock // the router's: no other has it
}

func (fn *function) identify() {
	fn.who = &identity{
		name: fn.name, version: fn.version, labels: fn.labels, timeout: fn.timeout, memory: fn.memory,
		inline: fn.inline, clock: fn.router.clock,
	}
}

// unsettled is how many calls are on their way: asking, waiting or running.
// What ends is read first, so that a call that comes or goes meanwhile can
// make the number too large and never too small.
func (fn *function) unsettled() int {
	over := fn.class.Settled.Load() + fn.refused.count()
	return int(fn.class.Entered.Load() - over)
}

// totals are counts over time.
type totals struct {
	admitted uint64
	rejected map[Reason]uint64
}

// add adds a function that is removed and at rest. It reads what was settled,
// not what has entered: somebody may be knocking there in vain.
func (t *totals) add(fn *function) {
	t.admitted += fn.class.Settled.Load()
	if t.rejected == nil {
		t.rejected = map[Reason]uint64{}
	}
	addCounts(t.rejected, fn.refused.snapshot())
}
