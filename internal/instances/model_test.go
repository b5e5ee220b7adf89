package instances_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/instances"
)

// model makes one step after the other on a Set. After each step it waits until all goroutines are
// blocked, and compares the results of the calls with the expected ones.
type model struct {
	b     *backend
	set   *instances.Set
	seats int
	start time.Time

	fates   []fate // of the inits, in their order; later inits succeed at once
	waiting []*modelCall
	running []*modelCall
	used    map[*conn]int  // the step in which the conn was opened, or last had a seat released
	spent   map[*conn]bool // conns that were released as spent, so they get no more calls
	step    int            // from 1
	retired bool
	closed  bool
}

// fate is what happens to one init.
type fate struct {
	takes time.Duration
	err   error
}

type modelCall struct {
	done  chan struct{}
	got   chan instances.Grant
	grant instances.Grant
	conn  *conn
}

const modelTimeout = 10 * time.Second

func newModel(t *rapid.T) *model {
	m := &model{
		b: &backend{}, seats: rapid.IntRange(1, 3).Draw(t, "seats"), start: time.Now(),
		used: map[*conn]int{}, spent: map[*conn]bool{}, step: 1,
	}
	m.fates = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fate {
		f := fate{takes: time.Duration(rapid.IntRange(0, 15).Draw(t, "takes")) * time.Second}
		if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
			f.err = errDown
		}
		return f
	}), 0, 12).Draw(t, "fates")
	m.b.limit.Store(int64(rapid.IntRange(1, 4).Draw(t, "limit")))
	m.b.init = func(_ context.Context, n int) error {
		if n >= len(m.fates) {
			return nil
		}
		time.Sleep(m.fates[n].takes) // the init ignores its context
		return m.fates[n].err
	}
	m.set = newSet(m.b, func(c *instances.Config) {
		c.Seats, c.InitTimeout = m.seats, modelTimeout
		c.KeepAlive = time.Duration(rapid.IntRange(0, 5).Draw(t, "keepalive")) * time.Second
	})
	return m
}

func (m *model) now() int64 { return int64(time.Since(m.start)) }

// acquire begins a call. If a seat is free, the call gets a seat of the instance that was
// used last, and does not wait.
func (m *model) acquire(t *rapid.T) {
	c := &modelCall{done: make(chan struct{}), got: make(chan instances.Grant, 1)}
	warmest := m.warmest()
	m.waiting = append(m.waiting, c)
	go func() {
		g, _ := m.set.Acquire(c.done)
		c.got <- g
	}()
	m.settle(t)
	if len(warmest) > 0 {
		require.NotNil(t, c.conn, "a seat is free")
		require.Contains(t, warmest, c.conn.id)
	}
	if m.closed && len(warmest) == 0 {
		require.ErrorIs(t, c.grant.Err, instances.ErrClosed)
	}
}

// warmest returns the ids of the conns with a free seat that were used last. There are several
// if they were opened in the same step.
func (m *model) warmest() (ids []int) {
	best := 0
	_, conns := m.b.opened()
	for _, c := range conns {
		switch used := m.used[c]; {
		case m.spent[c] || c.closed.Load() > 0 || int(c.calls.Load()) >= m.seats || used < best:
		case used > best:
			best, ids = used, []int{c.id}
		default:
			ids = append(ids, c.id)
		}
	}
	return ids
}

func (m *model) leave(t *rapid.T) {
	if len(m.waiting) == 0 {
		t.Skip("no call waits")
	}
	c := rapid.SampledFrom(m.waiting).Draw(t, "caller")
	close(c.done)
	m.settle(t)
	require.ErrorIs(t, c.grant.Err, instances.ErrLeft)
}

func (m *model) release(t *rapid.T) { m.giveBack(t, false) }
func (m *model) spend(t *rapid.T)   { m.giveBack(t, true) }

func (m *model) giveBack(t *rapid.T, spent bool) {
	if len(m.running) == 0 {
		t.Skip("no call runs")
	}
	c := rapid.SampledFrom(m.running).Draw(t, "call")
	m.running = slices.DeleteFunc(m.running, func(r *modelCall) bool { return r == c })
	m.used[c.conn] = m.step
	m.spent[c.conn] = m.spent[c.conn] || spent
	c.conn.calls.Add(-1)
	m.set.Release(c.grant.Instance, spent, m.now())
	m.settle(t)
	if m.spent[c.conn] {
		require.Equal(t, c.conn.calls.Load() == 0, c.conn.closed.Load() == 1, "it is closed with its last call")
	}
}

