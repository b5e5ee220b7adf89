package faasevents

import (
	"encoding/json"
	"net/http"
	"sync"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// deliverBatch calls functions[i] with events[i], all of them concurrently as far as the
// router's limits allow. An event whose function is empty is dropped.
func (c caller) deliverBatch(w http.ResponseWriter, req *http.Request, events []cloudevents.Event, functions []string) {
	// Each goroutine writes only the elements of its own index. The handler's goroutine reads
	// them after wg.Wait, which returns after every write.
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

// sumUp combines the problems of a batch. It returns nil if no event failed.
//
// The status is that of the first failure that may succeed later, if there is one: then the
// sender sends the whole batch again. For example, 422 and 503 give 503. Retry-After is the
// longest wait among the failures that may succeed later.
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
		sum.Detail, sum.Events = "the listed events of the batch failed", failed
	}
	return sum
}

// writeBatch answers with the replies that are not nil. If there are none, the status is 202 if
// an event was accepted as a job, and 204 otherwise.
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
