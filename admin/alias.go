package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// DefaultAlias stands for the alias "" in a path. That alias says which version a function's name
// stands for when it is used alone.
const DefaultAlias = "$default"

// Alias describes an alias of a function.
type Alias struct {
	Function    string           `json:"function"`
	Name        string           `json:"name"`    // empty: the alias for the function's name alone
	Weights     map[string]Count `json:"weights"` // by version; "0" is the version without a number, $LATEST
	Sticky      bool             `json:"sticky,omitempty"`
	Description string           `json:"description,omitempty"`
	Revision    Count            `json:"revision"`
	Changed     time.Time        `json:"changed"`
	By          string           `json:"by,omitempty"`
}

// Aliases is the answer of GET /v1/functions/{name}/aliases.
type Aliases struct {
	Function string  `json:"function"`
	Aliases  []Alias `json:"aliases"`
}

// AliasChange is the body of PUT /v1/functions/{name}/aliases/{alias}. It replaces the whole
// alias: a field that is left out becomes empty or false.
type AliasChange struct {
	Weights     map[string]Count `json:"weights"` // by version; "0" is the version without a number, $LATEST
	Sticky      bool             `json:"sticky,omitempty"`
	Description string           `json:"description,omitempty"`
	// IfRevision makes the change only if the alias has this revision, or does not exist if it
	// is 0; otherwise the answer is 409. Null: the change is made in any case.
	IfRevision *Count `json:"ifRevision,omitempty"`
}

func shownAlias(a *faas.Alias) Alias {
	return Alias{
		Function: a.Function, Name: a.Name, Weights: shownWeights(a.Weights), Sticky: a.Sticky, Description: a.Description,
		Revision: Count(a.Revision), Changed: a.Changed, By: a.By,
	}
}

func shownWeights(w faas.Weights) map[string]Count {
	if w == nil {
		return nil
	}
	out := make(map[string]Count, len(w))
	for version, weight := range w {
		out[strconv.Itoa(version)] = count(weight)
	}
	return out
}

func (x *exchange) aliases() (any, error) {
	name := x.r.PathValue("name")
	if _, err := x.needSight(name); err != nil {
		return nil, err
	}
	all, err := x.h.router.Aliases(name)
	if err != nil {
		return nil, absent()
	}
	out := Aliases{Function: name, Aliases: []Alias{}}
	for i := range all {
		out.Aliases = append(out.Aliases, shownAlias(&all[i]))
	}
	return out, nil
}

// aliasOf returns the function and the alias that the path names, if the viewer may manage
// them.
func (x *exchange) aliasOf() (function, alias string, err error) {
	function, alias = x.r.PathValue("name"), x.r.PathValue("alias")
	if alias == DefaultAlias {
		alias = ""
	}
	x.entry.Object = clip(alias, 100)
	return function, alias, x.need(Action{Right: access.Manage, Function: function, AllTenants: true})
}

// actor returns the viewer's name, which is kept with a change.
func (x *exchange) actor() string { return clip(x.who.String(), 200) }

func (x *exchange) setAlias() (any, error) {
	function, alias, err := x.aliasOf()
	if err != nil {
		return nil, err
	}
	var c AliasChange
	if err := x.body(&c, maxOrder); err != nil {
		return nil, err
	}
	w, err := weightsOf(c.Weights)
	if err != nil {
		return nil, err
	}
	x.entry.Detail = clip(w.String(), 200)
	if err := x.h.router.SetAlias(function, alias, w, c.options(x.actor())...); err != nil {
		return nil, err
	}
	return x.oneAlias(function, alias)
}

func (c *AliasChange) options(actor string) []faas.AliasOption {
	opts := []faas.AliasOption{faas.WithActor(actor), faas.WithDescription(c.Description)}
	if c.Sticky {
		opts = append(opts, faas.WithSticky())
	}
	if c.IfRevision != nil {
		opts = append(opts, faas.IfRevision(uint64(*c.IfRevision)))
	}
	return opts
}

func (x *exchange) oneAlias(function, alias string) (any, error) {
	all, err := x.h.router.Aliases(function)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == alias {
			return shownAlias(&all[i]), nil
		}
	}
	return nil, absent() // the alias was removed meanwhile
}

// weightsOf reads weights. It refuses a weight that an int can't hold; an int has 32 bits on
// some machines.
func weightsOf(m map[string]Count) (faas.Weights, error) {
	w := faas.Weights{}
	for version, weight := range m {
		n, err := strconv.Atoi(version)
		if err != nil || n < 0 {
			return nil, badInput("The keys of weights are numbers of versions; 0 is $LATEST.")
		}
		v, err := strconv.Atoi(strconv.FormatUint(uint64(weight), 10))
		if err != nil {
			return nil, badInput("A weight is too large.")
		}
		w[n] = v
	}
	return w, nil
}

func (x *exchange) removeAlias() (any, error) {
	function, alias, err := x.aliasOf()
	if err != nil {
		return nil, err
	}
	opts := []faas.AliasOption{faas.WithActor(x.actor())}
	if x.has("ifRevision") {
		n, err := x.number("ifRevision")
		if err != nil {
			return nil, err
		}
		opts = append(opts, faas.IfRevision(uint64(n)))
	}
	if err := x.h.router.RemoveAlias(function, alias, opts...); err != nil {
		return nil, err
	}
	x.entry.Status = http.StatusOK
	return Done{Done: true}, nil
}

// Done is the answer to a change that has nothing to show.
type Done struct {
	Done bool `json:"done"`
}
