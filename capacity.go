package faas

import (
	"sync"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/procload"
)

// capacityController sets the router's capacity by a policy (WithCapacityScaler).
type capacityController struct {
	clock     *clock
	group     *admission.Group
	policy    Scaler
	reports   *reporter
	decisions decisions
	load      procload.Reader // only the scale loop's goroutine uses it

	mu     sync.Mutex // guards the fields below
	most   int        // the capacity that the user has set, which the policy can't exceed
	memory State      // the State that the policy returned last; only the loop's goroutine writes it
}

// tick asks the policy, and reports whether there is nothing to do until the next worker
// starts. c.mu is not held while the policy runs. SetCapacity may be called meanwhile, so set
// compares the answer with most again. No other goroutine asks, so memory can't become outdated.
func (c *capacityController) tick() (atRest bool) {
	g := c.group
	l := Load{Now: c.clock.time(c.clock.now()), Per: 1, Min: 1, Instances: g.Limit(), Ready: g.Limit(), InFlight: g.Used(), Queued: g.Queued()}
	l.CPU, l.Latency = c.load.Read()
	l.Stable, l.Burst = float64(l.InFlight+l.Queued), float64(l.InFlight+l.Queued)
	c.mu.Lock()
	memory := c.memory
	l.Max = c.most
	c.mu.Unlock()
	t, next, ok := c.reports.guard.desired(c.policy, "", l, memory)
	if !ok { // the policy panicked: the capacity and the memory stay as they are
		return l.InFlight == 0
	}
	to := c.set(t.N, next)
	if to != l.Instances {
		d := &Decision{Time: l.Now, From: l.Instances, To: to, Wanted: t.N, Rule: t.Rule, Load: l}
		c.decisions.add(d)
		c.reports.decided(d)
	}
	return l.InFlight == 0 && to == l.Max
}

// set applies the policy's answer and returns the new capacity. The group is resized
// with c.mu held, so that this answer can't overwrite the newer value of a SetCapacity
// that runs at the same time.
func (c *capacityController) set(n int, memory State) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory = memory
	n = min(max(n, 1), c.most)
	c.group.Resize(n)
	return n
}

// bound sets the user's capacity, which is the highest that the policy may set.
func (c *capacityController) bound(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = n
	c.group.Resize(min(max(1, n), admission.Unlimited))
}
