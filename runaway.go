package faas

import (
	"time"

	"github.com/inproc/faas/internal/foreign"
)

// runAway makes the call a runaway; the settler's part.
func (w *worker) runAway(c *callContext, at int64) {
	fn := c.fn
	fn.runaways.Add(1)
	c.state.Or(ranAway)
	w.since = at
	if fn.replaced.Add(1) <= int64(fn.settings.runaways) {
		w.replaced = true
		c.hold.Replace()
	} else {
		fn.replaced.Add(-1)
	}
	grace := fn.router.settings.grace
	if grace == 0 {
		c.hold.MarkStuck() // before the caller can make another call
	}
	tell := func() { fn.router.stuck(c, at) }
	w.tell.Store(&tell)
	w.report = time.AfterFunc(grace, func() { // a timer that is stopped is kept for a while, see sweepLater
		if tell := w.tell.Load(); tell != nil {
			(*tell)()
		}
	})
}

// leave is said by the settler and by the handler, each when it is done.
func (w *worker) leave(c *callContext) {
	if w.left.Add(1) < 2 {
		return
	}
	fn := c.fn
	w.report.Stop()
	w.tell.Store(nil)
	c.releaseInstance(w.dead)
	if w.replaced {
		fn.replaced.Add(-1)
	}
	c.hold.Release()
	if w.ended > w.since {
		c.recordOverrun(time.Duration(w.ended - w.since))
	}
	fn.runaways.Add(-1)
	c.release()
	if w.work == nil {
		w.pool.unregister(w) // a worker forgets its slot itself
	}
	fn.tellIfEnding()
}

func (c *callContext) recordOverrun(d time.Duration) {
	fn := c.fn
	o := Overrun{
		ID: c.id, Function: fn.name, Version: fn.version, Tenant: c.tenant, Labels: fn.labels,
		Duration: d, Memory: fn.memory,
	}
	for _, m := range fn.meters {
		if m, ok := m.(OverrunMeter); ok {
			c.recordOverrunTo(m, o)
		}
	}
}

func (c *callContext) recordOverrunTo(m OverrunMeter, o Overrun) {
	defer c.fn.router.guardHook("meter", c.fn.name)
	m.RecordOverrun((*recordContext)(c), o)
}

// stuck has a runaway that has had its grace count as one that may never end, and
// tells about it. It runs on the timer's own goroutine, so that f may take its time.
// That the handler may return meanwhile does no harm: after Release, MarkStuck does
// nothing.
func (r *Router) stuck(c *callContext, since int64) {
	c.hold.MarkStuck()
	over := time.Duration(r.clock.now() - since)
	r.settings.logger.Warn("faas: handler still runs after its call is over",
		"function", c.who.name, "id", c.id, "tenant", c.tenant, "over", over)
	if f := r.settings.stuck; f != nil {
		defer r.guardHook("WithStuck", c.who.name)
		f((*recordContext)(c), c.invocation(), over)
	}
}

// logLatePanic tells of a panic that no caller is left to hear of.
func (r *Router) logLatePanic(c *callContext, err error) {
	p, _ := err.(*PanicError) //nolint:errorlint // it is bare here
	if p == nil {
		return
	}
	r.settings.logger.Error("faas: handler panicked after its call was over",
		"function", c.fn.name, "id", c.id, "panic", foreign.Plain(p.Value), "stack", string(p.Stack))
}
