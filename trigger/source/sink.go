package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// sink is the Sink of a driver's source.
type sink struct{ d *Driver }

// taken is an item that the sink has taken and the driver has not finished.
type taken struct {
	Item

	job  uuid.UUID       // the ID of its job
	ctx  context.Context //nolint:containedctx // has the values of Send's context; ends with the driver's working context
	stop func() bool     // cancels ctx
	done func(error)
	once sync.Once
	turn *turn // the item's turn among those with its order key; nil: it has no order key
}

// Send implements Sink.
func (s sink) Send(ctx context.Context, item Item, done func(error)) error {
	d := s.d
	if done == nil {
		return fmt.Errorf("source: %w: Send needs a function done", faas.ErrInput)
	}
	if err := d.enter(ctx); err != nil {
		return err
	}
	d.begin(d.take(ctx, item, done))
	return nil
}

// begin counts an item, and filters it, puts it into a batch, or starts the goroutine that
// carries it.
func (d *Driver) begin(t *taken) {
	d.counts.underWay.Add(1)
	d.counts.received.Add(1)
	switch {
	case !d.set.passes(t.Payload):
		d.finish(t, nil, &d.counts.filtered)
	case d.batch != nil && t.Function == d.set.function && t.Prepared == nil:
		d.batch.add(t)
	default:
		t.turn = d.order.queue(t)
		go d.carry(t)
	}
}

// enter waits until the driver may take an item, and takes a place for it.
func (d *Driver) enter(ctx context.Context) error {
	for opened := d.gate.closed(); opened != nil && d.ended(ctx) == nil; opened = d.gate.closed() {
		select {
		case <-opened:
		case <-ctx.Done():
		case <-d.running.Done():
		}
	}
	if err := d.ended(ctx); err != nil {
		return err
	}
	select {
	case d.places <- struct{}{}:
		return nil
	case <-ctx.Done():
	case <-d.running.Done():
	}
	return d.ended(ctx)
}

// ended returns an error if no more items are taken: ErrStopped, or that of ctx.
func (d *Driver) ended(ctx context.Context) error {
	if d.running.Err() != nil {
		return ErrStopped
	}
	return ctx.Err()
}

// take fills in what the item leaves out, and makes the context of its job.
func (d *Driver) take(ctx context.Context, item Item, done func(error)) *taken {
	item.Function = cmp.Or(item.Function, d.set.function)
	item.Origin.Trigger, item.Origin.Door = cmp.Or(item.Origin.Trigger, "other"), cmp.Or(item.Origin.Door, d.set.name)
	item.Origin.RequestID = cmp.Or(item.Origin.RequestID, item.ID)
	t := &taken{Item: item, job: uuid.New(), done: done}
	if item.ID != "" {
		t.job = JobID(d.set.name, item.ID)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(d.working, cancel)
	t.stop = func() bool { cancel(); return unhook() }
	if item.Tenant != "" {
		own = faas.WithTenant(own, item.Tenant)
	}
	if item.Priority != 0 {
		own = faas.WithPriority(own, item.Priority)
	}
	t.ctx = faas.WithOrigin(own, item.Origin)
	return t
}

// finish calls done, counts the item, and frees its place. If done panics, which is a fault of
// the source, that is logged.
func (d *Driver) finish(t *taken, err error, count interface{ Add(uint64) uint64 }) {
	t.once.Do(func() {
		defer func() {
			if p := recover(); p != nil {
				d.set.log.Error("source's done panicked", "source", d.set.name, "item", t.ID, "panic", p)
			}
			t.stop()
			count.Add(1)
			d.counts.underWay.Add(-1)
			<-d.places
		}()
		t.done(err)
	})
}

// passes reports whether a payload matches a filter, or there is no filter.
func (s *settings) passes(payload []byte) bool {
	for _, p := range s.filters {
		if ok, err := p.MatchJSON(payload); err == nil && ok {
			return true
		}
	}
	return len(s.filters) == 0
}

// JobID returns the ID of the job that a driver of that name makes of an item of that ID: a
// UUIDv8 (RFC 9562) from the SHA-256 of both.
func JobID(driver, item string) uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, []byte("github.com/inproc/faas/trigger/source\x00"+driver+"\x00"+item), 8)
}
