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

// failure answers a call that ended with err. An error of the platform is known
// by its type, unwrapped, and by the function's name: what a function returns
// is its own, also when it got it from another function.
func (c *call) failure(err error) (*mcp.CallToolResult, error) {
	e, ok := err.(*faas.Error) //nolint:errorlint // see above
	if !ok || e.Function != c.name {
		return c.failureOfFunction(err), nil
	}
	if errors.Is(e, faas.ErrNotFound) { // removed since the last Refresh
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown tool %q", c.name)}
	}
	f := Failure{Reason: e.Reason, RetryAfterMs: (e.RetryAfter + time.Millisecond - 1).Milliseconds()}
	if e.ID != uuid.Nil {
		f.Invocation = e.ID.String()
	}
	var text string
	f.Outcome, text = c.explain(e)
	return failed(f, text), nil
}

func (c *call) explain(e *faas.Error) (outcome, text string) {
	var panicked *faas.PanicError
	switch {
	case e.Reason != "":
		return Refused, c.explainRefusal(e)
	case errors.Is(e, faas.ErrTimeout):
		return faas.TimedOut.String(), c.name + " did not answer in time"
	case errors.Is(e, faas.ErrExited):
		return faas.Exited.String(), c.name + " failed by an internal error"
	case errors.Is(e, faas.ErrOutput), errors.Is(e, faas.ErrTooLarge):
		return faas.OutputInvalid.String(), c.name + " answered what can't be passed on"
	case errors.Is(e, faas.ErrInit):
		return faas.InitFailed.String(), c.name + " could not be started"
	case errors.As(e, &panicked):
		return faas.Panicked.String(), c.name + " failed by an internal error"
	}
	return faas.Canceled.String(), "the call of " + c.name + " was canceled"
}

func (c *call) explainRefusal(e *faas.Error) string {
	var text string
	switch {
	case e.Reason == faas.ReasonInput:
		return "the arguments can't be read by " + c.name
	case e.Reason == faas.ReasonTooLarge:
		return "the arguments are larger than " + c.name + " takes"
	case e.Reason == faas.ReasonClosed:
		text = c.name + " is being shut down"
	case errors.Is(e, faas.ErrOverloaded):
		text = c.name + " is busy"
	case e.Reason == faas.ReasonDenied:
		text = "this call of " + c.name + " is not permitted"
	default:
		text = "this call of " + c.name + " was refused (" + string(e.Reason) + ")"
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf("; try again in %s", max(e.RetryAfter.Round(time.Second), time.Second))
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

// textOf asks an error for its text, which is anybody's code.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error without a text"
		}
	}()
	return err.Error()
}
