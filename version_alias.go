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

// WithSticky makes calls with the same key go to the same version, as long as the weights
// stay the same. The key is that of [WithOrigin], or else the tenant of [WithTenant]; calls
// with neither take turns. A key belongs to the same version in each process. If a version's
// weight is raised, keys move to that version, and no key moves away from it. The weights then
// divide the keys, and not the calls: a key with many calls takes all of them to one version.
func WithSticky() AliasOption { return aliasOption(func(c *aliasChange) { c.Sticky = true }) }

// IfRevision makes the change only if the alias has revision n. If not, nothing is changed, and
// the error Is [ErrStale]. So if several callers have read the alias and then change it, one
// of them succeeds. 0 means that there is no such alias yet.
func IfRevision(n uint64) AliasOption {
	return aliasOption(func(c *aliasChange) { c.expected, c.expects = n, true })
}

// WithActor names the author of the change. The name is kept in the [Alias] and in the [Decision].
// It has at most 256 bytes, and no control characters.
func WithActor(who string) AliasOption { return aliasOption(func(c *aliasChange) { c.By = who }) }

// WithDescription describes the alias, in at most 1,024 bytes.
func WithDescription(text string) AliasOption {
	return aliasOption(func(c *aliasChange) { c.Description = text })
}

// maxDescription is the length of the longest description, in bytes.
const maxDescription = 1024

// aliasChange is the new state of an alias, and the condition for the change.
type aliasChange struct {
	Alias // without Weights: the alias is removed

	op       string
	expected uint64
	expects  bool
}

// SetAlias sets an alias, so that name:alias stands for versions of the function. Calls by that
// name are divided among the versions by the weights. For example, a tenth of the calls
// of "resize:live" try version 2:
//
//	r.SetAlias("resize", "live", faas.Weights{1: 90, 2: 10})
//
// Each call goes to one version, which is chosen before the gates are asked. The call runs on
// that version even if the alias changes meanwhile. (There is one exception. If that version is
// removed while the gates are asked, the call goes to a version that the alias then stands for,
// and the gates of that version are asked instead.) In the order in which calls choose, any 100
// consecutive calls are divided by the weights, with an error of at most one call for two
// versions, and of at most two calls for more. This also holds if many goroutines call at once.
// New weights begin that order anew. See [WithSticky] for another way to choose.
//
// An alias matches ^[A-Za-z0-9_-]{1,128}$ and is not a number. The alias "" is what the name
// alone stands for, as long as no version without a number is registered. A version that an
// alias names can't be removed. SetAlias replaces all settings of the alias: a setting without an
// option is then off, or empty. It increases the revision by one; the first is 1. If the weights
// change, there is a [Decision].
//
// It returns an error that Is [ErrNotFound] (the function, or a version), [ErrName], [ErrInput]
// or [ErrStale]. Many goroutines may call it, at any time, also while calls run.
func (r *Router) SetAlias(name, alias string, w Weights, opts ...AliasOption) error {
	c := &aliasChange{op: "set alias", Alias: Alias{Function: name, Name: alias, Weights: maps.Clone(w)}}
	if why := w.fault(); why != "" {
		return usageError(c.op, qualify(name, alias), ErrInput, "%s", why)
	}
	return r.changeAlias(c, opts)
}

// RemoveAlias removes an alias. Calls that have chosen their version continue to their end;
// later calls by the alias answer [ErrNotFound]. It counts as a change to no weights, so there
// is a [Decision]. It returns an error that Is [ErrNotFound] (the function, or the alias),
// [ErrName], [ErrInput] or [ErrStale]. Of the options, only [IfRevision] and [WithActor] have an effect.
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

// changeAlias makes a change. If the change moves calls, it passes the Decision to the
// WithDecisions hook. It calls that hook without a lock: the hook may change the alias again.
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

// check returns an error if the change is invalid by itself, for any function.
func (c *aliasChange) check() error {
	name := qualify(c.Function, c.Name)
	switch {
	case c.Name != "" && !isAlias(c.Name):
		return usageError(c.op, name, ErrName, "an alias is 1 to 128 of A–Z a–z 0–9 _ -, and not a number, which would be a version")
	case !isTenant(c.By):
		return usageError(c.op, name, ErrInput, "WithActor: at most %d bytes, without control characters", maxTenant)
	case len(c.Description) > maxDescription || !utf8.ValidString(c.Description):
		return usageError(c.op, name, ErrInput, "WithDescription: at most %d bytes of UTF-8", maxDescription)
	}
	return nil
}

// isAlias enforces ^[A-Za-z0-9_-]{1,128}$, and that the name is not a number.
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

// changeAlias replaces f's table by a changed one, and returns the Decision if that moves
// calls. It holds t.mu, so that no version is removed between the check and the change.
func (t *registry) changeAlias(f *family, c *aliasChange) (*Decision, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := f.table.Load()
	was := now.aliases[c.Name]
	if was != nil {
		c.Revision = was.Revision
	}
	if c.expects && c.Revision != c.expected {
		return nil, usageError(c.op, qualify(c.Function, c.Name), ErrStale, "it has revision %d, and IfRevision asks for %d; read the alias again", c.Revision, c.expected)
	}
	next, err := c.aliased(now, was)
	if err != nil {
		return nil, err
	}
	f.table.Store(now.withAlias(c.Name, next))
	return f.moved(c, was), nil
}

// aliased returns the new state of the alias for calls, or nil if the alias is removed. If the
// weights are the same as before, it keeps the old split, and with it the order of turns.
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

// moved keeps and returns the Decision of a change that has been made. It returns nil if the
// weights have not changed.
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

// decisions returns the Decisions that moved has kept.
func (f *family) decisions() []Decision {
	if moves := f.moves.Load(); moves != nil {
		return moves.all()
	}
	return nil
}
