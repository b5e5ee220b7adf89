package source

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/inproc/faas"
)

// Batch is the input of a function that takes many items in one call. As JSON it is
// {"items":[{"id":"…","input":…},…]}.
type Batch[In any] struct {
	Items []BatchItem[In] `json:"items"`
}

// BatchItem is one item of a batch.
type BatchItem[In any] struct {
	ID    string `json:"id"`    // unique in its batch; the source's, or one of the driver's for an item without
	Input In     `json:"input"` // decoded from the item's payload
}

// Failed are the IDs of the items of a batch that have failed; all others have succeeded. As JSON it
// is AWS Lambda's {"batchItemFailures":[{"itemIdentifier":"…"},…]}.
type Failed []string

// BatchHandler takes a batch. With an error, a panic or a timeout all items have failed, and with
// Failed those that it names; an ID that the batch does not have stands for all.
type BatchHandler[In any] func(ctx context.Context, batch Batch[In]) (Failed, error)

// RegisterBatch is faas.Register for a function that takes batches, with [WithFailures] among its
// options. The codec must be JSON, which is the default. It panics as Register does.
func RegisterBatch[In any](r *faas.Router, name string, h BatchHandler[In], opts ...faas.FunctionOption) *faas.Function[Batch[In], Failed] {
	return faas.Register(r, name, faas.Handler[Batch[In], Failed](h), append([]faas.FunctionOption{WithFailures()}, opts...)...)
}

// WithFailures has the function's answer to a batch read as AWS Lambda reads it (Developer Guide,
// "Implementing partial batch responses"): no answer, null, {}, and batchItemFailures that is null
// or empty, mean that all items have succeeded; so does an answer of another shape not: it, an entry without
// itemIdentifier, and an identifier that is empty or that the batch does not have, mean that all
// have failed. RegisterBatch has it already. A function of faas.Register with a [Batch] as its input and
// an answer of its own type needs it.
//
// What failed is one attempt of the job, and is tried again without the others, as faas.WithRetry
// says. When the attempts are used up each item is a job that is dead. So an item runs at most as often
// as there are attempts. A batch that fails as a whole is tried again and then dead as a
// whole, unless there is [WithBisect].
func WithFailures() faas.FunctionOption { return batches(false) }

// WithBisect is WithFailures, and has a batch that fails as a whole split into halves when its attempts are
// used up, and these again, down to single items: so that one item which fails its
// batch, for example by a panic, takes none of the others with it. An item of a batch of n runs at most attempts × (1 +
// ⌈log₂ n⌉) times: n = 100 and three attempts make 24.
func WithBisect() faas.FunctionOption { return batches(true) }

func batches(bisect bool) faas.FunctionOption {
	return faas.WithBatches(faas.Batches{Failed: failedOf, Pick: pick, Bisect: bisect})
}

// MarshalJSON encodes the answer as AWS Lambda has it.
func (f Failed) MarshalJSON() ([]byte, error) {
	answer := lambdaAnswer{Failures: make([]lambdaFailure, len(f))}
	for i, id := range f {
		answer.Failures[i].ID = id
	}
	return json.Marshal(answer)
}

// UnmarshalJSON decodes such an answer.
func (f *Failed) UnmarshalJSON(data []byte) error {
	var answer lambdaAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return err
	}
	*f = nil
	for _, failure := range answer.Failures {
		*f = append(*f, failure.ID)
	}
	return nil
}

type (
	lambdaAnswer struct {
		Failures []lambdaFailure `json:"batchItemFailures"`
	}
	lambdaFailure struct {
		ID string `json:"itemIdentifier"`
	}
)

// encodesBytes reports whether the inputs are bytes, which JSON has in base64.
func (Batch[In]) encodesBytes() bool {
	_, ok := any(new(In)).(*[]byte)
	return ok
}

// rawBatch is a batch whose items are not decoded.
type rawBatch struct {
	Items []json.RawMessage `json:"items"`
}

// pick makes a batch of some of the items of another.
func pick(input []byte, items []int) []byte {
	var all, some rawBatch
	if json.Unmarshal(input, &all) != nil {
		return nil
	}
	for _, i := range items {
		if i >= len(all.Items) {
			return nil
		}
		some.Items = append(some.Items, all.Items[i])
	}
	data, err := json.Marshal(some)
	if err != nil {
		return nil
	}
	return data
}

// failedOf reads which items failed from a function's answer. nil: none.
func failedOf(input, output []byte) []int {
	ids, err := failuresIn(output)
	if err != nil {
		return []int{-1} // all
	}
	if len(ids) == 0 {
		return nil
	}
	var batch Batch[json.RawMessage]
	if json.Unmarshal(input, &batch) != nil {
		return []int{-1}
	}
	return indexesOf(ids, batch.Items)
}

// indexesOf returns where the items with these IDs are; -1: nowhere.
func indexesOf(ids []string, items []BatchItem[json.RawMessage]) []int {
	at := make(map[string]int, len(items))
	for i, item := range items {
		at[item.ID] = i + 1
	}
	indexes := make([]int, len(ids))
	for i, id := range ids {
		indexes[i] = at[id] - 1
	}
	return indexes
}

var errMalformed = errors.New("no partial batch response")

// failuresIn reads the identifiers of an answer. Names are compared exactly: encoding/json would
// take ItemIdentifier for itemIdentifier, and Lambda does not.
func failuresIn(output []byte) ([]string, error) {
	if len(output) == 0 {
		return nil, nil
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(output, &answer); err != nil {
		return nil, err
	}
	list, there := answer["batchItemFailures"]
	if !there {
		return nil, nil
	}
	return identifiersIn(list)
}

func identifiersIn(list []byte) ([]string, error) {
	var entries []map[string]any
	if err := json.Unmarshal(list, &entries); err != nil {
		return nil, err
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		id, ok := entry["itemIdentifier"].(string)
		if !ok || id == "" {
			return nil, errMalformed
		}
		ids[i] = id
	}
	return ids, nil
}
