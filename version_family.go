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

// family is all versions of one name, and what they share: their settings and their class in
// admission. It ends with its last version, and the name then begins anew.
type family struct {
	*nameSettings // those of the first version, constant: shared by all names that set none of them
	class         *admission.Class
	replaced      atomic.Int64              // of all versions together; see function.replaced
	past          *totals                   // of versions that were removed and are done; nil: none. The registry's mu guards it
	moves         atomic.Pointer[decisions] // of its aliases; nil: none. The registry's mu guards its making
	table         atomic.Pointer[table]
}

// table is what there is of a name. It is constant: a change puts another in its place, so
// that a call finds its version by one load. The registry's mu guards such a change.
type table struct {
	latest *function // the version without a number, or nil
	*others
}

// others is what only some names have. It is constant too: those without share an empty one,
// the registry's.
type others struct {
	numbered []*function // by number
	aliases  map[string]*aliased
}

// version returns the version that a qualifier names, or nil. The empty qualifier is that of
// $LATEST.
func (t *table) version(qualifier string) *function {
	if qualifier == "" || qualifier == versionLatest {
		return t.latest
	}
	// Of numbers without leading zeros the longer is the larger, so that nothing is parsed.
	i, found := slices.BinarySearchFunc(t.numbered, qualifier, func(fn *function, q string) int {
		return cmp.Or(cmp.Compare(len(fn.who.version), len(q)), strings.Compare(fn.who.version, q))
	})
	if !found {
		return nil
	}
	return t.numbered[i]
}

// isEmpty reports whether no version is left. The name then has no family any more.
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
	next.others = &others{slices.Insert(slices.Clone(t.numbered), i, fn), t.aliases}
	return &next
}

// without returns t without a version.
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

// peek returns what a qualifier stands for, without taking a turn: of an alias, the version
// with the most weight. ok is false if there is nothing of that name.
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

// newFamily makes the family of a name whose first version is fn. none is the empty others.
func (fn *function) newFamily(g *admission.Group, none *others) (*family, error) {
	f := &family{nameSettings: fn.nameSettings, class: g.NewClass(fn.concurrency, fn.queue)}
	f.table.Store(&table{others: none})
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
		return nil, usageError("register", fn.who.name, ErrInput,
			"WithReserved(%d): together, floors would exceed the router's capacity of %d; see SetCapacity", f.reserved, g.Limit())
	}
	return f, nil
}

// refuses returns why fn can't be one more version of the family, or nil.
func (f *family) refuses(fn *function) error {
	if f.resolve(fn.who.version) != nil {
		return usageError("register", fn.qualified(), ErrDuplicate, "Remove it first, or choose another name, or another version")
	}
	other := f.newest()
	if reflect.TypeOf(other.handle) != reflect.TypeOf(fn.handle) {
		return usageError("register", fn.qualified(), ErrType, "it is a %T, and version %s a %T: the versions of a name have one type",
			fn.handle, other.who.version, other.handle)
	}
	if what := fn.differs(f.nameSettings); what != "" {
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
		return fn.who.name
	}
	return fn.who.name + ":" + fn.who.version
}

// list says which versions there are, and the last ones of many.
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

// addPast adds the counts of a version of the family that is done. The registry's mu must be
// held.
func (f *family) addPast(fn *function) {
	if f.past == nil {
		f.past = &totals{}
	}
	f.past.add(fn)
}

// target is what a name stands for at one moment: the version that a call runs. A call keeps
// its target whatever becomes of the alias. It goes to another only if the version is removed
// before the call has a slot or waits for one: see errGone.
type target struct {
	fn     *function
	who    *identity // what the call's context knows of fn
	byName bool      // the name can be looked up again; false: a handle, which is bound to fn
}

// itself is the target of a call by fn's own handle.
func (fn *function) itself() target { return target{fn: fn, who: fn.who} }

// resolution is what the caller is told of the target.
func (to target) resolution() Resolution {
	return Resolution{Function: to.fn.who.name, Version: to.fn.who.version, Alias: to.who.aliasName()}
}

// target returns what a call with that qualifier runs. It takes a turn of the alias, if it
// is one. ok is false if there is nothing of that name.
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

// aliased is an alias as calls see it. It is constant: a change of the alias makes another.
type aliased struct {
	Alias
	split   *traffic.Split
	targets []target // of the split's shares, in their order
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

// aliasOf reports whether a name stands for an alias of the family, and which.
func (f *family) aliasOf(reference string) (alias string, ok bool) {
	_, alias, _ = strings.Cut(reference, ":")
	t := f.table.Load()
	return alias, t.version(alias) == nil && t.aliases[alias] != nil
}

// by is what the context of a call by that alias knows of its function.
func (who *identity) by(alias string) *identity {
	return &identity{about: who.about, alias: &byAlias{alias, who}}
}

// isOf reports whether who is fn's, by an alias or not.
func (who *identity) isOf(fn *function) bool { return who.own() == fn.who }

// withAlias returns t with a in place of what the name stood for. If a is nil it is removed.
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
