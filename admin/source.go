package admin

import (
	"context"
	"time"

	"github.com/inproc/faas/access"
)

// Sources is the answer of GET /v1/sources, in the order in which the host has given them.
type Sources struct {
	Sources []Source `json:"sources"`
}

// Source is what brings events to a function.
type Source struct {
	Name        string    `json:"name"`
	Function    string    `json:"function"` // as it was set: with a version or an alias, if it has one
	State       string    `json:"state"`    // running, paused, restarting, stopping or stopped
	Since       time.Time `json:"since"`
	Lag         *Int      `json:"lag"`   // items that wait in the source; null: not known
	LagNS       *Int      `json:"lagNS"` // how old the oldest of them is; null: not known
	Restarts    Int       `json:"restarts"`
	LastError   *string   `json:"lastError,omitempty"` // its text, for who may see inputs
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

// hasSource tells whether the viewer has the right to a source: it is of its function, for
// all tenants.
func (x *exchange) hasSource(right access.Right, s *Source) bool {
	base, version := nameOf(s.Function)
	return x.ask(Action{Right: right, Function: base, Version: version, AllTenants: true})
}

func (x *exchange) sources() (any, error) {
	out := Sources{Sources: []Source{}}
	for _, d := range x.h.drivers {
		s := d.shown(x.r.Context())
		if !x.hasSource(access.See, &s) {
			continue
		}
		if !x.hasSource(access.SeeInputs, &s) {
			s.LastError = nil
		}
		out.Sources = append(out.Sources, s)
	}
	return out, nil
}

func (x *exchange) pauseSource() (any, error) {
	return x.turnSource(driver.Pause)
}

func (x *exchange) resumeSource() (any, error) {
	return x.turnSource(driver.Resume)
}

// turnSource pauses or resumes the source that the path names.
func (x *exchange) turnSource(turn func(driver)) (any, error) {
	name := x.r.PathValue("name")
	x.entry.Object = clip(name, 100)
	ended, cancel := context.WithCancel(x.r.Context())
	cancel() // the source is not asked for its lag to find it
	for _, d := range x.h.drivers {
		s := d.shown(ended)
		if s.Name != name {
			continue
		}
		base, version := nameOf(s.Function)
		if err := x.need(Action{Right: access.Manage, Function: base, Version: version, AllTenants: true}); err != nil {
			return nil, err
		}
		if err := x.body(&struct{}{}, maxOrder); err != nil {
			return nil, err
		}
		turn(d)
		s = d.shown(x.r.Context())
		if !x.hasSource(access.SeeInputs, &s) {
			s.LastError = nil
		}
		return s, nil
	}
	return nil, x.notThere()
}
