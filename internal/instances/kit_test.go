package instances_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/instances"
)

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// conn is what an init opens; it is the handler of the instance.
type conn struct {
	id     int // from 0, in the order of opening
	calls  atomic.Int64
	most   atomic.Int64 // the highest number of calls at once
	closed atomic.Int64 // how often the conn was closed
}

// backend opens conns, and keeps what happened to each.
type backend struct {
	// init returns the error of the nth init, from 0. If it is nil, all inits succeed at once.
	init  func(ctx context.Context, n int) error
	limit atomic.Int64
	ended atomic.Int64 // how often Config.Ended was called

	mu    sync.Mutex // guards the fields below
	inits int
	conns []*conn
}

// newSet returns a Set on b, with a limit of 4 and a clock in real or virtual time.
// edit may change its Config.
func newSet(b *backend, edit func(*instances.Config)) *instances.Set {
	start := time.Now()
	b.limit.CompareAndSwap(0, 4)
	c := instances.Config{
		Init:  b.open,
		Close: func(ctx context.Context, closer instances.Closer) { _ = closer(ctx) },
		Ended: func() { b.ended.Add(1) },
		Limit: func() int { return int(b.limit.Load()) },
		Now:   func() int64 { return int64(time.Since(start)) },

		Seats: 1, InitTimeout: time.Minute,
	}
	if edit != nil {
		edit(&c)
	}
	return instances.New(c)
}

func (b *backend) open(ctx context.Context) (any, instances.Closer, error) {
	b.mu.Lock()
	n := b.inits
	b.inits++
	b.mu.Unlock()
	if b.init != nil {
		if err := b.init(ctx, n); err != nil {
			return nil, nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &conn{id: len(b.conns)}
	b.conns = append(b.conns, c)
	return c, func(context.Context) error { c.closed.Add(1); return nil }, nil
}

func (b *backend) opened() (inits int, conns []*conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inits, append([]*conn(nil), b.conns...)
}

// enter counts a call that begins on the instance, and fails the test if its conn is closed.
func enter(t assert.TestingT, in *instances.Instance) *conn {
	c, _ := in.Handler().(*conn)
	n := c.calls.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	assert.Zero(t, c.closed.Load(), "conn %d is closed, and has a call", c.id)
	return c
}

// end retires s, waits until none of its goroutines run, and fails the test unless each
// conn was closed once.
func (b *backend) end(t assert.TestingT, s *instances.Set) {
	s.Retire(true)
	for s.Busy() {
		runtime.Gosched() // in a bubble, time.Sleep would move the clock
	}
	assert.NoError(t, s.Check())
	live, ready := s.Count()
	assert.Zero(t, live)
	assert.Zero(t, ready)
	_, conns := b.opened()
	for _, c := range conns {
		assert.Equal(t, int64(1), c.closed.Load(), "conn %d is closed once", c.id)
	}
}
