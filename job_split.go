package faas

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// batchEnd is what the end of a delivery says of a batch.
type batchEnd struct {
	failed []int                                    // the items that failed, though the delivery ended OK
	pick   func(payload []byte, items []int) []byte // nil: it is no batch
}

// keepFailed leaves in a batch the items that failed.
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

// split makes the jobs of a batch's halves, and takes its payload away: the queue keeps the items
// once. It returns nil if they can't be picked. There are two, however many items: what follows from a
// settlement is written together with it.
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

// part is the record of a part, without its items.
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

// inRange returns the indexes in their order, each once; all of n if one of them is none.
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
