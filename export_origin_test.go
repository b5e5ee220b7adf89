package faas

import (
	"context"

	"github.com/google/uuid"
)

// WithDelivery returns a context for one delivery of a job. Its calls have this Job, Delivery and
// Attempt; their nested calls do not.
func WithDelivery(ctx context.Context, job uuid.UUID, delivery, attempt int) context.Context {
	return withProvenance(ctx, func(from *provenance) {
		from.job, from.delivery, from.attempt = job, delivery, attempt
	})
}
