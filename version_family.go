package faas

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/traffic"
)

// family has all versions of one name, and what they share: their settings and their class in
// admission. It ends with its last version. If the name is registered again, it gets a new family.
type family struct {
	*nameSettings // of the first version; constant: names that set none of them share one struct
	class         *admission.Class
	replaced      atomic.Int64              // the sum over all versions; see function.replaced
	past          *totals                   // of removed versions that have no more calls; nil: none. Guarded by the registry's mu
	moves         atomic.Pointer[decisions] // of the aliases; nil: none. Made with the registry's mu held
	table         atomic.Pointer[table]
}

// table has the versions and aliases of a name. It does not change: a change stores a new table,
// so that a call finds its version by one load. The registry's mu is held during such a change.
type table struct {
	latest *function // the version without a number, or nil
	*others
}

// others has numbered versions and aliases, which only some names have. Like a table, it does not
// change. Names that have neither share an empty one, which belongs to the registry.
type others struct {
	numbered []*function // by number
	aliases  map[string]*aliased
}

// version returns the version that a qualifier names, or nil. The empty qualifier means
// $LATEST.
func (t *table) version(qualifier string) *function {
	if qualifier == "" || qualifier == versionLatest {
		return t.latest
	}
	// Numbers without leading zeros are compared as text: the longer one is larger. So nothing is parsed.
	i, found := slices.BinarySearchFunc(t.numbered, qualifier, func(fn *function, q string) int {
		return cmp.Or(cmp.Compare(len(fn.who.version), len(q)), strings.Compare(fn.who.version, q))
	})
	if !found {
		return nil
	}
	return t.numbered[i]
}

// isEmpty reports whether no version is left. Then the name no longer has a family.
func (t *table) isEmpty() bool { return t.latest == nil && len(t.numbered) == 0 }

// all returns the versions: $LATEST, and then the others by number.
func (t *table) all() []*function {
	if t.latest == nil {
		return t.numbered
	}
	return append([]*function{t.latest}, t.numbered...)
}

// with returns a copy of t that also has the version fn.
func (t *table) with(fn *function) *table {
	next := *t
	if fn.number == 0 {
		next.latest = fn
		return &next
	}
	i, _ := slices.BinarySearchFunc(t.numbered, fn.number, func(a *function, n int) int { return cmp.Compare(a.number, n) })
	next.others = &others{slices.Insert(slices.Clone(t.numbered), i, fn), t.aliases}
	return &next
}

// without returns a copy of t that does not have the version fn.
func (t *table) without(fn *function) *table {
	next := *t
	if t.latest == fn {
		next.latest = nil
	} else {
		next.others = &others{slices.DeleteFunc(slices.Clone(t.numbered), func(a *function) bool { return a == fn }), t.aliases}
	}
	return &next
}

// resolve returns the version that a qualifier stands for, or nil; see peek.
func (f *family) resolve(qualifier string) *function {
	to, _ := f.peek(qualifier)
	return to.fn
}

// peek returns the target that a qualifier stands for, without taking a turn (see target): for an
// alias, the version with the most weight. ok is false if there is no such version or alias.
func (f *family) peek(qualifier string) (to target, ok bool) {
	t := f.table.Load()
	if fn := t.version(qualifier); fn != nil {
		return fn.itself(), true
	}
	if a := t.aliases[qualifier]; a != nil {
		return a.first, true
	}
	return target{}, false
}

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

// newFamily makes the family of a name whose first version is fn. none is the shared empty others.
func (fn *function) newFamily(g *admission.Group, none *others) (*family, error) {
	f := &family{nameSettings: fn.nameSettings, class: g.NewClass(fn.concurrency, fn.queue)}
	f.table.Store(&table{others: none})
	// A limit of 0 means "switched off", not "wait for ever". So admission has a separate
	// switch for it.
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
		return nil, usageError("register", fn.who.name, ErrInput,
			"WithReserved(%d): the sum of all reservations would exceed the router's capacity of %d; see SetCapacity", f.reserved, g.Limit())
	}
	return f, nil
}

