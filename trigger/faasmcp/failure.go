package faasmcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/foreign"
)

// MetaFailure is the key of a [Failure] in a result's _meta.
const MetaFailure = "inproc.faas/failure"

// Refused is the Outcome of a call that was refused before its function ran.
const Refused = "Refused"

// Failure describes to a program how a call failed. The text of the result describes it to a
// model.
type Failure struct {
	// Outcome is how the call ended: Refused, or the name of a faas.Outcome: Failed (the
	// function returned an error, and the result has its text), TimedOut, Panicked, Exited,
	// OutputInvalid, Canceled, InitFailed.
	Outcome string `json:"outcome"`
	// Reason is the reason of a refusal.
	Reason faas.Reason `json:"reason,omitempty"`
	// RetryAfterMs is the time in milliseconds after which another call may succeed; 0 if it is
	// not known.
	RetryAfterMs int64 `json:"retryAfterMs,omitempty"`
	// Invocation is the call's ID in the records of the host, if it has one.
	Invocation string `json:"invocation,omitempty"`
}

// FailureOf returns the Failure of a result, and false if the result has none. It works in the
// server, and in a client that has decoded the result from JSON.
func FailureOf(res *mcp.CallToolResult) (Failure, bool) {
	if res == nil || res.Meta[MetaFailure] == nil {
		return Failure{}, false
	}
	if f, ok := res.Meta[MetaFailure].(Failure); ok {
		return f, true
	}
	data, err := json.Marshal(res.Meta[MetaFailure])
	if err != nil {
		return Failure{}, false
	}
	var f Failure
	if err := json.Unmarshal(data, &f); err != nil || f.Outcome == "" {
		return Failure{}, false
	}
	return f, true
}

// failed makes a result that is an error: text for a model, f for a program.
func failed(f Failure, text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{
		IsError: true,
		Content: []mcp.Content{&mcp.TextContent{Text: text}},
		Meta:    mcp.Meta{MetaFailure: f},
	}
}

// failureOf returns the answer to a call of the tool that ended with err. EndOf decides whether
// err is about this call: a refusal that the function got from another function, and returned,
// is the function's own failure.
func failureOf(name string, err error) (*mcp.CallToolResult, error) {
	end := faas.EndOf(err, name)
	if end.Err == nil {
		return failureOfFunction(name, err), nil
	}
	f := Failure{Outcome: end.Outcome.String(), Reason: end.Err.Reason, RetryAfterMs: (end.Err.RetryAfter + time.Millisecond - 1).Milliseconds()}
	if end.Err.ID != uuid.Nil {
		f.Invocation = end.Err.ID.String()
	}
	switch end.Kind {
	case faas.KindNone:
		return failed(f, describeOutcome(name, end.Outcome)), nil
	case faas.KindNotFound: // the function was removed after the last Refresh
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown tool %q", name)}
	case faas.KindDenied, faas.KindInvalid, faas.KindTooLarge, faas.KindBusy, faas.KindUnavailable, faas.KindNesting,
		faas.KindClosed, faas.KindCanceled:
	}
	f.Outcome = Refused
	return failed(f, describeRefusal(name, end)+retryHint(end.Err.RetryAfter)), nil
}

// describeOutcome returns the text for a call that began and did not succeed.
func describeOutcome(name string, o faas.Outcome) string {
	switch o {
	case faas.TimedOut:
		return name + " did not answer in time"
	case faas.OutputInvalid:
		return name + " has run, but its answer can't be passed on"
	case faas.InitFailed:
		return name + " could not be started"
	case faas.Canceled:
		return "the call of " + name + " was canceled"
	case faas.OK, faas.Failed, faas.Panicked, faas.Exited:
	}
	return name + " failed by an internal error"
}

// describeRefusal returns the text for a call that was refused.
func describeRefusal(name string, end faas.End) string {
	switch end.Kind {
	case faas.KindInvalid:
		return "the arguments can't be read by " + name
	case faas.KindTooLarge:
		return "the arguments are larger than " + name + " takes"
	case faas.KindCanceled:
		return describeOutcome(name, faas.Canceled)
	case faas.KindDenied:
		return "this call of " + name + " is not permitted"
	case faas.KindBusy:
		if end.Err.Reason.Kind() == faas.KindNone { // the gate has set a reason of its own, for example a budget
			return "this call of " + name + " was refused (" + string(end.Err.Reason) + ")"
		}
		return name + " is busy"
	case faas.KindUnavailable:
		return name + " is not available for now"
	case faas.KindNesting:
		return "this call of " + name + " is part of a loop, or of too long a chain"
	case faas.KindClosed:
		return name + " is being shut down"
	case faas.KindNone, faas.KindNotFound: // can't happen: failureOf has handled these
	}
	return ""
}

// retryHint returns the text that says when to try again, in whole seconds and at least one. It
// returns "" if the time is not known.
func retryHint(after time.Duration) string {
	if after <= 0 {
		return ""
	}
	return fmt.Sprintf("; try again in %s", max(after.Round(time.Second), time.Second))
}

// failureOfFunction returns the text of a function's error, which is the function's answer to
// the agent. It hides the text of a PanicError that the function got from another function,
// because that may show internals of the host.
func failureOfFunction(name string, err error) *mcp.CallToolResult {
	text := name + " failed by an internal error"
	if panicked := (*faas.PanicError)(nil); !errors.As(err, &panicked) {
		text = textOf(err)
	}
	return failed(Failure{Outcome: faas.Failed.String()}, text)
}

// textTime bounds how long the Error method of a function's error may take.
const textTime = time.Second

// textOf returns the text of a function's error. It calls the error's method on another
// goroutine than the session's: a method that blocks or ends its goroutine would stop all calls
// of the session.
func textOf(err error) string {
	text, ok := foreign.TextWithin(err, textTime)
	if !ok {
		return "an error whose text can't be read"
	}
	return text
}
