package faashttp

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/inproc/faas"
)

// Carrier stores the [Request] that sent a job together with the job. Gates and the funcs of
// faas.WithContext find it in the context of each delivery, so [Carry] can pass it on to the
// handler. A request sends a job as an event over the Lambda wire, with the preference
// respond-async, or through a handler that sends jobs. Give Carrier to the router:
//
//	faas.New(faas.WithContext(faashttp.Carry), faas.WithCarrier(faashttp.Carrier()))
//
// Without Carrier, a delivery has only the ID of its request.
func Carrier() faas.Carrier {
	return faas.Carrier{Name: "faashttp", Save: saveRequest, Restore: restoreRequest}
}

// savedRequest is a [Request] in the record of a job. The JSON names must not change, because
// records written by one release are read by later ones.
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

// restoreRequest validates the saved request as [settings.begin] does: handlers and logs rely
// on well formed fields, and another program may have written the queue's store.
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
		return r, errors.New("faashttp: the request saved with a job is malformed")
	}
	return Request(s), nil
}
