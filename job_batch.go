package faas

// Batches describes the batches that a function takes as its input, so that the router can try
// again only the items that failed. See [WithBatches].
//
// Many goroutines call both funcs at once. The funcs must neither change nor keep their
// arguments, and what they return must depend on the arguments alone. If Pick panics, that counts
// as nil.
type Batches struct {
	// Failed returns the indexes of the items that have failed. It is called with input and output
	// of a delivery that ended OK. An empty result means that all items have succeeded. An index
	// out of range means that all have failed, and so does a panic.
	Failed func(input, output []byte) []int
	// Pick returns an input with only those items of a batch, in that order. If it returns nil,
	// the batch stays together.
	Pick func(input []byte, items []int) []byte
	// Bisect splits a batch that fails as a whole (by an error, a panic or a timeout) into two
	// halves when its attempts are used up. Each half is a new job with all its attempts. In the
	// end an item that always fails is alone in a job, and only that job is dead. An item of a
	// batch of n runs at most attempts × (1 + ⌈log₂ n⌉) times. If Bisect is false, such a batch is
	// dead as a whole.
	Bisect bool
}

// ConditionSplit is the condition of a batch whose items were moved to other jobs, see
// [WithBatches].
const ConditionSplit JobCondition = "Split"

// check returns an error, made by bad, if a func is missing.
func (b *Batches) check(bad func(format string, args ...any) error) error {
	if b != nil && (b.Failed == nil || b.Pick == nil) {
		return bad("WithBatches: both Failed and Pick must be set")
	}
	return nil
}
