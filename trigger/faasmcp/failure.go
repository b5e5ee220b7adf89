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

// Refused is the outcome of a call that was turned away: its function was not
// entered.
const Refused = "Refused"

// Failure tells a program what the text of a failed result tells a model.
type Failure struct {
	// Outcome is how the call ended: Refused, or the name of a faas.Outcome:
	// Failed (the function answered an error, which is the text), TimedOut,
	// Panicked, Exited, OutputInvalid, Canceled, InitFailed.
	Outcome string `json:"outcome"`
	// Reason says why a call was refused.
	Reason faas.Reason `json:"reason,omitempty"`
	// RetryAfterMs is when another try may succeed, in milliseconds; 0: not known.
	RetryAfterMs int64 `json:"retryAfterMs,omitempty"`
	// Invocation is the id in the records of the host, if there is one.
	Invocation string `json:"invocation,omitempty"`
}

// FailureOf returns the Failure of a result, on either side; it is false if
// there is none.
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

func failed(f Failure, text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{
		IsError: true,
		Content: []mcp.Content{&mcp.TextContent{Text: text}},
		Meta:    mcp.Meta{MetaFailure: f},
	}
}

// failure answers a call that ended with err.
func (c *call) failure(err error) (*mcp.CallToolResult, error) {
	end := faas.EndOf(err, c.name)
	if end.Err == nil {
		return c.failureOfFunction(err), nil
	}
	f := Failure{Outcome: end.Outcome.String(), Reason: end.Err.Reason, RetryAfterMs: (end.Err.RetryAfter + time.Millisecond - 1).Milliseconds()}
	if end.Err.ID != uuid.Nil {
		f.Invocation = end.Err.ID.String()
	}
	switch end.Kind {
	case faas.KindNone:
		return failed(f, c.explain(end.Outcome)), nil
	case faas.KindNotFound: // removed since the last Refresh
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown tool %q", c.name)}
	case faas.KindDenied, faas.KindInvalid, faas.KindTooLarge, faas.KindBusy, faas.KindUnavailable, faas.KindNesting,
		faas.KindClosed, faas.KindCanceled:
	}
	f.Outcome = Refused
	return failed(f, c.explainRefusal(end)), nil
}

func (c *call) explain(o faas.Outcome) string {
	switch o {
	case faas.TimedOut:
		return c.name + " did not answer in time"
	case faas.OutputInvalid:
		return c.name + " answered what can't be passed on"
	case faas.InitFailed:
		return c.name + " could not be started"
	case faas.Canceled:
		return "the call of " + c.name + " was canceled"
	case faas.OK, faas.Failed, faas.Panicked, faas.Exited:
	}
	return c.name + " failed by an internal error"
}

func (c *call) explainRefusal(end faas.End) string {
	text := ""
	switch end.Kind {
	case faas.KindInvalid:
		return "the arguments can't be read by " + c.name
	case faas.KindTooLarge:
		return "the arguments are larger than " + c.name + " takes"
	case faas.KindCanceled:
		return c.explain(faas.Canceled)
	case faas.KindDenied:
		text = "this call of " + c.name + " is not permitted"
	case faas.KindBusy:
		text = c.name + " is busy"
		if end.Err.Reason.Kind() == faas.KindNone { // a gate's own, such as a budget's
			text = "this call of " + c.name + " was refused (" + string(end.Err.Reason) + ")"
		}
	case faas.KindUnavailable:
		text = c.name + " is not available for now"
	case faas.KindNesting:
		text = "this call of " + c.name + " would not end"
	case faas.KindClosed:
		text = c.name + " is being shut down"
	case faas.KindNone, faas.KindNotFound: // have answers of other forms
	}
	if after := end.Err.RetryAfter; after > 0 {
		text += fmt.Sprintf("; try again in %s", max(after.Round(time.Second), time.Second))
	}
	return text
}

// failureOfFunction passes on what a function says, but for a panic that it got
// from a function that it called.
func (c *call) failureOfFunction(err error) *mcp.CallToolResult {
	text := c.name + " failed by an internal error"
	if panicked := (*faas.PanicError)(nil); !errors.As(err, &panicked) {
		text = textOf(err)
	}
	return failed(Failure{Outcome: faas.Failed.String()}, text)
}

// textTime bounds how long a function's error may take to return its text.
const textTime = time.Second

// textOf returns the text of a function's error. The error's method must not run
// on the session's goroutine: if it blocked there, or ended the goroutine, the
// session would answer no other call.
func textOf(err error) string {
	text, ok := foreign.TextWithin(err, textTime)
	if !ok {
		return "an error without a text"
	}
	return text
}
