package admission_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/admission"
)

// rude is a caller's context whose methods can block or panic.
type rude struct {
	context.Context

	done func() <-chan struct{}
	err  func() error
}

func (r rude) Done() <-chan struct{} { return r.done() }
func (r rude) Err() error            { return r.err() }

func TestACallerWhoseContextIsClosedWithoutAnErrorIsCanceledAndNotAdmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 10)
		running := begin(t, c, nil)
		over := make(chan struct{})
		ctx := rude{t.Context(), func() <-chan struct{} { return over }, func() error { return nil }}
		waiting := &call{}
		go func() { // not by launch, which would derive a context from this one
			waiting.err = c.Acquire(ctx, &waiting.hold, admission.Request{Wait: patience})
			waiting.answered.Store(true)
		}()
		synctest.Wait()
		waits(t, waiting)
		close(over)
		synctest.Wait()
		refused(t, context.Canceled, waiting)
		assert.Equal(t, 1, c.Used())
		running.end()
		quiet(t, g, c)
	})
}

func TestACallerWhoseContextPanicsLeavesNeitherAWaiterNorASlot(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	close(over)
	for name, ctx := range map[string]rude{
		"Done": {done: func() <-chan struct{} { panic("Done") }, err: func() error { return nil }},
		"Err":  {done: func() <-chan struct{} { return over }, err: func() error { panic("Err") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(1)
				c := g.NewClass(1, 10)
				running := begin(t, c, nil)
				assert.PanicsWithValue(t, name, func() {
					_ = c.Acquire(ctx, new(admission.Hold), admission.Request{Wait: patience})
				})
				assert.Zero(t, c.Queued())
				running.end()
				quiet(t, g, c)
			})
		})
	}
}

// The context's Err panics while another call hands over its slot to this call.
func TestASlotThatCameWhileTheCallersContextPanickedIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 10)
		running := begin(t, c, nil)
		ctx := rude{done: func() <-chan struct{} {
			running.hold.Release()
			panic("Done")
		}}
		assert.Panics(t, func() { _ = c.Acquire(ctx, new(admission.Hold), admission.Request{Wait: time.Hour}) })
		quiet(t, g, c)
	})
}

// A count below zero would borrow from the bits of the limit in the same word, and the router
// would refuse all calls for ever.
func TestASlotThatIsGivenBackTwiceStopsLoudly(t *testing.T) {
	t.Parallel()
	for name, queue := range map[string]bool{"nobody waits": false, "others wait": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := admission.NewGroup(1)
				c := g.NewClass(1, 10)
				k := begin(t, c, nil)
				if queue {
					defer begin(t, c, nil).hold.Release()
				}
				k.end()
				assert.Panics(t, k.end)
			})
		})
	}
	g := admission.NewGroup(1)
	c := g.NewClass(1, 10)
	never := new(admission.Hold)
	assert.True(t, c.TryAcquire(never))
	never.Release()
	putBack, ok := c.TakeHalf()
	assert.True(t, ok)
	putBack()
	assert.Panics(t, putBack)
}
