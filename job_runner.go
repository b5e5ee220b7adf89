package faas

import "sync"

// runners are the goroutines that run deliveries, each one delivery after the other. A new
// goroutine for each delivery would have to grow its stack each time.
type runners struct {
	mu          sync.Mutex // guards what follows
	idle        []*runner
	isDismissed bool // no runner waits for work any more
}

// idleRunners is how many runners wait for work at most. A runner that would be one more ends.
const idleRunners = 16

// runner is one goroutine.
type runner struct {
	all  *runners
	work chan *delivery // has room for one value, so that run never blocks; closed when the runner must end
}

// run runs a delivery on an idle runner, or on a new one. begun must have counted the delivery.
func (p *runners) run(d *delivery) {
	if w := p.takeIdle(); w != nil {
		w.work <- d
		return
	}
	w := &runner{all: p, work: make(chan *delivery, 1)}
	go w.loop(d)
}

func (p *runners) takeIdle() *runner {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	w := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return w
}

// dismiss ends the idle runners, and lets each other one end when it becomes idle.
func (p *runners) dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isDismissed = true
	for _, w := range p.idle {
		close(w.work)
	}
	p.idle = nil
}

// loop is the runner's goroutine. The handler of an inline function may end it by Goexit: then
// the deferred func gives the following delivery to another runner.
func (w *runner) loop(d *delivery) {
	defer func() {
		if d != nil && d.following != nil {
			w.all.run(d.following)
		}
	}()
	for d != nil {
		d.run()
		if d = d.following; d == nil {
			d = w.wait()
		}
	}
}

// wait waits for the next delivery. It returns nil if the runner must end.
func (w *runner) wait() *delivery {
	p := w.all
	p.mu.Lock()
	if p.isDismissed || len(p.idle) == idleRunners {
		p.mu.Unlock()
		return nil
	}
	p.idle = append(p.idle, w)
	p.mu.Unlock()
	return <-w.work
}
