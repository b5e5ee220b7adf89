package admin

import (
	"slices"
	"time"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/trigger/source"
)

// Sources is the answer of GET /v1/sources, in the order of WithDrivers.
type Sources struct {
	Sources []Source `json:"sources"`
}

// Source describes a driver and its source, which start a function.
type Source struct {
	Name        string    `json:"name"`
	Function    string    `json:"function"` // as it was set: with a version or an alias, if there is one
	State       string    `json:"state"`    // running, paused, restarting, stopping or stopped
	Since       time.Time `json:"since"`
	Lag         *Int      `json:"lag"`   // items that wait in the source; null: not known
	LagNS       *Int      `json:"lagNS"` // the age of the oldest of these items; null: not known
	Restarts    Int       `json:"restarts"`
	LastError   *string   `json:"lastError,omitempty"` // the error's text, for viewers who may see inputs
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	UnderWay    Int       `json:"underWay"` // items that are taken and not acknowledged
	Received    Count     `json:"received"`
	Filtered    Count     `json:"filtered"`
	Accepted    Count     `json:"accepted"`
	Duplicates  Count     `json:"duplicates"`
	Rejected    Count     `json:"rejected"`
	Returned    Count     `json:"returned"`
	Batches     Count     `json:"batches"`
}

// hasSource reports whether the viewer has the right to a source. That is the right to its
// function, for all tenants.
func (x *exchange) hasSource(right access.Right, function string) bool {
	base, version := nameOf(function)
	return x.ask(Action{Right: right, Function: base, Version: version, AllTenants: true})
}

// shownSource describes a source. It includes the text of its error if the viewer may see that.
func (x *exchange) shownSource(i *source.Info) Source {
	s := Source{
		Name: i.Name, Function: i.Function, State: i.State.String(), Since: i.Since, Restarts: Int(i.Restarts), LastErrorAt: i.LastErrorAt,
		UnderWay: Int(i.UnderWay), Received: Count(i.Counts.Received), Filtered: Count(i.Counts.Filtered), Accepted: Count(i.Counts.Accepted),
		Duplicates: Count(i.Counts.Duplicates), Rejected: Count(i.Counts.Rejected), Returned: Count(i.Counts.Returned),
		Batches: Count(i.Counts.Batches),
	}
	if i.LagError == nil && i.Lag.Items >= 0 {
		s.Lag = new(Int(i.Lag.Items))
	}
	if i.LagError == nil && i.Lag.Age >= 0 {
		s.LagNS = new(Int(i.Lag.Age))
	}
	if i.LastError != "" && x.hasSource(access.SeeInputs, i.Function) {
		s.LastError = &i.LastError
	}
	return s
}

func (x *exchange) sources() (any, error) {
	out := Sources{Sources: []Source{}}
	for _, d := range x.h.drivers {
		if i := d.Info(x.r.Context()); x.hasSource(access.See, i.Function) {
			out.Sources = append(out.Sources, x.shownSource(&i))
		}
	}
	return out, nil
}

func (x *exchange) pauseSource() (any, error) { return x.turnSource((*source.Driver).Pause) }

func (x *exchange) resumeSource() (any, error) { return x.turnSource((*source.Driver).Resume) }

// turnSource pauses or resumes the source that the path names.
func (x *exchange) turnSource(turn func(*source.Driver)) (any, error) {
	name := x.r.PathValue("name")
	x.entry.Object = clip(name, 100)
	i := slices.IndexFunc(x.h.drivers, func(d *source.Driver) bool { return nameOfDriver(d) == name })
	if i < 0 {
		return nil, x.notThere()
	}
	d := x.h.drivers[i]
	base, version := nameOf(d.Info(canceled()).Function)
	if err := x.need(Action{Right: access.Manage, Function: base, Version: version, AllTenants: true}); err != nil {
		return nil, err
	}
	if err := x.body(&struct{}{}, maxOrder); err != nil {
		return nil, err
	}
	turn(d)
	info := d.Info(x.r.Context())
	return x.shownSource(&info), nil
}
