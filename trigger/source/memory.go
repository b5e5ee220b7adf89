package source

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Memory is a [Source] of items that the program itself puts in. It is for tests, and an
// example of a Source. It forgets an item that is acknowledged or rejected, and brings an item
// again that was given back. The zero value is ready to use. All methods may be called
// concurrently.
type Memory struct {
	mu       sync.Mutex    // guards the fields below
	kept     []*keptItem   // not acknowledged, in the order of Put
	rejected []Item        // the items that came back with ErrRejected
	more     chan struct{} // closed when an item is there to be sent, or End was called; nil: nothing waits
	ended    bool          // End was called
}

// keptItem is an item that is not acknowledged.
type keptItem struct {
	Item

	since time.Time
	taken bool // the sink has taken it, and has not called done
}

// Put adds items.
func (m *Memory) Put(items ...Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, item := range items {
		m.kept = append(m.kept, &keptItem{Item: item, since: time.Now()})
	}
	m.wake()
}

// End declares that no more items will be put in: Run returns when all are acknowledged.
func (m *Memory) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.wake()
}

// Len returns how many items are not acknowledged.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.kept)
}

// Rejected returns the items that were rejected, in the order of their rejection.
func (m *Memory) Rejected() []Item {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Item(nil), m.rejected...)
}

// Run implements [Source].
func (m *Memory) Run(ctx context.Context, sink Sink) error {
	run := &memoryRun{m: m}
	defer run.wait()
	m.restart()
	for {
		k, err := m.await(ctx)
		if err != nil || k == nil {
			return err
		}
		if err := run.send(ctx, sink, k); err != nil {
			return err
		}
	}
}

// await waits for an item that the sink does not have. It returns nil if there will be none.
func (m *Memory) await(ctx context.Context) (*keptItem, error) {
	for {
		k, more, over := m.next()
		if k != nil || over {
			return k, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Lag implements [Source].
func (m *Memory) Lag(context.Context) (Lag, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == 0 {
		return Lag{}, nil
	}
	return Lag{Items: int64(len(m.kept)), Age: time.Since(m.kept[0].since)}, nil
}

// restart marks all kept items as not taken: the sink of an earlier Run had taken some.
func (m *Memory) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.kept {
		k.taken = false
	}
}

// next takes the first item that the sink does not have. If there is none, it returns the channel
// more, which is closed when there may be one. The result over is true if no more items will come.
func (m *Memory) next() (k *keptItem, more <-chan struct{}, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.kept {
		if !k.taken {
			k.taken = true
			return k, nil, false
		}
	}
	if m.more == nil {
		m.more = make(chan struct{})
	}
	return nil, m.more, m.ended && len(m.kept) == 0
}

// done handles the end of an item: err is what the sink passes to the item's done.
func (m *Memory) done(k *keptItem, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k.taken = false
	if err == nil || errors.Is(err, ErrRejected) {
		m.forget(k, err != nil)
	}
	m.wake()
}

func (m *Memory) forget(k *keptItem, rejected bool) {
	for i := range m.kept {
		if m.kept[i] != k {
			continue
		}
		m.kept = append(m.kept[:i], m.kept[i+1:]...)
		if rejected {
			m.rejected = append(m.rejected, k.Item)
		}
		return
	}
}

// wake wakes a Run that waits. m.mu is held.
func (m *Memory) wake() {
	if m.more != nil {
		close(m.more)
		m.more = nil
	}
}

// memoryRun is one Run, which returns only after done was called for all items that it has
// sent.
type memoryRun struct {
	m     *Memory
	taken sync.WaitGroup
}

func (r *memoryRun) wait() { r.taken.Wait() }

func (r *memoryRun) send(ctx context.Context, sink Sink, k *keptItem) error {
	r.taken.Add(1)
	err := sink.Send(ctx, k.Item, func(err error) {
		defer r.taken.Done()
		r.m.done(k, err)
	})
	if err != nil { // not taken
		r.taken.Done()
	}
	return err
}
