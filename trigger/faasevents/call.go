package faasevents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/uuid"
)

// call calls a function with an event and makes its reply, or nil for none.
func (h *handler) call(ctx context.Context, function string, e cloudevents.Event) (*cloudevents.Event, *problem) {
	info, err := h.router.Signature(function)
	if err != nil {
		return nil, problemOf(function, err)
	}
	payload := e.Data()
	if isEvent(info.In) {
		if payload, err = json.Marshal(e); err != nil {
			return nil, malformed(errors.New("the data is not what datacontenttype says"))
		}
	}
	out, err := h.router.Invoke(context.WithValue(ctx, eventKey{}, e), function, payload)
	if err != nil {
		return nil, problemOf(function, err)
	}
	reply, err := h.reply(e, function, info.Out, out)
	if err != nil {
		return nil, &problem{Status: http.StatusInternalServerError, Reason: "output", Detail: err.Error()}
	}
	return reply, nil
}

func isEvent(t reflect.Type) bool {
	return t == reflect.TypeFor[cloudevents.Event]() || t == reflect.TypeFor[*cloudevents.Event]()
}

// reply makes an event of what a function of this output type has answered.
func (h *handler) reply(e cloudevents.Event, function string, t reflect.Type, out []byte) (*cloudevents.Event, error) {
	raw := t == reflect.TypeFor[[]byte]()
	switch {
	case len(out) == 0, t == reflect.TypeFor[struct{}](), !raw && bytes.Equal(out, []byte("null")):
		return nil, nil //nolint:nilnil // nothing to reply is what there is
	case isEvent(t):
		reply := new(cloudevents.Event)
		if err := json.Unmarshal(out, reply); err != nil || reply.Validate() != nil {
			return nil, errors.New("the function answered what is no valid CloudEvent")
		}
		return reply, nil
	}
	reply := cloudevents.NewEvent()
	reply.SetID(uuid.NewString())
	reply.SetType(e.Type() + ".reply")
	reply.SetSource(h.source)
	if h.source == "" {
		reply.SetSource("/fn/" + function)
	}
	reply.SetTime(time.Now())
	if s := e.Subject(); s != "" {
		reply.SetSubject(s)
	}
	isJSON := !raw || json.Valid(out)
	reply.SetDataContentType(cloudevents.ApplicationJSON)
	if !isJSON {
		reply.SetDataContentType("application/octet-stream")
	}
	reply.DataEncoded, reply.DataBase64 = out, !isJSON
	return &reply, nil
}

// writeReply answers in the mode of the request.
func writeReply(w http.ResponseWriter, m mode, reply *cloudevents.Event) {
	ctx := context.Background()
	if m == structured {
		ctx = binding.WithForceStructured(ctx)
	}
	w.Header().Del(contentType) // the SDK adds the event's to what is there
	// What fails here is the connection: a valid event can be written.
	_ = cehttp.WriteResponseWriter(ctx, (*binding.EventMessage)(reply), http.StatusOK, encodingWriter{w})
}
