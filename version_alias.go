package faas

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/inproc/faas/internal/traffic"
)

// AliasOption is an option of [Router.SetAlias] and [Router.RemoveAlias].
type AliasOption interface{ applyAlias(*aliasChange) }

type aliasOption func(*aliasChange)

func (o aliasOption) applyAlias(c *aliasChange) { o(c) }

// WithSticky has calls with the same key go to the same version, as long as the weights
// stay the same. The key is that of [WithOrigin], or else the tenant of [WithTenant]; calls
// with neither take turns. A key belongs to the same version in each process. If a version's
// weight is raised, keys move to it and none moves away from it. The parts are those of the
// keys, and not of the calls.
func WithSticky() AliasOption { return aliasOption(func(c *aliasChange) { c.Sticky = true }) }

// IfRevision makes the change only if the alias has revision n; else nothing is changed, and
// the error Is [ErrStale]. So of those that have read the alias and then change it one wins.
// 0 means that there is no such alias yet.
func IfRevision(n uint64) AliasOption {
	return aliasOption(func(c *aliasChange) { c.expected, c.expects = n, true })
}

// WithActor names the author of the change. The name is kept in the [Alias] and in the [Decision]. It is
// at most 256 bytes without control characters.
func WithActor(who string) AliasOption { return aliasOption(func(c *aliasChange) { c.By = who }) }

// WithDescription describes the alias, in at most 1,024 bytes.
func WithDescription(text string) AliasOption {
	return aliasOption(func(c *aliasChange) { c.Description = text })
}

// maxDescription is the length of the longest description, in bytes.
const maxDescription = 1024

// aliasChange is what an alias becomes, and on what condition.
type aliasChange struct {
	Alias // without weights: it is removed

	op       string
	expected uint64
	expects  bool
}

// SetAlias lets name:alias stand for versions of the function, or changes for which: calls
// by that name are divided among them by the weights. For example, a tenth of the calls
// of "resize:live" try version 2:
//
//	r.SetAlias("resize", "live", faas.Weights{1: 90, 2: 10})
//
// Each call goes to one version, which is chosen before the gates are asked, and runs there
// whatever becomes of the alias meanwhile. (If that version is removed while the gates
// are asked, the call goes to what the alias stands for by then, and its gates are asked
// instead.) In the order in which calls choose, any 100 in a row are divided by the weights
// to within one call for two versions, and to within two calls for more, also if many goroutines
// call at once. Other weights begin that order anew. See [WithSticky] for another way to choose.
//
// An alias matches ^[A-Za-z0-9_-]{1,128}$ and is no number. The alias "" is what the name
// alone stands for, as long as no version without a number is registered. A version that an
// alias names can't be removed. SetAlias sets all of the alias: what no option says is
// off, or empty. It counts the revision up, from 1. A change of the weights is a [Decision].
//
// It returns an error that Is [ErrNotFound] (the function, or a version), [ErrName], [ErrInput]
// or [ErrStale]. It may be called at any time, also while calls run, by many goroutines.
func (r *Router) SetAlias(name, alias string, w Weights, opts ...AliasOption) error {
	c := &aliasChange{op: "set alias", Alias: Alias{Function: name, Name: alias, Weights: maps.Clone(w)}}
	if why := w.fault(); why != "" {
		return usageError(c.op, qualify(name, alias), ErrInput, "%s", why)
	}
	return r.changeAlias(c, opts)
}

// RemoveAlias removes an alias. Calls that have chosen their version continue to their end;
// later ones answer [ErrNotFound]. It counts as a change of the weights to none. It returns
// an error that Is [ErrNotFound] (the function, or the alias), [ErrName], [ErrInput] or
// [ErrStale]; of the options, [IfRevision] and [WithActor] have an effect.
func (r *Router) RemoveAlias(name, alias string, opts ...AliasOption) error {
	return r.changeAlias(&aliasChange{op: "remove alias", Alias: Alias{Function: name, Name: alias}}, opts)
}

