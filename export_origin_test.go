package faas

import (
	"context"

	"github.com/google/uuid"
)

// WithDelivery returns a context for one delivery of a job: its calls have this Job,
// Delivery and Attempt, and their nested calls have not.
func WithDelivery(ctx context.Context, job uuid.UUID, delivery, attempt int) context.Context {
	return withProvenance(ctx, func(from *provenance) {
		from.job, from.delivery, from.attempt = job, delivery, attempt
	})
}
