package faas

import (
	"slices"
	"sync"
	"time"
)

// Decision is a change of scale, and why it was made.
type Decision struct {
	Time     time.Time
	Function string // whose instances; empty: the router's capacity, in calls
	From, To int
	Wanted   int    // what the policy asked for, before Load.Min and Load.Max were held against it
	Rule     string // the policy's, by its own words
	Load     Load   // what the policy was told; of growth within Target.UpTo, what there was
}

// keptDecisions is how many of a function can be read.
const keptDecisions = 64

// decisions are the last that were made, in a ring that is made with the first.
type decisions struct {
	mu   sync.Mutex // guards what follows
	last []Decision
	next int // the oldest, once there are as many as are kept
}

// add keeps d. Growth by one call after the other is one entry while the same
// rule makes it and no two seconds have passed, so that one burst does not push
// everything else out.
func (k *decisions) add(d *Decision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.latest(); p != nil && d.Load.Arrival && d.Rule == p.Rule && p.growsOn(d.From, d.To, d.Time) {
		p.To, p.Wanted = d.To, d.Wanted
		return
	}
	if len(k.last) < keptDecisions {
		k.last = append(k.last, *d)
		return
	}
	k.last[k.next] = *d
	k.next = (k.next + 1) % keptDecisions
}

// stretch is add for a step in growth that goes on by the rule that it has begun
// with, or is false if there is none to go on with.
func (k *decisions) extendLast(from, to int, at time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.latest()
	if p == nil || !p.growsOn(from, to, at) {
		return false
	}
	p.To, p.Wanted = to, to
	return true
}

// latest is the last that was added, or nil; the lock is held.
func (k *decisions) latest() *Decision {
	n := len(k.last)
	if n == 0 {
		return nil
	}
	return &k.last[(k.next+n-1)%n]
}

// growsOn tells whether a step goes on with growth that d is part of.
func (d *Decision) growsOn(from, to int, at time.Time) bool {
	return d.Load.Arrival && d.To == from && to > from && at.Sub(d.Time) < scaleTick
}

func (k *decisions) all() []Decision {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Concat(k.last[k.next:], k.last[:k.next])
}
