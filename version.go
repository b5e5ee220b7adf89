package faas

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/inproc/faas/internal/admission"
)

// versionLatest is the version of a function that was registered without a number. The name is
// the one that Lambda uses.
const versionLatest = "$LATEST"

// WithVersion registers the function as version n of its name, n ≥ 1, beside the
// versions that are there. Without it a function is the version $LATEST. A version is
// called as "name:2", wherever a name is accepted; see [Router.Versions].
//
// All versions of a name have the same input and output types; another type is an error
// that Is [ErrType], and a number that is taken one that Is [ErrDuplicate]. A number may
// be used again after [Router.Remove].
//
// The versions of a name share what limits its calls: [WithConcurrency], [WithQueue],
// [WithReserved], [WithWeight], [WithTenantConcurrency] and [WithRunaways]. The first
// version that is registered sets them. A later one may leave them out or repeat them;
// another value is an error that Is [ErrInput]. All other options are each version's own.
func WithVersion(n int) FunctionOption {
	return functionOption(func(s *settings) {
		s.version = n
		if n == 0 {
			s.version = -1 // check refuses -1; 0 stands for $LATEST
		}
	})
}

type functionOption func(*settings)

func (o functionOption) applyFunction(s *settings) { o(s) }

// family is what the versions of one name share.
type family struct {
	name     string
	class    *admission.Class
	limits   *nameSettings          // as the first version has set them; the router's own where that has set none
	replaced atomic.Int64           // the sum over all versions; WithRunaways bounds it
	routes   atomic.Pointer[routes] // never nil; written under the registry's mu
	past     totals                 // the counts of removed versions that are done; guarded by the registry's mu
}

// newFamily returns the family whose first version is fn. It keeps none of fn's other
// settings, which may go before it does.
func newFamily(fn *function) *family {
	limits := &fn.router.common.nameSettings // most functions set none: then no copy
	if fn.nameSettings != *limits {
		own := fn.nameSettings
		limits = &own
	}
	return &family{name: fn.name, limits: limits}
}

// routes are what a name stands for, with and without a qualifier. A routes is constant:
// each change stores another, so that a call sees all of a change or nothing of it.
type routes struct {
	latest   *function   // the version $LATEST; nil: there is none
	versions []*function // those with a number, by number
}

// nameSettings are the settings that all versions of a name share.
type nameSettings struct {
	concurrency int
	reserved    int
	weight      int
	tenants     int // limit of one tenant's calls at once; 0: no limit
	queue       int
	runaways    int
}

// notSet stands in a nameSettings for what no option has set.
const notSet = int(^uint(0)>>1) * -1

// nameOptions returns what opts set of the nameSettings; the rest is notSet.
func nameOptions(opts []FunctionOption) nameSettings {
	s := settings{nameSettings: nameSettings{notSet, notSet, notSet, notSet, notSet, notSet}}
	for _, o := range opts {
		if o != nil {
			o.applyFunction(&s)
		}
	}
	return s.nameSettings
}

// conflict names the first option of asked that has another value than the name has, or
// is empty.
func (has *nameSettings) conflict(asked *nameSettings) string {
	for _, o := range []struct {
		option     string
		asked, has int
	}{
		{"WithConcurrency", asked.concurrency, has.concurrency}, {"WithReserved", asked.reserved, has.reserved},
		{"WithWeight", asked.weight, has.weight}, {"WithTenantConcurrency", asked.tenants, has.tenants},
		{"WithQueue", asked.queue, has.queue}, {"WithRunaways", asked.runaways, has.runaways},
	} {
		if o.asked != notSet && o.asked != o.has {
			return fmt.Sprintf("%s(%d): the versions of a name share it, and the first has set %d; leave it out", o.option, o.asked, o.has)
		}
	}
	return ""
}

// versionName is how a version is written: its number, or $LATEST.
func versionName(n int) string {
	if n == 0 {
		return versionLatest
	}
	return strconv.Itoa(n)
}

// all returns the versions, $LATEST first and then by number.
func (t *routes) all() []*function {
	if t.latest == nil {
		return t.versions
	}
	return append([]*function{t.latest}, t.versions...)
}

// version returns the version of that number, 0 for $LATEST, or nil.
func (t *routes) version(n int) *function {
	if n == 0 {
		return t.latest
	}
	if i, found := t.search(n); found {
		return t.versions[i]
	}
	return nil
}

func (t *routes) search(n int) (i int, found bool) {
	return slices.BinarySearchFunc(t.versions, n, func(fn *function, n int) int { return cmp.Compare(fn.settings.version, n) })
}

