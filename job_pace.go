package faas

import (
	"sync"
	"sync/atomic"
	"time"
)

// jobPaces are how long the jobs of a host's functions run, as it was measured.
type jobPaces struct {
	recent     atomic.Pointer[jobPace] // the last that was looked up
	mu         sync.Mutex              // guards byFunction
	byFunction map[string]*jobPace
}

// jobPace is the pace of one function's jobs.
type jobPace struct {
	function string
	service  atomic.Int64 // nanoseconds of a delivery, the mean of about the last eight
	ended    atomic.Int64
	running  atomic.Int64
}

// of returns the pace of a function.
func (ps *jobPaces) of(function string) *jobPace {
	if p := ps.recent.Load(); p != nil && p.function == function {
		return p
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byFunction[function]
	if p == nil {
		p = &jobPace{function: function}
		if ps.byFunction == nil {
			ps.byFunction = map[string]*jobPace{}
		}
		ps.byFunction[function] = p
	}
	ps.recent.Store(p)
	return p
}

// hasBegun notes that a delivery has its slot, and hasEnded that it is over. ran is how long its
// handler has run, if it has.
func (p *jobPace) hasBegun() { p.running.Add(1) }

func (p *jobPace) hasEnded(ran time.Duration, has bool) {
	p.running.Add(-1)
	if !has {
		return
	}
	weight := min(p.ended.Add(1), 8)
	for {
		was := p.service.Load()
		if p.service.CompareAndSwap(was, was+(int64(ran)-was)/weight) {
			return
		}
	}
}

// usual is jobPace.usual of a function, and 0 for one of which no job has begun.
func (ps *jobPaces) usual(function string) time.Duration {
	p := ps.recent.Load()
	if p == nil || p.function != function {
		ps.mu.Lock()
		p = ps.byFunction[function]
		ps.mu.Unlock()
	}
	if p == nil {
		return 0
	}
	return p.usual()
}

// usual returns how long a job of the function runs; zero: fewer than a handful have.
func (p *jobPace) usual() time.Duration {
	if p.ended.Load() >= 8 {
		return time.Duration(p.service.Load())
	}
	return 0
}

// The bounds of what a full queue says about when to come again.
const (
	soonestRoom = time.Second
	latestRoom  = 5 * time.Minute
)

// room returns when the next job will have ended, in whole seconds.
func (ps *jobPaces) room() time.Duration {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	perSecond := 0.0
	for _, p := range ps.byFunction {
		if p.ended.Load() > 0 {
			perSecond += float64(p.running.Load()) / max(time.Duration(p.service.Load()), time.Microsecond).Seconds()
		}
	}
	if perSecond == 0 {
		return soonestRoom
	}
	seconds := min(1/perSecond, latestRoom.Seconds())
	return max(time.Duration(seconds*float64(time.Second)).Round(time.Second), soonestRoom)
}
