package admin

import (
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// Runaways is the answer of GET /v1/runaways, with the oldest first.
type Runaways struct {
	Runaways []Runaway `json:"runaways"`
}

// Runaway is a handler that still runs although its call has ended.
type Runaway struct {
	ID        string    `json:"id"` // the call's
	Function  string    `json:"function"`
	Version   string    `json:"version"`
	Tenant    string    `json:"tenant,omitempty"`
	Origin    Origin    `json:"origin"`
	Job       string    `json:"job,omitempty"`
	Started   time.Time `json:"started"`
	TimeoutNS Int       `json:"timeoutNS"`
	OverNS    Int       `json:"overNS"`             // how long ago the call ended
	Replaced  bool      `json:"replaced,omitempty"` // its slot was given to another call
}

// Stack is the answer of GET /v1/runaways/{id}/stack and of GET /v1/failures/{id}/stack.
type Stack struct {
	ID    string `json:"id"`
	Stack string `json:"stack"` // as the Go runtime prints it
}

// runaways lists the runaways that the viewer may see.
func (x *exchange) runaways() (any, error) {
	function, version := nameOf(x.param("function"))
	out := Runaways{Runaways: []Runaway{}}
	for _, r := range x.h.router.Runaways() {
		if function != "" && function != r.Function || version != "" && version != r.Version || !x.isSeen(r.Function, r.Version, r.Tenant) {
			continue
		}
		out.Runaways = append(out.Runaways, Runaway{
			ID: r.ID.String(), Function: r.Function, Version: r.Version, Tenant: r.Tenant, Origin: shownOrigin(r.Origin), Job: idText(r.Job),
			Started: r.Start, TimeoutNS: Int(r.Timeout), OverNS: Int(r.Over), Replaced: r.Replaced,
		})
	}
	return out, nil
}

// runawayStack returns the stack of a runaway.
func (x *exchange) runawayStack() (any, error) {
	id, err := uuid.Parse(x.r.PathValue("id"))
	if err != nil {
		return nil, x.notThere()
	}
	x.entry.Object = id.String()
	r, ok := x.runaway(id)
	if !ok {
		return nil, x.notThere()
	}
	if err := x.need(Action{Right: access.SeeStacks, Function: r.Function, Version: r.Version, Tenant: r.Tenant}); err != nil {
		return nil, err
	}
	stack, ok := x.h.router.RunawayStack(id)
	if !ok { // the handler has returned meanwhile
		return nil, absent()
	}
	return Stack{ID: id.String(), Stack: string(stack)}, nil
}

func (x *exchange) runaway(id uuid.UUID) (faas.Runaway, bool) {
	for _, r := range x.h.router.Runaways() {
		if r.ID == id {
			return r, true
		}
	}
	return faas.Runaway{}, false
}