// with returns routes that also have fn, and without those that lack it.
func (t *routes) with(fn *function) *routes {
	next := *t
	if n := fn.settings.version; n == 0 {
		next.latest = fn
	} else {
		i, _ := t.search(n)
		next.versions = slices.Insert(slices.Clone(t.versions), i, fn)
	}
	return &next
}

func (t *routes) without(fn *function) *routes {
	next := *t
	if fn == t.latest {
		next.latest = nil
	} else {
		next.versions = slices.DeleteFunc(slices.Clone(t.versions), func(v *function) bool { return v == fn })
	}
	return &next
}

// versionOf returns the version that a qualifier names, or nil: by its number, or $LATEST, for
// which the empty qualifier stands too.
func (t *routes) versionOf(qualifier string) *function {
	if qualifier == "" || qualifier == versionLatest {
		return t.latest
	}
	n, err := strconv.Atoi(qualifier)
	if err != nil || n < 1 || strconv.Itoa(n) != qualifier { // 02 and +2 are no versions
		return nil
	}
	return t.version(n)
}

// resolve returns the version that a call by a qualifier runs, or nil. The empty
// qualifier is that of a name alone.
func (t *routes) resolve(qualifier string) *function { return t.versionOf(qualifier) }

// represents returns the version that shows the name's signature: the one that a call
// without a qualifier runs, or the newest. It is nil if no version is left.
func (t *routes) represents() *function {
	if fn := t.resolve(""); fn != nil {
		return fn
	}
	if len(t.versions) == 0 {
		return nil
	}
	return t.versions[len(t.versions)-1]
}

// offer says what a caller could call instead of what is not there.
func (f *family) offer() string {
	all := f.routes.Load().all()
	names := make([]string, len(all))
	for i, fn := range all {
		names[i] = strconv.Quote(f.name + ":" + fn.version)
	}
	return "there is " + strings.Join(names, ", ")
}

// accepts returns an error if fn can't be a version of f beside those that are there.
func (f *family) accepts(fn *function) error {
	t := f.routes.Load()
	if t.version(fn.settings.version) != nil {
		if fn.settings.version == 0 {
			return usageError("register", fn.name, ErrDuplicate, "Remove it first, or choose another name, or a version: see WithVersion")
		}
		return usageError("register", fn.name, ErrDuplicate, "Remove %q first, or choose another version", fn.name+":"+fn.version)
	}
	other := t.represents()
	in, out := fn.handle.types()
	if hasIn, hasOut := other.handle.types(); in != hasIn || out != hasOut || fn.stream != other.stream {
		return usageError("register", fn.name, ErrType, "version %s is %s, version %s would be %s: all versions of a name have the same types",
			other.version, other.form(), fn.version, fn.form())
	}
	if fn.asked == nil {
		return nil
	}
	if why := f.limits.conflict(fn.asked); why != "" {
		return usageError("register", fn.name, ErrInput, "%s", why)
	}
	return nil
}

// form describes the types of a function's handler.
func (fn *function) form() string {
	in, out := fn.handle.types()
	if fn.stream {
		return fmt.Sprintf("a stream function of %v", in)
	}
	return fmt.Sprintf("func(%v) %v", in, out)
}

// inherit gives fn the settings that the versions of its name share.
func (fn *function) inherit(f *family) {
	if fn.settings.nameSettings != *f.limits {
		own := *fn.settings
		own.nameSettings = *f.limits
		fn.settings = &own
	}
	fn.plain = fn.plain && fn.tenants == 0
}

// Versions describes the versions of a function and their present state: $LATEST first,
// if there is one, and then those with a number, in order. It returns an error that Is
// [ErrNotFound] or [ErrName]; the name is without a qualifier.
//
// The numbers that count calls, InFlight, Queued, Runaways, Admitted, Rejected, Instances
// and Ready, are of the version; Reserved and Weight are of the name, and so is Limit for a
// version that is not scaled.
func (r *Router) Versions(name string) ([]Info, error) {
	f, err := r.findFamily("versions", name)
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, fn := range f.routes.Load().all() {
		all = append(all, fn.info())
	}
	return all, nil
}

// splitName parts "name:qualifier".
func splitName(name string) (base, qualifier string, qualified bool) { return strings.Cut(name, ":") }

// checkQualifier enforces ^[A-Za-z0-9_-]{1,128}$, Lambda's rule for aliases, or $LATEST.
func checkQualifier(op, name, qualifier string) *Error {
	ok := len(qualifier) >= 1 && len(qualifier) <= 128
	for i := 0; ok && i < len(qualifier); i++ {
		ok = isNameByte(qualifier[i])
	}
	if ok || qualifier == versionLatest {
		return nil
	}
	return usageError(op, clipName(name), ErrName, "after the colon stands a version, $LATEST or an alias: 1 to 128 of A–Z a–z 0–9 _ -")
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
