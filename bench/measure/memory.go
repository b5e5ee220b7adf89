package measure

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/inproc/faas/bench/peers"
)

// Held is what n things hold while nothing happens.
type Held struct {
	Bytes      float64 // of heap and stacks, each
	Goroutines float64 // each
}

// footprint is the state of the process between which Held is a difference.
type footprint struct {
	bytes      uint64
	goroutines int
}

// now collects twice, since the first collection only moves what is in
// sync.Pools to their victim caches.
func now() footprint {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{m.HeapInuse + m.StackInuse, runtime.NumGoroutine()}
}

func (f footprint) since(before footprint, n int) Held {
	return Held{
		Bytes:      (float64(f.bytes) - float64(before.bytes)) / float64(n),
		Goroutines: float64(f.goroutines-before.goroutines) / float64(n),
	}
}

// Waiting returns what each of n calls holds while all wait in their handlers,
// its calling goroutine included. With heed, the handlers wait for their
// context as well.
//
// It measures the whole process: run it in a process of its own, or what ran
// before blurs it (the runtime keeps the stacks of goroutines that ended).
func Waiting(p peers.Peer, n int, heed bool) (Held, error) {
	var inside atomic.Int64
	gate := make(chan struct{})
	handler := func(ctx context.Context, in peers.In) (peers.Out, error) {
		inside.Add(1)
		if !heed {
			<-gate
			return peers.Out{Sum: in.A + in.B}, nil
		}
		select {
		case <-gate:
			return peers.Out{Sum: in.A + in.B}, nil
		case <-ctx.Done():
			return peers.Out{}, ctx.Err()
		}
	}
	before := now()
	inst := p.New(handler, peers.Config{Timeout: time.Hour, Limit: n})
	defer inst.Close()
	var g errgroup.Group
	for i := range n {
		g.Go(func() error { return inst.Call(context.Background(), i) })
	}
	if err := await(&inside, n); err != nil {
		return Held{}, err
	}
	held := now().since(before, n)
	close(gate)
	return held, g.Wait()
}

// arrival bounds the wait for all calls to be in their handlers: a peer that
// refuses some of them would be waited for in vain.
const arrival = time.Minute

func await(inside *atomic.Int64, n int) error {
	for end := time.Now().Add(arrival); inside.Load() < int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("measure: only %d of %d calls are in their handlers", inside.Load(), n)
		}
	}
	return nil
}

// Idle returns what each of n registered functions holds that nobody calls.
func Idle(n int) Held {
	var before footprint
	closeRouter := peers.FaasIdle(n, func() { before = now() })
	defer closeRouter()
	return now().since(before, n)
}