// join makes a nested call, and ends it.
func (m *model) join(t *rapid.T) {
	if len(m.running) == 0 {
		t.Skip("no call runs")
	}
	c := rapid.SampledFrom(m.running).Draw(t, "parent")
	require.True(t, m.set.Join(c.grant.Instance))
	require.NoError(t, m.set.Check())
	m.used[c.conn] = m.step
	m.set.Release(c.grant.Instance, false, m.now())
	m.settle(t)
}

func (m *model) scale(t *rapid.T) {
	n, most := rapid.IntRange(0, 5).Draw(t, "target"), rapid.IntRange(0, 5).Draw(t, "most")
	if m.retired {
		n = 0
	}
	m.set.Scale(n, most, m.now())
	m.settle(t)
}

func (m *model) raiseLimit(t *rapid.T) {
	m.b.limit.Store(max(m.b.limit.Load(), int64(rapid.IntRange(1, 6).Draw(t, "limit"))))
}

func (m *model) pass(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 40).Draw(t, "tenths")) * 100 * time.Millisecond)
	m.settle(t)
}

func (m *model) retire(t *rapid.T) {
	closed := rapid.Bool().Draw(t, "closed")
	m.retired, m.closed = true, m.closed || closed
	m.set.Retire(closed)
	m.settle(t)
	if m.closed {
		require.Empty(t, m.waiting, "no call waits")
	}
}

// settle waits until all goroutines are blocked, and takes the answers of the calls. A conn
// that was opened meanwhile counts as used in this step.
func (m *model) settle(t *rapid.T) {
	synctest.Wait()
	_, conns := m.b.opened()
	for _, c := range conns {
		if _, known := m.used[c]; !known {
			m.used[c] = m.step
		}
	}
	m.step++
	m.waiting = slices.DeleteFunc(m.waiting, func(c *modelCall) bool {
		select {
		case c.grant = <-c.got:
		default:
			return false
		}
		if c.grant.Instance != nil {
			c.conn = enter(t, c.grant.Instance)
			m.running = append(m.running, c)
		}
		return true
	})
}

// stop makes all goroutines end: those of waiting calls, and of late inits.
func (m *model) stop() {
	m.set.Retire(true)
	time.Sleep(time.Minute)
}

// finish ends all calls and the Set, and waits for the inits that are late.
func (m *model) finish(t *rapid.T) {
	m.set.Retire(true)
	m.settle(t)
	require.Empty(t, m.waiting)
	for len(m.running) > 0 {
		m.giveBack(t, false)
	}
	time.Sleep(time.Minute)
	require.False(t, m.set.Busy())
	m.b.end(t, m.set)
	inits, _ := m.b.opened()
	require.GreaterOrEqual(t, m.b.ended.Load(), int64(inits), "each init is told of when it is over")
}

func (m *model) check(t *rapid.T) {
	require.NoError(t, m.set.Check())
	live, ready := m.set.Count()
	require.LessOrEqual(t, int64(live), m.b.limit.Load())
	require.Equal(t, len(m.waiting), m.set.Waiting())
	open := 0
	_, conns := m.b.opened()
	for _, c := range conns {
		open += 1 - int(c.closed.Load())
		require.LessOrEqual(t, c.closed.Load(), int64(1))
		require.LessOrEqual(t, c.most.Load(), int64(m.seats))
	}
	require.GreaterOrEqual(t, open, ready)
	require.LessOrEqual(t, open, live)
	if m.retired {
		require.LessOrEqual(t, ready, len(m.running), "idle ones are gone")
	}
}

func TestASetKeepsItsPromisesInAnyOrderOfSteps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := newModel(t)
			defer m.stop() // rapid may end a run in the middle, by a panic
			t.Repeat(map[string]func(*rapid.T){
				"acquire": m.acquire, "leave": m.leave, "release": m.release, "spend": m.spend, "join": m.join,
				"scale": m.scale, "limit": m.raiseLimit, "pass": m.pass, "retire": m.retire, "": m.check,
			})
			m.finish(t)
		})
	})
}
