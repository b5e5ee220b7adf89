package faas

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Decision describes a change of scale and the reason for it, or a change of an alias. It is
// a copy and may be kept.
type Decision struct {
	Time     time.Time
	Function string // the function whose instances were changed; empty: the router's capacity was changed (From and To are calls)
	Version  string // the function's version
	From, To int
	Wanted   int    // what the policy asked for, before Load.Min and Load.Max were applied
	Rule     string // the policy's rule that decided, in the policy's own words
	Load     Load   // the Load that the policy got; for growth within Target.UpTo, the load at that moment

	// These fields describe a change of an alias by SetAlias or RemoveAlias. Then Version, From,
	// To, Wanted and Load are zero, and Rule describes the change. Before is nil if the alias is
	// new, After is nil if it was removed. For a change of scale both are nil.
	Alias         string
	By            string  // the actor, see WithActor
	Before, After Weights // shared by all copies of this Decision, so don't change them
}

// isMove reports whether d describes a change of an alias.
func (d *Decision) isMove() bool { return d.Before != nil || d.After != nil }

// keptDecisions is how many decisions of a function are kept.
const keptDecisions = 64

// decisions keeps the last decisions in a ring buffer, which grows to keptDecisions.
type decisions struct {
	mu   sync.Mutex // guards the fields below
	last []Decision
	next int // the index of the oldest entry, once the ring is full; 0 before
}

// add keeps d. If d continues the growth of the latest entry by the same rule, less than a
// tick later, add extends that entry instead. So one burst of calls does not push out all
// other decisions.
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

// extendLast extends the latest entry by a step of growth, as add does, but without making a
// Decision for the step: that would be an allocation for each call of a burst. It returns
// false if the step does not continue the latest entry.
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

// latest returns the decision that was added last, or nil. k.mu must be held, and must stay
// held while the result is used.
func (k *decisions) latest() *Decision {
	n := len(k.last)
	if n == 0 {
		return nil
	}
	return &k.last[(k.next+n-1)%n]
}

// continues reports whether a step of growth continues d: the step must begin where d ended. It
// does not if, for example, the loop's tick has lowered the number in between.
func (d *Decision) continues(from, to int, at time.Time) bool {
	return d.Load.Arrival && d.To == from && to > from && at.Sub(d.Time) < scaleTick
}

// all returns a copy of the decisions, the oldest first. The caller reads the copy without
// k.mu, while add may overwrite the ring's entries.
func (k *decisions) all() []Decision {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Concat(k.last[k.next:], k.last[:k.next])
}

// reporter passes Decisions to the log and to the hook of WithDecisions.
type reporter struct {
	guard *hookGuard
	hook  func(Decision) // nil: there is none
}

// isHeard reports whether there is a hook or a log for decisions. If there is none, growth within
// what the policy allowed is not reported, which saves a Decision for each call of a burst.
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