// Aliases describes the aliases of a function, by name. It returns an error that Is
// [ErrNotFound], [ErrName], or [ErrInput] if the name has a qualifier.
func (r *Router) Aliases(name string) ([]Alias, error) {
	f, err := r.findName("aliases", name)
	if err != nil {
		return nil, err
	}
	var all []Alias
	for _, a := range f.table.Load().aliases {
		own := a.Alias
		own.Weights = maps.Clone(own.Weights)
		all = append(all, own)
	}
	slices.SortFunc(all, func(a, b Alias) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// changeAlias makes a change, and tells of it if it moves calls. The WithDecisions hook is
// called without a lock: it may change the alias again.
func (r *Router) changeAlias(c *aliasChange, opts []AliasOption) error {
	for _, o := range opts {
		if o != nil {
			o.applyAlias(c)
		}
	}
	if err := c.check(); err != nil {
		return err
	}
	f, unknown := r.findName(c.op, c.Function)
	if unknown != nil {
		return unknown
	}
	c.Changed = r.clock.time(r.clock.now())
	d, err := r.functions.changeAlias(f, c)
	if err != nil {
		return err
	}
	if d != nil {
		r.reports.decided(d)
	}
	return nil
}

// check returns what is wrong with a change whatever there is of the function.
func (c *aliasChange) check() error {
	name := qualify(c.Function, c.Name)
	switch {
	case c.Name != "" && !isAlias(c.Name):
		return usageError(c.op, name, ErrName, "an alias is 1 to 128 of A–Z a–z 0–9 _ -, and no number, which would be a version")
	case !isTenant(c.By):
		return usageError(c.op, name, ErrInput, "WithActor: at most %d bytes, without control characters", maxTenant)
	case len(c.Description) > maxDescription || !utf8.ValidString(c.Description):
		return usageError(c.op, name, ErrInput, "WithDescription: at most %d bytes of UTF-8", maxDescription)
	}
	return nil
}

// isAlias enforces ^[A-Za-z0-9_-]{1,128}$, and that it is no number.
func isAlias(name string) bool {
	return 1 <= len(name) && len(name) <= 128 && isWord(name) && strings.Trim(name, "0123456789") != ""
}

// qualify joins a name and an alias, for messages.
func qualify(name, alias string) string {
	if alias == "" {
		return clipName(name)
	}
	return clipName(name) + ":" + clipName(alias)
}

// changeAlias puts another table in the place of f's, and returns the Decision if that moves
// calls. It holds t.mu, so that no version goes between the look at it and the change.
func (t *registry) changeAlias(f *family, c *aliasChange) (*Decision, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := f.table.Load()
	was := now.aliases[c.Name]
	if was != nil {
		c.Revision = was.Revision
	}
	if c.expects && c.Revision != c.expected {
		return nil, usageError(c.op, qualify(c.Function, c.Name), ErrStale, "it has revision %d, and %d is asked for; read it again", c.Revision, c.expected)
	}
	next, err := c.aliased(now, was)
	if err != nil {
		return nil, err
	}
	f.table.Store(now.withAlias(c.Name, next))
	return f.moved(c, was), nil
}

// aliased makes what the alias becomes; nil: it is removed. It has the turns of what it was, if
// the weights are the same.
func (c *aliasChange) aliased(now *table, was *aliased) (*aliased, error) {
	if c.Weights == nil {
		if was == nil {
			return nil, usageError(c.op, qualify(c.Function, c.Name), ErrNotFound, "there is no such alias; see Aliases")
		}
		return nil, nil //nolint:nilnil // see above
	}
	c.Revision++
	a := &aliased{Alias: c.Alias}
	for n := range c.Weights {
		if fn := now.version(versionName(n)); fn == nil || !fn.confirmed {
			return nil, usageError(c.op, qualify(c.Function, c.Name), ErrNotFound, "there is no version %s; register it first, with WithVersion", versionName(n))
		}
	}
	most, shares := 0, c.Weights.shares()
	for _, s := range shares {
		fn := now.version(versionName(s.Version))
		to := target{fn: fn, who: fn.who.by(c.Name), byName: true}
		a.targets = append(a.targets, to)
		if c.Weights[s.Version] > most {
			most, a.first = c.Weights[s.Version], to
		}
	}
	if was != nil && maps.Equal(was.Weights, c.Weights) {
		a.split = was.split
	} else {
		a.split = traffic.New(c.Function, shares)
	}
	return a, nil
}

// moved keeps and returns the Decision of a change that has been made. It is nil if the weights
// are what they were.
func (f *family) moved(c *aliasChange, was *aliased) *Decision {
	d := &Decision{Time: c.Changed, Function: c.Function, Alias: c.Name, By: c.By, After: maps.Clone(c.Weights), Rule: "alias moved"}
	switch {
	case was == nil:
		d.Rule = "alias set"
	case c.Weights == nil:
		d.Rule = "alias removed"
	}
	if was != nil {
		d.Before = maps.Clone(was.Weights)
	}
	if maps.Equal(d.Before, d.After) {
		return nil
	}
	if f.moves.Load() == nil {
		f.moves.Store(&decisions{})
	}
	f.moves.Load().add(d)
	return d
}

// decisions are those that moved has kept.
func (f *family) decisions() []Decision {
	if moves := f.moves.Load(); moves != nil {
		return moves.all()
	}
	return nil
}
