package admin

import (
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// Failures is the answer of GET /v1/failures, with the newest first.
type Failures struct {
	Failures []Failure `json:"failures"`
	Kept     Count     `json:"kept"` // how many the viewer may see, whatever the filter
}

// Failure is a failed call that the ring has kept.
type Failure struct {
	ID         string            `json:"id"`
	Function   string            `json:"function"`
	Version    string            `json:"version"`
	Tenant     string            `json:"tenant,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Attempt    int               `json:"attempt"`
	Outcome    string            `json:"outcome"`
	Start      time.Time         `json:"start"`
	QueuedNS   Int               `json:"queuedNS"`
	InitNS     Int               `json:"initNS"` // a part of queuedNS
	DurationNS Int               `json:"durationNS"`
	Memory     Int               `json:"memory"`
	BytesIn    Int               `json:"bytesIn"`
	BytesOut   Int               `json:"bytesOut"`
	Cold       bool              `json:"cold,omitempty"`
	Origin     Origin            `json:"origin"`
	Job        string            `json:"job,omitempty"`
	Delivery   int               `json:"delivery,omitempty"`
	ReplayOf   string            `json:"replayOf,omitempty"`  // the call that this one replays
	Error      *string           `json:"error,omitempty"`     // the error's text, for viewers who may see inputs; null: not kept, or not visible
	ErrorType  string            `json:"errorType,omitempty"` // the Go type of the error; empty: not kept
	HasStack   bool              `json:"hasStack,omitempty"`  // see GET /v1/failures/{id}/stack
	Input      InputState        `json:"input"`
}

// Origin says where a call came from.
type Origin struct {
	Trigger   string `json:"trigger,omitempty"`
	Door      string `json:"door,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	Key       string `json:"key,omitempty"`
}

// InputState describes the kept input of a call.
type InputState struct {
	State       string `json:"state"` // a text, for example "as given" or "withheld: no JSON"
	Kept        bool   `json:"kept"`
	Bytes       Int    `json:"bytes"`
	Truncated   bool   `json:"truncated,omitempty"`
	ContentType string `json:"contentType,omitempty"`
}

// Data is an input or an output. Text has it if it is valid UTF-8: as a string, no JSON reader
// changes the numbers in it. Otherwise Base64 has it.
type Data struct {
	ID          string  `json:"id,omitempty"`
	ContentType string  `json:"contentType,omitempty"`
	State       string  `json:"state,omitempty"` // for an input: what was kept, or why nothing was
	Truncated   bool    `json:"truncated,omitempty"`
	Text        *string `json:"text,omitempty"`
	Base64      []byte  `json:"base64,omitempty"`
}

// set puts data into the right field of d.
func (d *Data) set(data []byte) {
	if data == nil {
		return
	}
	if utf8.Valid(data) {
		d.Text = new(string(data))
		return
	}
	d.Base64 = data
}

func shownOrigin(o faas.Origin) Origin {
	return Origin{Trigger: o.Trigger, Door: o.Door, RequestID: o.RequestID, Key: o.Key}
}

// idText returns an ID as text, or "" for the zero ID.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func (x *exchange) shownFailure(c *faas.Captured) Failure {
	f := Failure{
		ID: c.ID.String(), Function: c.Function, Version: c.Version, Tenant: c.Tenant, Labels: c.Labels, Attempt: c.Attempt,
		Outcome: c.Outcome.String(), Start: c.Start, QueuedNS: Int(c.Queued), InitNS: Int(c.Init), DurationNS: Int(c.Duration),
		Memory: Int(c.Memory), BytesIn: Int(c.BytesIn), BytesOut: Int(c.BytesOut), Cold: c.Cold, Origin: shownOrigin(c.Origin),
		Job: idText(c.Job), Delivery: c.Delivery,
		Input: InputState{State: c.State.String(), Kept: c.Input != nil, Bytes: Int(len(c.Input)), Truncated: c.Truncated, ContentType: c.ContentType},
	}
	x.addError(&f, c)
	return f
}

// addError adds what the ring has kept of the error, if the viewer may see it.
func (x *exchange) addError(f *Failure, c *faas.Captured) {
	f.ReplayOf = idText(c.Origin.ReplayOf)
	kept, ok := c.Err.(*faas.CapturedError) //nolint:errorlint // the ring has made it
	if !ok {
		return
	}
	f.ErrorType, f.HasStack = kept.Type, kept.Stack != nil
	if x.ask(Action{Right: access.SeeInputs, Function: c.Function, Version: c.Version, Tenant: c.Tenant}) {
		f.Error = &kept.Text
	}
}

// isSeen reports whether the viewer may see calls of the function and version for the tenant.
func (x *exchange) isSeen(function, version, tenant string) bool {
	return x.ask(Action{Right: access.See, Function: function, Version: version, Tenant: tenant})
}

// failures lists the calls in the ring that the viewer may see.
func (x *exchange) failures() (any, error) {
	limit, err := x.limit(100)
	if err != nil {
		return nil, err
	}
	since, err := x.time("since")
	if err != nil {
		return nil, err
	}
	out := Failures{Failures: []Failure{}}
	for c := range x.h.ring.All() {
		if !x.isSeen(c.Function, c.Version, c.Tenant) {
			continue
		}
		out.Kept++
		if len(out.Failures) < limit && x.selects(&c, since) {
			out.Failures = append(out.Failures, x.shownFailure(&c))
		}
	}
	return out, nil
}

// selects reports whether the failure matches the filter of the request.
func (x *exchange) selects(c *faas.Captured, since time.Time) bool {
	name, version := nameOf(x.param("function"))
	return (name == "" || name == c.Function && (version == "" || version == c.Version)) &&
		(!x.has("tenant") || x.param("tenant") == c.Tenant) &&
		(!x.has("outcome") || x.param("outcome") == c.Outcome.String()) &&
		!c.Start.Before(since)
}

// captured returns the failure that the path names, if the viewer has the right.
func (x *exchange) captured(right access.Right) (faas.Captured, error) {
	id, err := uuid.Parse(x.r.PathValue("id"))
	if err != nil {
		return faas.Captured{}, x.notThere()
	}
	x.entry.Object = id.String()
	c, ok := x.h.ring.Get(id)
	if !ok {
		return c, x.notThere()
	}
	return c, x.need(Action{Right: right, Function: c.Function, Version: c.Version, Tenant: c.Tenant})
}

func (x *exchange) failure() (any, error) {
	c, err := x.captured(access.See)
	if err != nil {
		return nil, err
	}
	return x.shownFailure(&c), nil
}

func (x *exchange) failureStack() (any, error) {
	c, err := x.captured(access.SeeStacks)
	if err != nil {
		return nil, err
	}
	kept, ok := c.Err.(*faas.CapturedError) //nolint:errorlint // the ring has made it
	if !ok || kept.Stack == nil {
		return nil, absent()
	}
	return Stack{ID: c.ID.String(), Stack: string(kept.Stack)}, nil
}

func (x *exchange) failureInput() (any, error) {
	c, err := x.captured(access.SeeInputs)
	if err != nil {
		return nil, err
	}
	d := Data{ID: c.ID.String(), ContentType: c.ContentType, State: c.State.String(), Truncated: c.Truncated}
	d.set(c.Input)
	return d, nil
}
