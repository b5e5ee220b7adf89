package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// Input is the input of a call. At most one of its fields may be set.
type Input struct {
	Input  json.RawMessage `json:"input,omitempty"`  // JSON, passed on byte for byte
	Text   *string         `json:"text,omitempty"`   // any text, for example JSON of a client whose encoder would change its numbers
	Base64 []byte          `json:"base64,omitempty"` // any bytes
}

// InvokeRequest is the body of POST /v1/functions/{name}/invoke.
type InvokeRequest struct {
	Input

	Tenant   *string `json:"tenant,omitempty"` // null: the viewer's own
	Priority Int     `json:"priority,omitempty"`
	Key      string  `json:"key,omitempty"` // chooses the version of a sticky alias
}

// ReplayRequest is the body of POST /v1/failures/{id}/replay. Without an input, the replay uses
// the input that was captured.
type ReplayRequest struct {
	Input

	// Target is the function to call: the failed call's function, or one of its versions or
	// aliases, such as "resize:2". Empty: the version that failed.
	Target string `json:"target,omitempty"`
	// Tenant is the tenant of the new call; null: that of the failed call. For another tenant,
	// the viewer needs the right to replay for it too.
	Tenant *string `json:"tenant,omitempty"`
}

// Result says how a call has ended. The HTTP status is 200 for every outcome.
type Result struct {
	RequestID    string `json:"requestId"` // of the call, in records and logs
	Function     string `json:"function"`
	Version      string `json:"version,omitempty"` // the version that was called; empty: none
	Alias        string `json:"alias,omitempty"`
	Tenant       string `json:"tenant,omitempty"`
	Outcome      string `json:"outcome,omitempty"` // OK, Failed, …; empty: the call was refused
	Kind         string `json:"kind,omitempty"`    // the kind of a refusal
	Reason       string `json:"reason,omitempty"`
	RetryAfterNS Int    `json:"retryAfterNS,omitempty"`
	TookNS       Int    `json:"tookNS"`             // measured by the API
	Error        string `json:"error,omitempty"`    // the error's text, for viewers who may see inputs
	Stack        string `json:"stack,omitempty"`    // the stack of a panic, for viewers who may see stacks
	Output       *Data  `json:"output,omitempty"`   // null: there is none
	Log          string `json:"log,omitempty"`      // the last log lines of the call, for viewers who may see inputs
	ReplayOf     string `json:"replayOf,omitempty"` // the call that this one replays
}

// bytes returns the input. given is false if there is none.
func (in *Input) bytes() (payload []byte, given bool, err error) {
	n := 0
	if in.Input != nil {
		payload, n = in.Input, n+1
	}
	if in.Text != nil {
		payload, n = []byte(*in.Text), n+1
	}
	if in.Base64 != nil {
		payload, n = in.Base64, n+1
	}
	if n > 1 {
		return nil, false, badInput("Give one of input, text and base64.")
	}
	return payload, n == 1, nil
}

// attempt is a call that the API is to make.
type attempt struct {
	function string // with a version or an alias, if there is one
	tenant   string
	priority int
	origin   faas.Origin
	payload  []byte
	private  bool // the output may not be shown without the right to see inputs, since the viewer has not given the input
}

func (x *exchange) invoke() (any, error) {
	a := attempt{function: x.r.PathValue("name"), tenant: x.who.Tenant}
	var body InvokeRequest
	base, version := nameOf(a.function)
	// The authorizer must know the tenant, which is in the body. So the body is read first. A
	// mistake in it is reported only after the viewer is known to have the right.
	bad := x.body(&body, maxInput)
	if body.Tenant != nil {
		a.tenant = *body.Tenant
	}
	if err := x.need(Action{Right: access.Invoke, Function: base, Version: version, Tenant: a.tenant}); err != nil {
		return nil, err
	}
	if bad != nil {
		return nil, bad
	}
	var err error
	if a.payload, _, err = body.bytes(); err != nil {
		return nil, err
	}
	if body.Priority != Int(int32(body.Priority)) {
		return nil, badInput("A priority is an integer of 32 bits.")
	}
	a.priority, a.origin.Key = int(body.Priority), body.Key
	out := x.call(&a)
	if out.Kind == faas.KindNotFound.String() {
		return nil, absent()
	}
	return out, nil
}

