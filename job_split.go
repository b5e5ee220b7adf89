package faas

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// batchEnd is what the end of a delivery says about a batch.
type batchEnd struct {
	failed []int                                    // the indexes of the items that failed although the delivery ended OK
	pick   func(payload []byte, items []int) []byte // Batches.Pick; nil: the job is no batch
}

// keepFailed reduces a batch to the items that failed.
func (rec *JobRecord) keepFailed(b *batchEnd) {
	failed, of := b.failed, rec.Items
	if len(failed) == 0 {
		return
	}
	last := *rec.Last
	last.Error, last.ErrorType = fmt.Sprintf("%d of %d items failed", len(failed), of), "BatchItemFailures"
	rec.Last = &last
	if len(failed) == of {
		return
	}
	if payload := b.pick(rec.Payload, failed); payload != nil {
		rec.Payload, rec.Items = payload, len(failed)
	}
}

// split makes two jobs with the halves of a batch's items, and removes the batch's own payload,
// so that the queue keeps each item once. It returns nil if Pick can't pick the halves. It makes
// only two jobs, however many items there are, because a settlement is written in one step with
// the jobs that follow from it.
func (rec *JobRecord) split(b *batchEnd, givenUp JobCondition, now time.Time) []JobRecord {
	half := (rec.Items + 1) / 2
	var parts []JobRecord
	for i, r := range [][2]int{{0, half}, {half, rec.Items}} {
		items := make([]int, 0, half)
		for n := r[0]; n < r[1]; n++ {
			items = append(items, n)
		}
		payload := b.pick(rec.Payload, items)
		if payload == nil {
			return nil
		}
		part := rec.part(i, givenUp, now)
		part.Payload, part.Items = payload, len(items)
		parts = append(parts, part)
	}
	rec.Payload, rec.Parts = nil, []uuid.UUID{parts[0].ID, parts[1].ID}
	return parts
}

// part returns the record of the ith half, without its items.
func (rec *JobRecord) part(i int, givenUp JobCondition, now time.Time) JobRecord {
	part := JobRecord{
		Format: JobFormat, ID: uuid.NewSHA1(rec.ID, []byte{byte(i)}), Function: rec.Function, Name: rec.Name, Tenant: rec.Tenant,
		Priority: rec.Priority, State: JobReady, Condition: givenUp, Accepted: now, Due: rec.Due, MaxAge: rec.MaxAge, OrderKey: rec.OrderKey,
		Labels: rec.Labels, Origin: rec.Origin, Last: rec.Last,
	}
	if givenUp != "" {
		part.Attempts = rec.Attempts
	}
	return part
}

// inRange returns the indexes sorted and without duplicates. If one of them is out of range it
// returns all indexes below n.
func inRange(indexes []int, n int) []int {
	sorted := slices.Compact(slices.Sorted(slices.Values(indexes)))
	if len(sorted) == 0 || sorted[0] >= 0 && sorted[len(sorted)-1] < n {
		return sorted
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
