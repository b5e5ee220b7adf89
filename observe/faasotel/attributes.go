package faasotel

import (
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/inproc/faas"
)

// Attributes of spans for which the convention has no name.
const (
	outcomeKey = attribute.Key("inproc.faas.outcome") // the text of a faas.Outcome, or "refused"
	tenantKey  = attribute.Key("inproc.faas.tenant")
	requestKey = attribute.Key("inproc.faas.request_id")
	jobKey     = attribute.Key("inproc.faas.job")
	attemptKey = attribute.Key("inproc.faas.attempt")
	waitKey    = attribute.Key("inproc.faas.wait") // in seconds
)

// attributes is a list of a span's attributes. Spans use it one after the other, from a pool.
type attributes struct{ all []attribute.KeyValue }

// list returns an empty list.
func (t *Tracer) list() *attributes {
	if a, _ := t.lists.Get().(*attributes); a != nil {
		return a
	}
	return &attributes{make([]attribute.KeyValue, 0, 12)} // more than most calls need
}

func (a *attributes) add(more ...attribute.KeyValue) { a.all = append(a.all, more...) }

// empty empties the list. It clears the elements, since they may refer to strings of callers.
func (a *attributes) empty() {
	clear(a.all)
	a.all = a.all[:0]
}

// describe adds what is known of a call when the call begins.
func (a *attributes) describe(inv *faas.Invocation) {
	a.add(triggerOf(inv), semconv.FaaSInvocationID(inv.ID.String()), semconv.FaaSName(inv.Function), semconv.FaaSVersion(inv.Version))
	if inv.Memory > 0 {
		a.add(semconv.FaaSMaxMemory(int(inv.Memory)))
	}
	if inv.Tenant != "" {
		a.add(tenantKey.String(inv.Tenant))
	}
	if inv.Origin.RequestID != "" {
		a.add(requestKey.String(inv.Origin.RequestID))
	}
	if inv.Job != uuid.Nil {
		a.add(jobKey.String(inv.Job.String()), attemptKey.Int(inv.Attempt))
	}
}

// triggerOf returns the attribute faas.trigger of a call. The convention has five values. A
// trigger that is not one of them becomes "other".
func triggerOf(inv *faas.Invocation) attribute.KeyValue {
	switch inv.Origin.Trigger {
	case "datasource", "http", "pubsub", "timer":
		return semconv.FaaSTriggerKey.String(inv.Origin.Trigger)
	}
	return semconv.FaaSTriggerOther
}
