package faas

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/inproc/faas/internal/admission"
)

// family is all versions of one name, and what they share: their settings and their class in
// admission. It ends with its last version, and the name then begins anew.
type family struct {
	nameSettings // those of the first version, constant
	class        *admission.Class
	replaced     atomic.Int64 // of all versions together; see function.replaced
	past         *totals      // of versions that were removed and are done; nil: none. The registry's mu guards it
	table        atomic.Pointer[table]
}

// table is what there is of a name. It is constant: a change puts another in its place, so
// that a call finds its version by one load. The registry's mu guards such a change.
type table struct {
	latest   *function   // the version without a number, or nil
	numbered []*function // by number
}

// version returns the version that a qualifier names, or nil. The empty qualifier is that of
// $LATEST.
func (t *table) version(qualifier string) *function {
	if qualifier == "" || qualifier == versionLatest {
		return t.latest
	}
	// Of numbers without leading zeros the longer is the larger, so that nothing is parsed.
	i, found := slices.BinarySearchFunc(t.numbered, qualifier, func(fn *function, q string) int {
		return cmp.Or(cmp.Compare(len(fn.version), len(q)), strings.Compare(fn.version, q))
	})
	if !found {
		return nil
	}
	return t.numbered[i]
}

// isEmpty tells whether no version is left. The name then has no family any more.
func (t *table) isEmpty() bool { return t.latest == nil && len(t.numbered) == 0 }

// all returns the versions: $LATEST, and then the others by number.
func (t *table) all() []*function {
	if t.latest == nil {
		return t.numbered
	}
	return append([]*function{t.latest}, t.numbered...)
}

// with returns t and one version more.
func (t *table) with(fn *function) *table {
	next := *t
	if fn.number == 0 {
		next.latest = fn
		return &next
	}
	i, _ := slices.BinarySearchFunc(t.numbered, fn.number, func(a *function, n int) int { return cmp.Compare(a.number, n) })
	next.numbered = slices.Insert(slices.Clone(t.numbered), i, fn)
	return &next
}

// without returns t without a version.
func (t *table) without(fn *function) *table {
	next := *t
	if t.latest == fn {
		next.latest = nil
	} else {
		next.numbered = slices.DeleteFunc(slices.Clone(t.numbered), func(a *function) bool { return a == fn })
	}
	return &next
}

// resolve returns the version that a call with that qualifier runs, or nil.
func (f *family) resolve(qualifier string) *function { return f.table.Load().version(qualifier) }

// newest returns the version that describes the name: the one that a call without a
// qualifier runs, or else the one with the highest number. It is nil if the last version has
// just been removed.
func (f *family) newest() *function {
	if fn := f.resolve(""); fn != nil {
		return fn
	}
	if numbered := f.table.Load().numbered; len(numbered) > 0 {
		return numbered[len(numbered)-1]
	}
	return nil
}

// newFamily makes the family of a name whose first version is fn.
func (fn *function) newFamily(g *admission.Group) (*family, error) {
	f := &family{nameSettings: fn.nameSettings, class: g.NewClass(fn.concurrency, fn.queue)}
	f.table.Store(&table{})
	// A limit of 0 means "switched off" and not "wait for ever", so that it is a switch
	// of its own in admission.
	if f.concurrency == 0 {
		f.class.SetEnabled(false)
	}
	if f.tenants > 0 {
		f.class.LimitTenants(f.tenants)
	}
	if f.weight != 1 {
		f.class.SetWeight(f.weight)
	}
	if f.reserved > 0 && errors.Is(f.class.Reserve(f.reserved), admission.ErrReserved) {
		return nil, usageError("register", fn.name, ErrInput,
			"WithReserved(%d): together, floors would exceed the router's capacity of %d; see SetCapacity", f.reserved, g.Limit())
	}
	return f, nil
}

// refuses returns why fn can't be one more version of the family, or nil.
func (f *family) refuses(fn *function) error {
	if f.resolve(fn.version) != nil {
		return usageError("register", fn.qualified(), ErrDuplicate, "Remove it first, or choose another name, or another version")
	}
	other := f.newest()
	if reflect.TypeOf(other.handle) != reflect.TypeOf(fn.handle) {
		return usageError("register", fn.qualified(), ErrType, "it is a %T, and version %s a %T: the versions of a name have one type",
			fn.handle, other.version, other.handle)
	}
	if what := fn.nameSettings.differs(&f.nameSettings); what != "" {
		return usageError("register", fn.qualified(), ErrInput, "%s: its versions share that, and the first sets it; leave the option out", what)
	}
	return nil
}

// bound limits how many calls of the name run at once.
func (f *family) bound(n int) {
	f.class.Resize(n)
	for _, fn := range f.table.Load().all() {
		if fn.scaling != nil {
			fn.scaling.withdraw()
		}
	}
}

// qualified returns the name with the version's number, for messages.
func (fn *function) qualified() string {
	if fn.number == 0 {
		return fn.name
	}
	return fn.name + ":" + fn.version
}

// list says which versions there are, and the last ones of many.
func (f *family) list() string {
	const most = 10
	var names []string
	for _, fn := range f.table.Load().all() {
		names = append(names, fn.name+":"+fn.version)
	}
	if n := len(names); n > most {
		return "…, " + strings.Join(names[n-most:], ", ")
	}
	return strings.Join(names, ", ")
}

// addPast adds the counts of a version of the family that is done. The registry's mu must be
// held.
func (f *family) addPast(fn *function) {
	if f.past == nil {
		f.past = &totals{}
	}
	f.past.add(fn)
}
