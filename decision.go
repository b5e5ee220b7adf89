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
	Load     Load   // what the policy was told
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
func (k *decisions) add(d Decision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.last); n > 0 {
		p := &k.last[(k.next+n-1)%n]
		if d.Load.Arrival && p.Load.Arrival && d.Rule == p.Rule && d.From == p.To && d.To > d.From && d.Time.Sub(p.Time) < scaleTick {
			p.To, p.Wanted = d.To, d.Wanted
			return
		}
	}
	if len(k.last) < keptDecisions {
		k.last = append(k.last, d)
		return
	}
	k.last[k.next] = d
	k.next = (k.next + 1) % keptDecisions
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

// decided tells everybody who wants to know. It is called without a lock.
func (r *Router) decided(to *decisions, d Decision) {
	to.add(d)
	if l := r.settings.logger; l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug("faas: scaled", "function", d.Function, "from", d.From, "to", d.To, "wanted", d.Wanted, "rule", d.Rule,
			"in_flight", d.Load.InFlight, "queued", d.Load.Queued, "stable", d.Load.Stable, "burst", d.Load.Burst)
	}
	if f := r.settings.decided; f != nil {
		defer r.guardHook("WithDecisions", d.Function)
		f(d)
	}
}
