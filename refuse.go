package faas

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// Kind is the class of a refusal: what the caller can do about it. It stands
// beside the open [Reason] and is a closed set, so that a front door translates
// it by one switch that a linter can hold to be exhaustive. The zero value is
// KindNone: the call was not refused.
type Kind uint8

// The kinds, with the reasons of the platform that belong to each. A [Gate]
// chooses a kind by answering an *Error that has one. Where it answers an *Error
// without one, the kind is that of its Reason, if that is one of the platform's,
// else KindBusy if there is a RetryAfter, else KindDenied.
const (
	KindNone        Kind = iota // not refused: the call's Outcome says how it ended
	KindNotFound                // no such function: ReasonNotFound, ReasonName
	KindDenied                  // this caller may not make this call: ReasonDenied
	KindInvalid                 // the input or the tenant can't be used: ReasonInput
	KindTooLarge                // the payload is over the limit: ReasonTooLarge
	KindBusy                    // no room now: ReasonOverloaded, ReasonRunaways, ReasonOff, ReasonQueueTimeout
	KindUnavailable             // what the call depends on is down: ReasonMeterFull, ReasonInit
	KindNesting                 // calls nest in a way that can't work: ReasonDepth, ReasonCycle
	KindClosed                  // the router is closing or closed: ReasonClosed
	KindCanceled                // the caller's context ended before the call had a slot: ReasonQueueCanceled

	kinds // how many there are
)

