package faastest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproc/faas/trigger/source"
)

// TestSource checks, in subtests of t, that a [source.Source] keeps its contract. Each
// subtest calls newSource with its own t. newSource returns a new source, and a func that
// makes the source deliver n more items; both end in t.Cleanup. The subtests run in bubbles
// of [testing/synctest].
//
// It checks that
//
//   - each item is delivered, and is not delivered again once it is acknowledged, in
//     whatever order the items are acknowledged;
//   - an item that is given back is delivered again;
//   - when its context ends, Run returns, but not before all items that were taken are
//     acknowledged or given back;
//   - an item that was not acknowledged when Run has returned is delivered by the next Run;
//   - Lag returns while Run runs.
func TestSource(t *testing.T, newSource func(t *testing.T) (src source.Source, put func(n int))) {
	t.Helper()
	for name, check := range map[string]func(*sourceCheck){
		"brings each item once": (*sourceCheck).once, "brings again what is given back": (*sourceCheck).again,
		"waits for what was taken": (*sourceCheck).waits,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, put := newSource(t)
				check(&sourceCheck{TB: t, src: src, put: put, rand: rand.New(rand.NewPCG(1, 2))})
			})
		})
	}
}

// sourceCheck is one subtest of TestSource. It is the sink of its source.
type sourceCheck struct {
	testing.TB
	src  source.Source
	put  func(n int)
	rand *rand.Rand

	mu   sync.Mutex    // guards open
	open []func(error) // the done funcs of the items that Send has taken, until took returns them
}

// Send implements source.Sink.
func (c *sourceCheck) Send(ctx context.Context, _ source.Item, done func(error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, done)
	return nil
}

// run starts Run. It returns a func that ends Run's context, and a channel that is closed
// when Run has returned.
func (c *sourceCheck) run() (end func(), over <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		_ = c.src.Run(ctx, c)
	}()
	return cancel, returned
}

// took waits for the items that are delivered, checks their number, and returns their done
// funcs in a random order.
func (c *sourceCheck) took(want int) []func(error) {
	c.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	lag, err := c.src.Lag(context.Background())
	if err != nil {
		c.Errorf("Lag: %+v, %v", lag, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) != want {
		c.Errorf("%d items came, want %d", len(c.open), want)
	}
	all := c.open
	c.open = nil
	c.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (c *sourceCheck) once() {
	end, over := c.run()
	for _, n := range []int{1, 20, 3} {
		c.put(n)
		for _, done := range c.took(n) {
			done(nil)
		}
	}
	c.took(0)
	end()
	<-over
	end, over = c.run()
	c.took(0)
	end()
	<-over
}

func (c *sourceCheck) again() {
	end, over := c.run()
	c.put(10)
	for i, done := range c.took(10) {
		if i < 4 {
			done(errors.New("not now"))
		} else {
			done(nil)
		}
	}
	for _, done := range c.took(4) {
		done(nil)
	}
	c.took(0)
	end()
	<-over
}

func (c *sourceCheck) waits() {
	end, over := c.run()
	c.put(3)
	dones := c.took(3)
	end()
	synctest.Wait()
	select {
	case <-over:
		c.Errorf("Run returned before what was taken is done")
	default:
	}
	dones[0](nil)
	dones[1](source.ErrStopped)
	dones[2](source.ErrStopped)
	<-over
	end, over = c.run()
	for _, done := range c.took(2) {
		done(nil)
	}
	end()
	<-over
}
