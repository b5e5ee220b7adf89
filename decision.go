package faas

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Decision is a change of scale and why it was made, or a move of an alias. It is a copy
// and may be kept.
type Decision struct {
	Time     time.Time
	Function string // whose instances; empty: the router's capacity, in calls
	Version  string // of the function
	From, To int
	Wanted   int    // what the policy asked for, before Load.Min and Load.Max were applied
	Rule     string // the policy's rule that decided, in the policy's own words
	Load     Load   // what the policy was told; for growth within Target.UpTo, the load at that moment

	// Of a move of an alias by SetAlias or RemoveAlias; then Version, From, To, Wanted and
	// Load are zero, and Rule says what was done. Before is nil for a new alias, After for
	// one that was removed; of a change of scale both are nil.
	Alias         string
	By            string  // see WithActor
	Before, After Weights // shared by all that show them, not to be changed
}

// isMove tells whether d is a move of an alias.
func (d *Decision) isMove() bool { return d.Before != nil || d.After != nil }

// keptDecisions is how many decisions of a function are kept.
const keptDecisions = 64

// decisions keeps the last decisions in a ring buffer, which grows to keptDecisions.
type decisions struct {
	mu   sync.Mutex // guards what follows
	last []Decision
	next int // the index of the oldest, once the ring is full; 0 before
}

// add keeps d. If d continues the growth of the latest entry by the same rule, less
// than a tick later, it extends that entry instead, so that one burst does not push all
// other decisions out.
func (k *decisions) add(d *Decision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.latest(); p != nil && d.Load.Arrival && d.Rule == p.Rule && p.continues(d.From, d.To, d.Time) {
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

// extendLast extends the latest entry by a step of growth, as add does, without a
// Decision being made for it: that would be an allocation for each call of a burst. It
// returns false if the step does not continue the latest entry.
func (k *decisions) extendLast(from, to int, at time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.latest()
	if p == nil || !p.continues(from, to, at) {
		return false
	}
	p.To, p.Wanted = to, to
	return true
}

// latest returns the decision that was added last, or nil. k.mu must be held, also
// while the result is used.
func (k *decisions) latest() *Decision {
	n := len(k.last)
	if n == 0 {
		return nil
	}
	return &k.last[(k.next+n-1)%n]
}

// continues reports whether a step of growth continues d: it must begin where d ended. If
// the loop's tick has lowered the number in between, for example, it does not.
func (d *Decision) continues(from, to int, at time.Time) bool {
	return d.Load.Arrival && d.To == from && to > from && at.Sub(d.Time) < scaleTick
}

// all returns a copy, the oldest first. It is a copy since add overwrites the ring's
// entries, and its caller reads without k.mu.
func (k *decisions) all() []Decision {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Concat(k.last[k.next:], k.last[:k.next])
}

// reporter tells the log, and the hook of WithDecisions, of Decisions.
type reporter struct {
	guard *hookGuard
	hook  func(Decision) // nil: there is none
}

// isHeard reports whether there is a hook or a log for decisions. Without one,
// growth within what is allowed need not describe itself.
func (r *reporter) isHeard() bool {
	return r.hook != nil || r.guard.log.Enabled(context.Background(), slog.LevelDebug)
}

// decided passes a Decision to the log and to the hook of WithDecisions. No lock may be
// held: both are foreign code.
func (r *reporter) decided(d *Decision) {
	switch l := r.guard.log; {
	case !l.Enabled(context.Background(), slog.LevelDebug):
	case d.isMove():
		l.Debug("faas: alias moved", "function", d.Function, "alias", d.Alias, "by", d.By, "before", d.Before, "after", d.After)
	default:
		l.Debug("faas: scaled", "function", d.Function, "from", d.From, "to", d.To, "wanted", d.Wanted, "rule", d.Rule,
			"in_flight", d.Load.InFlight, "queued", d.Load.Queued, "stable", d.Load.Stable, "burst", d.Load.Burst)
	}
	if f := r.hook; f != nil {
		defer r.guard.guardHook("WithDecisions", d.Function)
		f(*d)
	}
}
