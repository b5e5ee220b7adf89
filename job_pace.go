package faas

import (
	"sync"
	"time"
)

// jobPaces are how long the jobs of a host's functions run, as it was measured.
type jobPaces struct {
	mu         sync.Mutex // guards byFunction
	byFunction map[string]*jobPace
}

type jobPace struct {
	service time.Duration // of a delivery, the mean of about the last eight
	ended   int
	running int
}

// began notes that a delivery has its slot, and ended that it is over. ran is how long its
// handler has run, if it has.
func (ps *jobPaces) began(function string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byFunction[function]
	if p == nil {
		p = &jobPace{}
		if ps.byFunction == nil {
			ps.byFunction = map[string]*jobPace{}
		}
		ps.byFunction[function] = p
	}
	p.running++
}

func (ps *jobPaces) ended(function string, ran time.Duration, has bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byFunction[function]
	p.running--
	if has {
		p.ended++
		p.service += (ran - p.service) / time.Duration(min(p.ended, 8))
	}
}

// service returns how long a job of the function runs; zero: fewer than a handful have.
func (ps *jobPaces) service(function string) time.Duration {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byFunction[function]; p != nil && p.ended >= 8 {
		return p.service
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
		if p.ended > 0 {
			perSecond += float64(p.running) / max(p.service, time.Microsecond).Seconds()
		}
	}
	if perSecond == 0 {
		return soonestRoom
	}
	seconds := min(1/perSecond, latestRoom.Seconds())
	return max(time.Duration(seconds*float64(time.Second)).Round(time.Second), soonestRoom)
}
