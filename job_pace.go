package faas

import (
	"sync"
	"sync/atomic"
	"time"
)

// jobPaces measure how long the jobs of a host's functions run.
type jobPaces struct {
	recent     atomic.Pointer[jobPace] // the pace that was looked up last
	mu         sync.Mutex              // guards byFunction
	byFunction map[string]*jobPace
}

// jobPace measures the jobs of one function.
type jobPace struct {
	function string
	service  atomic.Int64 // the mean duration of about the last eight deliveries, in nanoseconds
	ended    atomic.Int64 // deliveries that have ended and whose handler ran
	running  atomic.Int64 // deliveries that have their slots and have not ended
}

// of returns the pace of a function, and makes it if there is none.
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
// handler ran; has is false if the handler did not run.
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

// usual returns jobPace.usual of a function, and 0 if no job of the function has begun.
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

// usual returns how long a job of the function runs; 0 if fewer than eight have ended.
func (p *jobPace) usual() time.Duration {
	if p.ended.Load() >= 8 {
		return time.Duration(p.service.Load())
	}
	return 0
}

// The bounds of room's result.
const (
	soonestRoom = time.Second
	latestRoom  = 5 * time.Minute
)

// room returns how long it takes until a running job ends, on average and in whole seconds. A
// sender that a full queue has refused gets it as RetryAfter.
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
