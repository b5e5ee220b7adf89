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

// isEvent reports whether a function takes or answers whole events.
func isEvent(t reflect.Type) bool {
	return t == reflect.TypeFor[cloudevents.Event]() || t == reflect.TypeFor[*cloudevents.Event]()
}

// replyOf makes the reply to e of out, which a function with the output type t has
// answered. It is nil if there is nothing to reply.
func replyOf(e cloudevents.Event, source string, t reflect.Type, out []byte) (*cloudevents.Event, error) {
	raw := t == reflect.TypeFor[[]byte]()
	switch {
	case len(out) == 0, t == reflect.TypeFor[struct{}](), !raw && bytes.Equal(out, []byte("null")):
		return nil, nil //nolint:nilnil // no reply and no error is a result of its own
	case isEvent(t):
		reply := new(cloudevents.Event)
		if err := json.Unmarshal(out, reply); err != nil || reply.Validate() != nil {
			return nil, errors.New("the function answered what is no valid CloudEvent")
		}
		return reply, nil
	}
	reply := newReply(e, source)
	// []byte may hold anything: JSON is labeled as such, so that its reader can match
	// on its fields, and other bytes are labeled as bytes.
	isJSON := !raw || json.Valid(out)
	reply.SetDataContentType(cloudevents.ApplicationJSON)
	if !isJSON {
		reply.SetDataContentType("application/octet-stream")
	}
	// The bytes are set and not encoded: SetData would write JSON anew.
	reply.DataEncoded, reply.DataBase64 = out, !isJSON
	return reply, nil
}

// newReply makes a reply to e that has no data yet.
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

// writeAnswer answers in the mode of the request: a structured event gets a
// structured reply, a binary event a binary one. A reply that is nil is a 204, and a
// job a 202.
func writeAnswer(w http.ResponseWriter, m mode, a answer) {
	if a.reply == nil {
		writeNothing(w, a.accepted)
		return
	}
	ctx := context.Background()
	if m == structured {
		ctx = binding.WithForceStructured(ctx)
	}
	// The SDK adds the event's content type to the values that are there, so that
	// a default that a handler in front of this one has set would come first.
	w.Header().Del(contentType)
	// Only the connection can fail here: the reply was validated.
	_ = cehttp.WriteResponseWriter(ctx, (*binding.EventMessage)(a.reply), http.StatusOK, encodingWriter{w})
}

// writeNothing answers without a body: what was to be done is done, or accepted.
func writeNothing(w http.ResponseWriter, accepted bool) {
	if accepted {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
