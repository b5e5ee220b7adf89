package faas

import (
	"context"
	"log/slog"
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
	Load     Load   // what the policy was told; of growth within Target.Upto, what there was
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
func (k *decisions) stretch(from, to int, at time.Time) bool {
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

// Decisions returns the last 64 changes of a function's scale, the oldest
// first, or [ErrNotFound]; for the empty name, those of the router's capacity.
// Where a burst has grown a function call by call, that is one entry with the
// load that was seen first; [WithDecisions] sees each step.
func (r *Router) Decisions(name string) ([]Decision, error) {
	if name == "" {
		if r.ceiling == nil {
			return nil, nil
		}
		return r.ceiling.decisions.all(), nil
	}
	fn, err := r.find("decisions", name)
	if err != nil {
		return nil, err
	}
	if fn.scaling == nil {
		return nil, nil
	}
	return fn.scaling.decisions.all(), nil
}

// tellsDecisions tells whether anybody wants to know of decisions as they are made.
func (r *Router) tellsDecisions() bool {
	return r.settings.decided != nil || r.settings.logger.Enabled(context.Background(), slog.LevelDebug)
}

// decided tells everybody who wants to know. It is called without a lock.
func (r *Router) decided(d *Decision) {
	if l := r.settings.logger; l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug("faas: scaled", "function", d.Function, "from", d.From, "to", d.To, "wanted", d.Wanted, "rule", d.Rule,
			"in_flight", d.Load.InFlight, "queued", d.Load.Queued, "stable", d.Load.Stable, "burst", d.Load.Burst)
	}
	if f := r.settings.decided; f != nil {
		defer r.guardHook("WithDecisions", d.Function)
		f(*d)
	}
}
