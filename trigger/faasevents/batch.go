package faasevents

import (
	"encoding/json"
	"net/http"
	"sync"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// deliverBatch calls functions[i] with events[i], all at once, as the router's
// limits allow. An event with an empty function is dropped.
func (c caller) deliverBatch(w http.ResponseWriter, req *http.Request, events []cloudevents.Event, functions []string) {
	// Each goroutine writes the elements of its own index alone. The handler's
	// goroutine reads them after wg.Wait, which happens after every write.
	answers := make([]answer, len(events))
	problems := make([]*problem, len(events))
	var wg sync.WaitGroup
	for i := range events {
		if functions[i] != "" {
			wg.Go(func() { answers[i], problems[i] = c.call(req.Context(), functions[i], events[i]) })
		}
	}
	wg.Wait()
	if p := sumUp(events, problems); p != nil {
		writeProblem(w, p)
		return
	}
	writeBatch(w, answers)
}

// sumUp makes one problem of the problems of a batch. It is nil if no event
// failed.
//
// The status is that of the first failure that may succeed later, if there is
// one: the sender then sends the whole batch again. For example, of 422 and 503
// it is 503. Retry-After is the longest wait among the failures of this kind.
func sumUp(events []cloudevents.Event, problems []*problem) *problem {
	var sum *problem
	var failed []failure
	for i, p := range problems {
		if p == nil {
			continue
		}
		failed = append(failed, failure{Index: i, Source: events[i].Source(), Event: events[i].ID(), Status: p.Status, Reason: p.Reason, Detail: p.Detail})
		if sum == nil || p.mayYetSucceed() && !sum.mayYetSucceed() {
			sum = &problem{Status: p.Status, Reason: p.Reason}
		}
		if p.retryAfter > sum.retryAfter && sum.mayYetSucceed() {
			sum.retryAfter = p.retryAfter
		}
	}
	if sum != nil {
		sum.Detail, sum.Events = "of the batch, the events that are listed failed", failed
	}
	return sum
}

// writeBatch answers with the replies that are not nil. If there is none it is 202 if there is a
// job among the events, and else 204.
func writeBatch(w http.ResponseWriter, all []answer) {
	var replies []*cloudevents.Event
	accepted := false
	for _, a := range all {
		accepted = accepted || a.accepted
		if a.reply != nil {
			replies = append(replies, a.reply)
		}
	}
	if replies == nil {
		writeNothing(w, accepted)
		return
	}
	data, err := json.Marshal(replies)
	if err != nil {
		writeProblem(w, &problem{Status: http.StatusInternalServerError, Reason: "output", Detail: "a reply can't be encoded"})
		return
	}
	w.Header().Set("Content-Type", cloudevents.ApplicationCloudEventsBatchJSON)
	_, _ = w.Write(data) // only the connection can fail here
}