// String returns the kind's name without its prefix, such as "Busy".
func (k Kind) String() string {
	names := [...]string{"None", "NotFound", "Denied", "Invalid", "TooLarge", "Busy", "Unavailable", "Nesting", "Closed", "Canceled"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Kind(?)"
}

// Kind is the class of a reason of the platform, and KindNone for one that a
// [Gate] has made up: there the *Error says it.
func (why Reason) Kind() Kind {
	switch why {
	case ReasonNotFound, ReasonName:
		return KindNotFound
	case ReasonDenied:
		return KindDenied
	case ReasonInput:
		return KindInvalid
	case ReasonTooLarge:
		return KindTooLarge
	case ReasonOverloaded, ReasonRunaways, ReasonOff, ReasonQueueTimeout:
		return KindBusy
	case ReasonMeterFull, ReasonInit:
		return KindUnavailable
	case ReasonDepth, ReasonCycle:
		return KindNesting
	case ReasonClosed:
		return KindClosed
	case ReasonQueueCanceled:
		return KindCanceled
	}
	return KindNone
}

// refusal is a call turned away: no handler ran, no record is written.
func refusal(function string, id uuid.UUID, why Reason, err error) *Error {
	return &Error{Op: "invoke", Function: function, ID: id, Kind: why.Kind(), Reason: why, Err: err}
}

// denied is the refusal that a gate's error is. The gate chooses it if its error
// is, or wraps, an *Error with a Kind or a Reason, unless that is about a call of
// another function, which the gate made and which failed: such an error says
// nothing about this call but that it may not go on.
func (fn *function) denied(id uuid.UUID, cause error) *Error {
	var own *Error
	if !errors.As(cause, &own) || own.Kind == KindNone && own.Reason == "" || own.Function != "" && own.Function != fn.name {
		return refusal(fn.name, id, ReasonDenied, because(ErrDenied, cause))
	}
	e := &Error{Op: "invoke", Function: fn.name, ID: id, Kind: own.Kind, Reason: own.Reason, RetryAfter: own.RetryAfter, Err: own.Err}
	if e.Reason == "" {
		e.Reason = ReasonDenied
	}
	if e.Kind == KindNone || e.Kind >= kinds {
		e.Kind = own.Reason.Kind()
		switch {
		case e.Kind != KindNone && e.Kind != KindDenied: // the platform's reason says it
		case e.RetryAfter > 0:
			e.Kind = KindBusy
		default:
			e.Kind = KindDenied
		}
	}
	return e
}

// Refusal is a call that was turned away before its handler could run, as
// [WithRefusals] tells of it. Such a call has no [Execution].
type Refusal struct {
	// Invocation is the call as far as it was known: ID is zero if it was
	// refused before it had one, and for a name that is not registered there is
	// the name alone.
	Invocation

	Kind       Kind
	Reason     Reason
	RetryAfter time.Duration // when another try may succeed; 0: not known
	Queued     time.Duration // how long the call waited for a slot before
	Err        error         // what the caller is answered, an *Error
}

// refuse counts a call that is turned away, and is its answer; q and c are for
// the hooks. What comes to a function that is
// removed is counted by the router: the function's own counts may be closed
// already.
func (fn *function) refuse(q *caller, c *callContext, err *Error) error {
	if fn.gone.Load() {
		fn.router.refused.add(err.Reason)
		fn.class.Entered.Add(^uint64(0))
	} else {
		fn.refused.add(err.Reason)
	}
	fn.tellIfEnding()
	if len(fn.refusalHooks) > 0 {
		ref := Refusal{Invocation: c.invocation(), Queued: time.Duration(c.more.queued)}
		fn.router.tellRefusal(q.view(), fn.refusalHooks, ref, err)
	}
	return err
}

// turnAway refuses a call before it has entered.
func (fn *function) turnAway(ctx context.Context, why *Error) error {
	var q caller
	var c *callContext
	if len(fn.refusalHooks) > 0 {
		tenant, priority := q.meetForRefusal(ctx) // before the call is counted
		c = newFormal(fn, nil, tenant)
		c.more.priority = priority
	}
	fn.class.Entered.Add(1)
	return fn.refuse(&q, c, why)
}

// meetForRefusal is meet for a call that goes no further, and so also where ctx
// is nil.
func (q *caller) meetForRefusal(ctx context.Context) (tenant string, priority int) {
	if ctx == nil {
		ctx = context.Background()
	}
	_, tenant, priority, _ = q.meet(ctx)
	return tenant, priority
}

// refuseUnknown counts a call for which there is no function.
func (r *Router) refuseUnknown(ctx context.Context, err *Error) error {
	err.Reason = ReasonNotFound
	if errors.Is(err, ErrName) {
		err.Reason = ReasonName
	}
	r.refused.add(err.Reason)
	if hooks := r.common.refusalHooks; len(hooks) > 0 {
		var q caller
		ref := Refusal{Invocation: Invocation{Function: err.Function, Attempt: 1}}
		ref.Tenant, ref.Priority = q.meetForRefusal(ctx)
		r.tellRefusal(q.view(), hooks, ref, err)
	}
	return err
}

// tellRefusal tells the hooks of a refusal.
func (r *Router) tellRefusal(ctx context.Context, hooks []func(context.Context, Refusal), ref Refusal, err *Error) {
	if !isTenant(ref.Tenant) {
		ref.Tenant = ""
	}
	ref.Kind, ref.Reason, ref.RetryAfter, ref.Err = err.Kind, err.Reason, err.RetryAfter, err
	for _, f := range hooks {
		r.tellRefusalTo(ctx, f, ref)
	}
}

func (r *Router) tellRefusalTo(ctx context.Context, f func(context.Context, Refusal), ref Refusal) {
	defer r.guardHook("WithRefusals", ref.Function)
	f(ctx, ref)
}

// maxTenant is the length of the longest tenant name, in bytes.
const maxTenant = 256

// isTenant tells whether a tenant name can stand in records, logs and headers.
func isTenant(name string) bool {
	if len(name) > maxTenant {
		return false
	}
	for _, c := range name {
		if unicode.IsControl(c) {
			return false
		}
	}
	return true
}

// refusals counts by reason.
type refusals struct {
	mu       sync.Mutex
	total    uint64
	byReason map[Reason]uint64
}

func (c *refusals) add(why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byReason == nil {
		c.byReason = map[Reason]uint64{}
	}
	c.byReason[why]++
	c.total++
}

func (c *refusals) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func (c *refusals) snapshot() map[Reason]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byReason)
}
