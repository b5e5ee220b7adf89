package faasnats

import (
	"encoding/json"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/inproc/faas"
)

// headerLarge names the header, in JSON, that lists which parts of a job's record are objects.
const headerLarge = "Faas-Objects"

// large lists which parts of a record are objects in the object store.
type large struct {
	Payload object   `json:"payload,omitzero"`
	Output  object   `json:"output,omitzero"`
	Follow  []object `json:"follow,omitempty"` // the payloads of the jobs that follow, by index; a zero object: the payload is in the message
}

// object names an object that has a part of a record.
type object struct {
	Name string `json:"name"`
	Size int    `json:"size"`
	Sum  string `json:"sha256"` // in hexadecimal
}

// names reports whether the record needs the object of that name.
func (l *large) names(name string) bool {
	return l.Payload.Name == name || l.Output.Name == name || slices.ContainsFunc(l.Follow, func(o object) bool { return o.Name == name })
}

// inBody returns the parts of a record that are in its message's body.
func (l *large) inBody(rec *faas.JobRecord) (payload, output []byte) {
	if l.Payload.Name == "" {
		payload = rec.Payload
	}
	if l.Output.Name == "" {
		output = rec.Output
	}
	return payload, output
}

// apart returns the size, in bytes, of the objects that are not loaded into rec.
func (l *large) apart(rec *faas.JobRecord) (n int) {
	if rec.Payload == nil {
		n = l.Payload.Size
	}
	if rec.Output == nil {
		n += l.Output.Size
	}
	return n
}

// mark writes into a message's header which parts are objects.
func (l *large) mark(msg *nats.Msg) error {
	if l.Payload.Name == "" && l.Output.Name == "" && len(l.Follow) == 0 {
		return nil
	}
	text, err := json.Marshal(l)
	msg.Header.Set(headerLarge, string(text))
	return err
}