// call makes the call, through the same admission and middlewares as any other call. Its
// principal is the viewer.
func (x *exchange) call(a *attempt) Result {
	a.origin.Trigger, a.origin.Door, a.origin.RequestID = "http", "admin", uuid.NewString()
	var to faas.Resolution
	var tail faas.LogTail
	ctx := access.WithPrincipal(x.r.Context(), x.who)
	ctx = faas.WithPriority(faas.WithTenant(ctx, a.tenant), a.priority)
	ctx = faas.WithLogTail(faas.WithResolution(faas.WithOrigin(ctx, a.origin), &to), &tail)
	start := time.Now()
	out, err := x.h.router.Invoke(ctx, a.function, a.payload)
	res := Result{
		RequestID: a.origin.RequestID, Function: to.Function, Version: to.Version, Alias: to.Alias, Tenant: a.tenant,
		TookNS: Int(time.Since(start)), ReplayOf: idText(a.origin.ReplayOf),
	}
	if res.Function == "" { // the call was refused before a version was chosen
		res.Function, _ = nameOf(a.function)
	}
	seen := Action{Right: access.SeeInputs, Function: res.Function, Version: res.Version, Tenant: a.tenant}
	inputs := x.ask(seen)
	seen.Right = access.SeeStacks
	res.end(err, a.function, inputs, x.ask(seen))
	if err == nil && (inputs || !a.private) {
		res.Output = &Data{}
		if sig, err := x.h.router.Signature(a.function); err == nil {
			res.Output.ContentType = sig.ContentType
		}
		res.Output.set(out)
	}
	if inputs {
		res.Log = string(tail.Bytes())
	}
	x.entry.Detail = clip(a.function, 100) + ": " + res.Outcome + res.Kind
	return res
}

// end fills in how the call has ended.
func (res *Result) end(err error, function string, inputs, stacks bool) {
	e := faas.EndOf(err, function)
	if e.Kind != faas.KindNone {
		res.Kind = e.Kind.String()
	} else {
		res.Outcome = e.Outcome.String()
	}
	if e.Err != nil {
		res.Reason, res.RetryAfterNS = string(e.Err.Reason), Int(e.Err.RetryAfter)
	}
	if err == nil {
		return
	}
	if inputs {
		res.Error = textOf(err)
	}
	var p *faas.PanicError
	if stacks && e.Err != nil && e.Outcome == faas.Panicked && errors.As(e.Err, &p) {
		res.Stack = clip(string(p.Stack), 16<<10)
	}
}

// textOf returns the text of an error. The error's method is foreign code, and may panic.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error that panics when it is asked for its text"
		}
	}()
	return clip(err.Error(), 4<<10)
}

// replay makes a failed call again.
func (x *exchange) replay() (any, error) {
	c, err := x.captured(access.Replay)
	if err != nil {
		return nil, err
	}
	var body ReplayRequest
	if err := x.body(&body, maxInput); err != nil {
		return nil, err
	}
	a := attempt{function: c.Function + ":" + c.Version, tenant: c.Tenant, private: true}
	a.origin.ReplayOf, a.origin.Key = c.ID, c.Origin.Key
	if body.Target != "" {
		a.function = body.Target
	}
	base, version := nameOf(a.function)
	if base != c.Function {
		return nil, badInput("The target is the function of the call that failed, or one of its versions or aliases.")
	}
	if body.Tenant != nil {
		a.tenant = *body.Tenant
	}
	if err := x.need(Action{Right: access.Replay, Function: base, Version: version, Tenant: a.tenant}); err != nil {
		return nil, err
	}
	if a.payload, err = payloadOf(&body, &c); err != nil {
		return nil, err
	}
	return x.call(&a), nil
}

// payloadOf returns the input of a replay: the one in the request, or the captured one.
func payloadOf(body *ReplayRequest, c *faas.Captured) ([]byte, error) {
	payload, given, err := body.bytes()
	switch {
	case err != nil || given:
		return payload, err
	case c.Input == nil || c.Truncated:
		state := c.State.String()
		if c.Truncated {
			state = "only its beginning was kept"
		}
		return nil, problem(http.StatusConflict, "conflict", "The input was not kept ("+state+"); give one.")
	}
	return c.Input, nil
}
