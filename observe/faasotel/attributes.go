package faasotel

import (
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/inproc/faas"
)

// Attributes of spans for which the convention has no name.
const (
	outcomeKey = attribute.Key("inproc.faas.outcome") // as a faas.Outcome is written, or "refused"
	tenantKey  = attribute.Key("inproc.faas.tenant")
	requestKey = attribute.Key("inproc.faas.request_id")
	jobKey     = attribute.Key("inproc.faas.job")
	attemptKey = attribute.Key("inproc.faas.attempt")
	waitKey    = attribute.Key("inproc.faas.wait") // seconds
)

// attributes is a list that spans use in turn.
type attributes struct{ all []attribute.KeyValue }

// list returns an empty list.
func (t *Tracer) list() *attributes {
	if a, _ := t.lists.Get().(*attributes); a != nil {
		return a
	}
	return &attributes{make([]attribute.KeyValue, 0, 12)} // more than most calls have
}

func (a *attributes) add(more ...attribute.KeyValue) { a.all = append(a.all, more...) }

// empty forgets the attributes, whose strings may be those of callers.
func (a *attributes) empty() {
	clear(a.all)
	a.all = a.all[:0]
}

// describe adds what is known of a call when it begins.
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

// triggerOf is faas.trigger of a call. The convention has five; what is none of them is
// "other".
func triggerOf(inv *faas.Invocation) attribute.KeyValue {
	switch inv.Origin.Trigger {
	case "datasource", "http", "pubsub", "timer":
		return semconv.FaaSTriggerKey.String(inv.Origin.Trigger)
	}
	return semconv.FaaSTriggerOther
}