// refuses returns an error if fn can't be a further version of the family, or nil.
func (f *family) refuses(fn *function) error {
	if f.resolve(fn.who.version) != nil {
		return usageError("register", fn.qualified(), ErrDuplicate, "Remove it first, or choose another name or another version")
	}
	other := f.newest()
	if reflect.TypeOf(other.handle) != reflect.TypeOf(fn.handle) {
		return usageError("register", fn.qualified(), ErrType, "it is a %T, but version %s is a %T; all versions of a name must have the same type",
			fn.handle, other.who.version, other.handle)
	}
	if what := fn.differs(f.nameSettings); what != "" {
		return usageError("register", fn.qualified(), ErrInput, "%s: all versions of a name share that, and the first sets it; leave the option out", what)
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
		return fn.who.name
	}
	return fn.who.name + ":" + fn.who.version
}

// list returns the names of the versions, for messages; if there are many, only the last ones.
func (f *family) list() string {
	const most = 10
	var names []string
	for _, fn := range f.table.Load().all() {
		names = append(names, fn.who.name+":"+fn.who.version)
	}
	if n := len(names); n > most {
		return "…, " + strings.Join(names[n-most:], ", ")
	}
	return strings.Join(names, ", ")
}

// addPast adds the counts of a removed version of the family that has no more calls. The
// registry's mu must be held.
func (f *family) addPast(fn *function) {
	if f.past == nil {
		f.past = &totals{}
	}
	f.past.add(fn)
}

// target is what a name stands for at one moment: the version that a call runs. A call keeps
// its target even if the alias changes. It gets another target only if the version is removed
// before the call has a slot or waits for one: see errGone.
type target struct {
	fn     *function
	who    *identity // what the call's context keeps of fn
	byName bool      // the call was made by name, which can be looked up again; false: by a handle, which is bound to fn
}

// itself returns the target of a call by fn's own handle.
func (fn *function) itself() target { return target{fn: fn, who: fn.who} }

// resolution returns the target as WithResolution reports it to the caller.
func (to target) resolution() Resolution {
	return Resolution{Function: to.fn.who.name, Version: to.fn.who.version, Alias: to.who.aliasName()}
}

// target returns what a call with that qualifier runs. If the qualifier is an alias, the call
// takes a turn in the alias's order of versions. ok is false if there is no such version or alias.
func (f *family) target(ctx context.Context, qualifier string) (to target, ok bool) {
	t := f.table.Load()
	if fn := t.version(qualifier); fn != nil {
		return target{fn: fn, who: fn.who, byName: true}, true
	}
	if a := t.aliases[qualifier]; a != nil {
		return a.target(ctx), true
	}
	return target{}, false
}

// aliased is an alias in the form that calls use. It does not change: a change of the alias makes
// a new one.
type aliased struct {
	Alias
	split   *traffic.Split
	targets []target // the targets of the split's shares, in the same order
	first   target   // the version with the most weight, which describes the alias
}

// target chooses the version of one call.
func (a *aliased) target(ctx context.Context) target {
	if len(a.targets) == 1 {
		return a.targets[0]
	}
	if a.Sticky {
		if key := stickyKey(ctx); key != "" {
			return a.targets[a.split.For(key)]
		}
	}
	return a.targets[a.split.Next()]
}

// aliasOf returns the alias of the family that a name stands for. ok is false if it stands for a version.
func (f *family) aliasOf(reference string) (alias string, ok bool) {
	_, alias, _ = strings.Cut(reference, ":")
	t := f.table.Load()
	return alias, t.version(alias) == nil && t.aliases[alias] != nil
}

// by returns the identity for the contexts of calls that are made by that alias.
func (who *identity) by(alias string) *identity {
	return &identity{about: who.about, alias: &byAlias{alias, who}}
}

// isOf reports whether who is an identity of fn, with or without an alias.
func (who *identity) isOf(fn *function) bool { return who.own() == fn.who }

// withAlias returns a copy of t in which the name stands for a. If a is nil, the alias is removed.
func (t *table) withAlias(name string, a *aliased) *table {
	next := &others{t.numbered, maps.Clone(t.aliases)}
	switch {
	case a == nil:
		delete(next.aliases, name)
	case next.aliases == nil:
		next.aliases = map[string]*aliased{name: a}
	default:
		next.aliases[name] = a
	}
	return &table{t.latest, next}
}

// namedBy returns an alias that names a version. ok is false if none does.
func (t *table) namedBy(fn *function) (alias string, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(t.aliases)) {
		if _, ok := t.aliases[name].Weights[fn.number]; ok {
			return name, true
		}
	}
	return "", false
}
