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

// isEvent reports whether t, the input or output type of a function, is that of a whole event.
func isEvent(t reflect.Type) bool {
	return t == reflect.TypeFor[cloudevents.Event]() || t == reflect.TypeFor[*cloudevents.Event]()
}

// replyOf makes the reply to e. out is the output of a function with the output type t. The
// reply is nil if out is empty.
func replyOf(e cloudevents.Event, source string, t reflect.Type, out []byte) (*cloudevents.Event, error) {
	raw := t == reflect.TypeFor[[]byte]()
	switch {
	case len(out) == 0, t == reflect.TypeFor[struct{}](), !raw && bytes.Equal(out, []byte("null")):
		return nil, nil //nolint:nilnil // no reply and no error is a result of its own
	case isEvent(t):
		reply := new(cloudevents.Event)
		if err := json.Unmarshal(out, reply); err != nil || reply.Validate() != nil {
			return nil, errors.New("the function returned an event that is not a valid CloudEvent")
		}
		return reply, nil
	}
	reply := newReply(e, source)
	// []byte may contain anything. JSON gets the type of JSON, so that the receiver can match
	// on its fields. Other bytes get the type of bytes.
	isJSON := !raw || json.Valid(out)
	reply.SetDataContentType(cloudevents.ApplicationJSON)
	if !isJSON {
		reply.SetDataContentType("application/octet-stream")
	}
	// The fields are set directly, because SetData would encode the JSON again.
	reply.DataEncoded, reply.DataBase64 = out, !isJSON
	return reply, nil
}

// newReply makes a reply to e without data.
func newReply(e cloudevents.Event, source string) *cloudevents.Event {
	reply := cloudevents.NewEvent()
	reply.SetID(uuid.NewString())
	reply.SetType(e.Type() + ".reply")
	reply.SetSource(source)
	reply.SetTime(time.Now())
	if s := e.Subject(); s != "" {
		reply.SetSubject(s)
	}
	return &reply
}

// writeAnswer answers in the mode of the request: a structured event gets a structured reply, a
// binary event a binary one. Without a reply the status is 204, or 202 for a job.
func writeAnswer(w http.ResponseWriter, m mode, a answer) {
	if a.reply == nil {
		writeNothing(w, a.accepted)
		return
	}
	ctx := context.Background()
	if m == structured {
		ctx = binding.WithForceStructured(ctx)
	}
	// The SDK appends the event's content type to the values of this header. So delete a
	// default that a handler in front of this one may have set; it would come first.
	w.Header().Del(contentType)
	// Only the connection can fail here: the reply was validated.
	_ = cehttp.WriteResponseWriter(ctx, (*binding.EventMessage)(a.reply), http.StatusOK, encodingWriter{w})
}

// writeNothing answers without a body: 202 if the event was accepted as a job, otherwise 204.
func writeNothing(w http.ResponseWriter, accepted bool) {
	if accepted {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
