package faas

// Batches tells the router of which items the inputs of a function are, so that of a job whose
// input is a batch only what failed is tried again. See [WithBatches].
//
// Both funcs are called by many goroutines at once and must neither change nor keep what they are
// given. What they answer depends on their arguments alone. A panic counts as the answer nil.
type Batches struct {
	// Failed returns which items of a batch have failed, by their indexes, from the input of a
	// delivery that ended OK and what the handler has answered. None: all succeeded. An index that
	// is out of range stands for all of them, and so does a panic.
	Failed func(input, output []byte) []int
	// Pick returns an input of these items of a batch, in that order. Nil: it can't; then the
	// batch stays together.
	Pick func(input []byte, items []int) []byte
	// Bisect has a batch that fails as a whole, with an error, a panic or a timeout, split into
	// halves when its attempts are used up. Each half is a job with attempts anew. In the end an
	// item that always fails is in a job by itself, and only that job is dead. An item of a batch
	// of n runs at most attempts × (1 + ⌈log₂ n⌉) times. Without Bisect the batch is dead as a
	// whole.
	Bisect bool
}

// ConditionSplit is the condition of a batch whose items are in other jobs, see [WithBatches].
const ConditionSplit JobCondition = "Split"

// check returns an error, made by bad, that says what is missing.
func (b *Batches) check(bad func(format string, args ...any) error) error {
	if b != nil && (b.Failed == nil || b.Pick == nil) {
		return bad("WithBatches: both Failed and Pick must be set")
	}
	return nil
}
