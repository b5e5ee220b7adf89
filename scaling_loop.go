package faas

import (
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/inproc/faas/internal/admission"
	"github.com/inproc/faas/internal/procload"
)

// ceiling steers the router's capacity by what the process says about itself.
type capacityController struct {
	router    *Router
	policy    Scaler
	decisions decisions
	load      procload.Reader // used by the scale loop's goroutine alone

	mu     sync.Mutex // guards what follows
	most   int        // what the user has set
	memory State      // written by the loop alone
}

// tick tells whether there is nothing to do until a worker is made.
func (c *capacityController) tick() (atRest bool) {
	r, g := c.router, c.router.group
	l := Load{Now: r.clock.time(r.clock.now()), Per: 1, Min: 1, Instances: g.Limit(), Ready: g.Limit(), InFlight: g.Used(), Queued: g.Queued()}
	l.CPU, l.Latency = c.load.Read()
	l.Stable, l.Burst = float64(l.InFlight+l.Queued), float64(l.InFlight+l.Queued)
	c.mu.Lock()
	memory := c.memory
	l.Max = c.most
	c.mu.Unlock()
	t, next, ok := r.desired(c.policy, "", l, memory)
	if !ok {
		return l.InFlight == 0
	}
	to := c.set(t.N, next)
	if to != l.Instances {
		d := &Decision{Time: l.Now, From: l.Instances, To: to, Wanted: t.N, Rule: t.Rule, Load: l}
		c.decisions.add(d)
		r.decided(d)
	}
	return l.InFlight == 0 && to == l.Max
}

func (c *capacityController) set(n int, memory State) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory = memory
	n = min(max(n, 1), c.most)
	c.router.group.Resize(n)
	return n
}

// bound is what the user sets: the most that the policy may.
func (c *capacityController) bound(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = n
	c.router.group.Resize(min(max(1, n), admission.Unlimited))
}

// scaleLoop asks the policies of all functions that are not at rest, with one
// timer for all of them, and none while there is nobody to ask about.
type scaleLoop struct {
	mu    sync.Mutex // guards what follows
	awake []*scaling
	steer *capacityController // or nil; while the router is at work
	timer *time.Timer
	set   bool
	over  bool
}

func (l *scaleLoop) add(s *scaling) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = append(l.awake, s)
	l.arm()
}

// drop is for a function that is gone. One that the loop has in hand is dropped
// by its tick.
func (l *scaleLoop) drop(s *scaling) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = slices.DeleteFunc(l.awake, func(a *scaling) bool { return a == s })
}

// watch is add for the router itself.
func (l *scaleLoop) watch(c *capacityController) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steer = c
	l.arm()
}

// arm sets the timer; the lock is held.
func (l *scaleLoop) arm() {
	switch {
	case l.set || l.over:
		return
	case l.timer == nil:
		weakly := weak.Make(l) // see sweepLater
		l.timer = time.AfterFunc(scaleTick, func() {
			if l := weakly.Value(); l != nil {
				l.run()
			}
		})
	default:
		l.timer.Reset(scaleTick)
	}
	l.set = true
}

// run asks for each once. Those that wake up meanwhile are in the list anew.
func (l *scaleLoop) run() {
	l.mu.Lock()
	awake, steer := l.awake, l.steer
	l.awake, l.steer = nil, nil
	l.mu.Unlock()
	awake = slices.DeleteFunc(awake, (*scaling).tick)
	if steer != nil && steer.tick() {
		steer = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = false
	l.awake = append(l.awake, awake...)
	if steer != nil {
		l.steer = steer
	}
	if len(l.awake) > 0 || l.steer != nil {
		l.arm()
	}
}

func (l *scaleLoop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.awake, l.steer = nil, nil
	if l.timer != nil {
		l.timer.Stop()
	}
}
