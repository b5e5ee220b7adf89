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
	ID    string `json:"id"`    // unique in its batch: the item's ID, or one that the driver has made
	Input In     `json:"input"` // decoded from the item's payload
}

// Failed is the list of the IDs of the items in a batch that have failed. All other items have
// succeeded. As JSON it is AWS Lambda's {"batchItemFailures":[{"itemIdentifier":"…"},…]}.
type Failed []string

// BatchHandler handles a batch. If it returns an error, panics or times out, all items have
// failed. If it returns Failed, the items that Failed names have failed; an ID that is not in
// the batch means that all have failed.
type BatchHandler[In any] func(ctx context.Context, batch Batch[In]) (Failed, error)

// RegisterBatch registers a function that takes batches, by faas.Register. It adds [WithFailures] to
// the options. The codec must be JSON, which is the default. RegisterBatch panics as Register
// does.
func RegisterBatch[In any](r *faas.Router, name string, h BatchHandler[In], opts ...faas.FunctionOption) *faas.Function[Batch[In], Failed] {
	return faas.Register(r, name, faas.Handler[Batch[In], Failed](h), append([]faas.FunctionOption{WithFailures()}, opts...)...)
}

// WithFailures makes the router read the function's answer to a batch as AWS Lambda does
// (Developer Guide, "Implementing partial batch responses"). All items have succeeded if there
// is no answer, if it is null or {}, and if batchItemFailures is null or empty. All items have
// failed if the answer has another shape, or an entry has no itemIdentifier, an empty one, or
// one that is not in the batch. RegisterBatch adds WithFailures already. It is needed for a
// function that is registered by faas.Register, takes a [Batch], and has an answer of its own
// type.
//
// Each delivery of a batch is one attempt of its job. The items that failed are tried again
// without the others, as faas.WithRetry says. When no attempts are left, each item that failed
// becomes a dead job of its own. So an item runs at most as often as there are attempts. A
// batch that fails as a whole is tried again as a whole, and is then one dead job, unless
// [WithBisect] is set.
func WithFailures() faas.FunctionOption { return batches(false) }

// WithBisect does what WithFailures does, and also splits a batch that fails as a whole. When its
// attempts are used up, the batch is split into halves. A half whose attempts are used up is
// split too, down to single items. So if one item fails its batch, for example by a panic, the
// others still succeed. An item of a batch of n runs at most attempts × (1 + ⌈log₂ n⌉) times: for
// n = 100 and three attempts, 24 times.
func WithBisect() faas.FunctionOption { return batches(true) }

func batches(bisect bool) faas.FunctionOption {
	return faas.WithBatches(faas.Batches{Failed: failedOf, Pick: pick, Bisect: bisect})
}

// MarshalJSON encodes the answer in the format of AWS Lambda.
func (f Failed) MarshalJSON() ([]byte, error) {
	answer := lambdaAnswer{Failures: make([]lambdaFailure, len(f))}
	for i, id := range f {
		answer.Failures[i].ID = id
	}
	return json.Marshal(answer)
}

// UnmarshalJSON decodes an answer in the format of AWS Lambda.
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

// encodesBytes reports whether the inputs are of type []byte, which JSON encodes as base64.
func (Batch[In]) encodesBytes() bool {
	_, ok := any(new(In)).(*[]byte)
	return ok
}

// rawBatch is a batch whose items are not decoded.
type rawBatch struct {
	Items []json.RawMessage `json:"items"`
}

// pick returns a batch of those items of the batch input that have the given indexes. It returns
// nil if input does not decode, or an index is too large.
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

// failedOf returns the indexes of the items that failed, according to a function's answer. Nil
// means none, and an index of -1 means all.
func failedOf(input, output []byte) []int {
	ids, err := failuresIn(output)
	if err != nil {
		return []int{-1} // all have failed
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

// indexesOf returns the indexes of the items with these IDs; -1 for an ID that no item has.
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

// failuresIn reads the identifiers in an answer. It decodes into maps so that names are
// compared exactly: with a struct, encoding/json would accept ItemIdentifier for
// itemIdentifier, and Lambda does not.
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
