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

// Held is the memory and the number of goroutines that one call or one function holds while
// it only waits.
type Held struct {
	Bytes      float64 // of heap and stacks, for each call or function
	Goroutines float64 // for each call or function
}

// footprint is the memory and goroutines of the process. Held is a difference of two.
type footprint struct {
	bytes      uint64
	goroutines int
}

// now returns the footprint after two garbage collections: the first one only moves
// the contents of each sync.Pool to its victim cache.
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

// Waiting returns what each of n calls holds while all of them wait in their handlers,
// including the calling goroutine. If heed is set, the handlers wait for their contexts as
// well.
//
// It measures the whole process. Run it in a process of its own, because earlier goroutines
// distort the result: the runtime keeps the stacks of goroutines that have ended.
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

// arrival bounds the wait until all calls are in their handlers. Without a bound, the wait
// would never end if a peer refuses some calls.
const arrival = time.Minute

func await(inside *atomic.Int64, n int) error {
	for end := time.Now().Add(arrival); inside.Load() < int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("measure: only %d of %d calls are in their handlers", inside.Load(), n)
		}
	}
	return nil
}

// Idle returns what each of n registered functions holds while it is not called.
func Idle(n int) Held {
	var before footprint
	closeRouter := peers.FaasIdle(n, func() { before = now() })
	defer closeRouter()
	return now().since(before, n)
}
