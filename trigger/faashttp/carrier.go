package faashttp

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/inproc/faas"
)

// Carrier takes the [Request] behind a job along with it: gates and the funcs of
// faas.WithContext find it in the context of each delivery, and so [Carry] passes it on to
// the handler. Jobs come from events over the Lambda wire, from requests that prefer
// respond-async, and from handlers that send some. Give it to the router:
//
//	faas.New(faas.WithContext(faashttp.Carry), faas.WithCarrier(faashttp.Carrier()))
//
// Without it a delivery knows of its request the ID alone.
func Carrier() faas.Carrier {
	return faas.Carrier{Name: "faashttp", Save: saveRequest, Restore: restoreRequest}
}

// savedRequest is a [Request] in the record of a job. Its names stay: records outlive
// releases.
type savedRequest struct {
	ID            string `json:"id"`
	TraceParent   string `json:"traceparent,omitempty"`
	TraceState    string `json:"tracestate,omitempty"`
	ClientContext string `json:"clientContext,omitempty"`
}

func saveRequest(ctx context.Context) ([]byte, error) {
	c := carriedBy(ctx)
	if c == nil {
		return nil, nil
	}
	return json.Marshal(savedRequest(c.Request))
}

// restoreRequest checks what it reads as [settings.begin] does: handlers and logs rely on
// the form of a Request, and a queue's store may have been written by others.
func restoreRequest(ctx context.Context, saved []byte) (context.Context, error) {
	r, err := parseSaved(saved)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, carriedKey{}, &carried{Request: r}), nil
}

func parseSaved(saved []byte) (r Request, err error) {
	var s savedRequest
	if err := json.Unmarshal(saved, &s); err != nil {
		return r, err
	}
	switch {
	case !isToken(s.ID, "._~-"),
		s.TraceParent != "" && !isTraceParent(s.TraceParent),
		s.TraceState != "" && (s.TraceParent == "" || !isTraceState(s.TraceState)),
		s.ClientContext != "" && !isClientContext([]byte(s.ClientContext)):
		return r, errors.New("faashttp: the request of a job is malformed")
	}
	return Request(s), nil
}
