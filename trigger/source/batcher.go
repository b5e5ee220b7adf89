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

// batcher puts a driver's items into batches.
type batcher struct {
	d      *Driver
	most   int  // bytes of a batch
	base64 bool // the inputs are bytes

	mu   sync.Mutex // guards open
	open map[batchKey]*openBatch
}

// batchKey is what the items of a batch have in common.
type batchKey struct {
	function, tenant string
	priority         int
}

// openBatch is a batch that takes items.
type openBatch struct {
	key   batchKey
	items []*taken
	have  map[string]bool // the IDs
	data  []json.RawMessage
	size  int         // bytes
	timer *time.Timer // sends it when its window has passed
}

// The length of a batch's JSON around its items, and of an item's comma.
const (
	aroundItems = len(`{"items":[]}`)
	aroundItem  = len(`,`)
)

// newBatcher returns nil if the function does not take batches.
func newBatcher(d *Driver, sig *faas.Signature) (*batcher, error) {
	in, ok := reflect.TypeAssert[interface{ encodesBytes() bool }](reflect.Zero(sig.In))
	switch {
	case !ok && d.set.size > 0:
		return nil, fmt.Errorf("source: %w: WithBatch, and %q takes no source.Batch; register it by RegisterBatch", faas.ErrType, sig.Name)
	case !ok:
		return nil, nil //nolint:nilnil // there is none
	case sig.ContentType != "application/json":
		return nil, fmt.Errorf("source: %w: batches are JSON, and the codec of %q makes %s", faas.ErrType, sig.Name, sig.ContentType)
	}
	d.set.size = max(1, d.set.size)
	return &batcher{d: d, most: sig.MaxIn, base64: in.encodesBytes(), open: map[batchKey]*openBatch{}}, nil
}

// add puts an item into the batch of its function and tenant, and sends that if it is full.
func (b *batcher) add(t *taken) {
	t.ID = cmp.Or(t.ID, t.job.String())
	data, err := b.encode(t)
	if err != nil {
		b.d.close(t, rejected(err))
		return
	}
	b.put(t, data)
}

// put is add for an item that was encoded.
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

// begin opens a batch. It is called with b.mu held.
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
	return json.Marshal(BatchItem[json.RawMessage]{ID: t.ID, Input: input}) // an error: it is no JSON
}

// timeUp sends a batch whose window has passed, unless it was sent.
func (b *batcher) timeUp(o *openBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[o.key] == o {
		b.send(o)
	}
}

// flush sends all open batches: the driver takes no more items.
func (b *batcher) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.open {
		b.send(o)
	}
}

// send closes a batch, and has it sent by a goroutine of its own. It is called with b.mu held.
func (b *batcher) send(o *openBatch) {
	delete(b.open, o.key)
	o.timer.Stop()
	go b.d.carryBatch(o)
}

// carryBatch takes a batch to its end.
func (d *Driver) carryBatch(o *openBatch) {
	d.counts.batches.Add(1)
	err := d.acceptBatch(o)
	for _, t := range o.items {
		d.close(t, err)
	}
}

// acceptBatch gives the job of a batch to the queue, and waits as for any job. The job's ID is new:
// an item that comes again may be in another batch. The job has nothing of the contexts of the
// items' Sends, which differ.
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

// settledParts waits until a batch is settled, and if it was split, each of its parts.
func (d *Driver) settledParts(ctx context.Context, job *faas.Job[[]byte]) error {
	if err := d.settled(ctx, job); err != nil {
		return err
	}
	info, err := job.Info(ctx)
	if err != nil {
		return nil //nolint:nilerr // it is settled, and the queue has forgotten it
	}
	for _, id := range info.Parts {
		if err := d.settledParts(ctx, d.router.Job(id)); err != nil {
			return err
		}
	}
	return nil
}
