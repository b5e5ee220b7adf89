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

// Input is the input of a call: at most one of its fields is set.
type Input struct {
	Input  json.RawMessage `json:"input,omitempty"`  // JSON, passed on as it stands here
	Text   *string         `json:"text,omitempty"`   // text, for a client whose JSON would change numbers
	Base64 []byte          `json:"base64,omitempty"` // bytes
}

// InvokeRequest is the body of POST /v1/functions/{name}/invoke.
type InvokeRequest struct {
	Input

	Tenant   *string `json:"tenant,omitempty"` // null: the viewer's own
	Priority Int     `json:"priority,omitempty"`
	Key      string  `json:"key,omitempty"` // by which sticky aliases choose a version
}

// ReplayRequest is the body of POST /v1/failures/{id}/replay. Without an input, the call is
// made with the one that was captured.
type ReplayRequest struct {
	Input

	// Target is what is called: the function's name, or one of its versions or aliases, such as
	// "resize:2". Empty: the version that had failed.
	Target string `json:"target,omitempty"`
	// Tenant is for which tenant; null: that of the call that failed. For another one the
	// viewer needs the right to replay there, too.
	Tenant *string `json:"tenant,omitempty"`
}

// Result is how a call has ended. The status of the answer is 200 however it did.
type Result struct {
	RequestID    string `json:"requestId"` // that the call has, in records and logs
	Function     string `json:"function"`
	Version      string `json:"version,omitempty"` // that it was given to; empty: none
	Alias        string `json:"alias,omitempty"`
	Tenant       string `json:"tenant,omitempty"`
	Outcome      string `json:"outcome,omitempty"` // OK, Failed, …; empty: it was refused
	Kind         string `json:"kind,omitempty"`    // of a refusal
	Reason       string `json:"reason,omitempty"`
	RetryAfterNS Int    `json:"retryAfterNS,omitempty"`
	TookNS       Int    `json:"tookNS"`             // as the API saw it
	Error        string `json:"error,omitempty"`    // its text, for viewers who may see inputs
	Stack        string `json:"stack,omitempty"`    // of a panic, for viewers who may see stacks
	Output       *Data  `json:"output,omitempty"`   // null: there is none
	Log          string `json:"log,omitempty"`      // the last lines that the call has logged, for viewers who may see inputs
	ReplayOf     string `json:"replayOf,omitempty"` // the call that it made again
}

// bytes returns the input; given is false if there is none.
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

// attempt is a call that the API makes.
type attempt struct {
	function string // as it is called: with a version or an alias, if it has one
	tenant   string
	priority int
	origin   faas.Origin
	payload  []byte
	private  bool // its output is not the viewer's own: to see it needs the right to see inputs
}

func (x *exchange) invoke() (any, error) {
	a := attempt{function: x.r.PathValue("name"), tenant: x.who.Tenant}
	var body InvokeRequest
	base, version := nameOf(a.function)
	// The body says for which tenant. It is read first, and what is wrong with it is said to
	// viewers who may call the function for a tenant only.
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

// call makes the call, through all that any other call goes through. Its principal is the
// viewer.
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
	if res.Function == "" { // it was refused before it was given to any
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

// end says how the call has ended.
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

// textOf is the text of an error, whose method is foreign code.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error that panics when it is asked for its text"
		}
	}()
	return clip(err.Error(), 4<<10)
}

// replay makes a call that failed again.
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

// payloadOf is the input of a replay: a new one, or the one that was captured.
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
