package source

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// batcher collects a driver's items in batches, and sends the batches.
type batcher struct {
	d      *Driver
	most   int  // the largest size of a batch, in bytes
	base64 bool // the inputs are of type []byte

	mu   sync.Mutex // guards open
	open map[batchKey]*openBatch
}

// batchKey is what all items of a batch have in common.
type batchKey struct {
	function, tenant string
	priority         int
}

// openBatch is a batch that still takes items. batcher.mu guards it.
type openBatch struct {
	key   batchKey
	items []*taken
	have  map[string]bool // the IDs of its items
	data  []json.RawMessage
	size  int         // of its JSON, in bytes
	timer *time.Timer // sends the batch when its window has passed
}

// The length of a batch's JSON without its items, and of the comma after an item.
const (
	aroundItems = len(`{"items":[]}`)
	aroundItem  = len(`,`)
)

// newBatcher returns the batcher for a function, or nil if the function does not take batches.
func newBatcher(d *Driver, sig *faas.Signature) (*batcher, error) {
	in, ok := reflect.TypeAssert[interface{ encodesBytes() bool }](reflect.Zero(sig.In))
	switch {
	case !ok && d.set.size > 0:
		return nil, fmt.Errorf("source: %w: WithBatch needs a function that takes a source.Batch, and %q does not; register it by RegisterBatch", faas.ErrType, sig.Name)
	case !ok:
		return nil, nil //nolint:nilnil // the function takes no batches
	case sig.ContentType != "application/json":
		return nil, fmt.Errorf("source: %w: batches are JSON, and the codec of %q makes %s", faas.ErrType, sig.Name, sig.ContentType)
	}
	d.set.size = max(1, d.set.size)
	return &batcher{d: d, most: sig.MaxIn, base64: in.encodesBytes(), open: map[batchKey]*openBatch{}}, nil
}

// add puts an item into the open batch of its function, tenant and priority, and sends the
// batch if it is full.
func (b *batcher) add(t *taken) {
	t.ID = cmp.Or(t.ID, t.job.String())
	data, err := b.encode(t)
	if err != nil {
		b.d.close(t, rejected(err))
		return
	}
	b.put(t, data)
}

// put is the rest of add, for an encoded item.
func (b *batcher) put(t *taken, data json.RawMessage) {
	key := batchKey{t.Function, t.Tenant, t.Priority}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.open[key]
	if o != nil && (o.have[t.ID] || o.size+aroundItem+len(data) > b.most) {
		b.send(o)
		o = nil
	}
	if o == nil {
		o = b.begin(key)
	}
	o.items, o.data, o.have[t.ID] = append(o.items, t), append(o.data, data), true
	o.size += aroundItem + len(data)
	if len(o.items) >= b.d.set.size || b.d.running.Err() != nil {
		b.send(o)
	}
}

// begin opens a batch. b.mu is held.
func (b *batcher) begin(key batchKey) *openBatch {
	o := &openBatch{key: key, have: map[string]bool{}, size: aroundItems}
	b.open[key] = o
	o.timer = time.AfterFunc(b.d.set.window, func() { b.timeUp(o) })
	return o
}

// encode encodes an item of a batch.
func (b *batcher) encode(t *taken) (json.RawMessage, error) {
	input := json.RawMessage(t.Payload)
	if b.base64 {
		text, err := json.Marshal(t.Payload)
		if err != nil {
			return nil, err
		}
		input = text
	}
	return json.Marshal(BatchItem[json.RawMessage]{ID: t.ID, Input: input}) // fails if the payload is not JSON
}

// timeUp sends a batch whose window has passed, unless it has been sent.
func (b *batcher) timeUp(o *openBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[o.key] == o {
		b.send(o)
	}
}

// flush sends all open batches, because the driver takes no more items.
func (b *batcher) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.open {
		b.send(o)
	}
}

// send closes a batch, and starts a goroutine that sends it. b.mu is held.
func (b *batcher) send(o *openBatch) {
	delete(b.open, o.key)
	o.timer.Stop()
	go b.d.carryBatch(o)
}

// carryBatch gives a batch's job to the queue, waits for the job's end if the queue is not
// durable, and finishes the items.
func (d *Driver) carryBatch(o *openBatch) {
	d.counts.batches.Add(1)
	err := d.acceptBatch(o)
	for _, t := range o.items {
		d.close(t, err)
	}
}

// acceptBatch gives the job of a batch to the queue. If the queue is not durable, it waits
// until the job is settled. The job has a new ID, since an item that comes again may be in
// another batch. The job has no values of the items' Send contexts, since these may differ.
func (d *Driver) acceptBatch(o *openBatch) error {
	payload, err := json.Marshal(rawBatch{o.data})
	if err != nil {
		return rejected(err)
	}
	ctx := faas.WithPriority(faas.WithTenant(d.working, o.key.tenant), o.key.priority)
	ctx = faas.WithOrigin(ctx, faas.Origin{Trigger: o.items[0].Origin.Trigger, Door: o.items[0].Origin.Door})
	opts := []faas.SendOption{faas.WithJobID(uuid.New()), faas.WithItems(len(o.items))}
	job, err := d.send(ctx, o.key.function, func() (*faas.Job[[]byte], error) {
		return d.router.Send(ctx, o.key.function, payload, opts...)
	})
	if err != nil || Durable(d.router.JobQueue()) {
		return err
	}
	return d.settledParts(ctx, job)
}

// settledParts waits until a batch is settled. If the batch was split, it also waits for each
// part.
func (d *Driver) settledParts(ctx context.Context, job *faas.Job[[]byte]) error {
	if err := d.settled(ctx, job); err != nil {
		return err
	}
	info, err := job.Info(ctx)
	if err != nil {
		return nil //nolint:nilerr // the batch is settled, and the queue has forgotten it
	}
	for _, id := range info.Parts {
		if err := d.settledParts(ctx, d.router.Job(id)); err != nil {
			return err
		}
	}
	return nil
}
