// Package instances keeps the instances of one function. An instance holds what an init func
// has opened (connections, models, caches), and calls run on it.
//
// A [Set] has some number of instances, and each has [Config].Seats seats. A seat is the
// place of one call in an instance. A call acquires a seat before its handler runs and
// releases it afterwards:
//
//	grant, waited := set.Acquire(ctx.Done())
//	if grant.Err != nil {
//		return grant.Err
//	}
//	defer set.Release(grant.Instance, false, now())
//	handler := grant.Instance.Handler()
//
// A call gets a seat of the instance that was used last, so that the other instances stay
// idle and can be closed. If no instance has a free seat, the call waits for the first
// seat that becomes free, and the set starts one more instance for it. There are three cases in
// which it starts none: enough instances are starting for all calls that wait, there are as many
// as [Config].Limit allows, or an init has just failed (see [Set.InitBackoff]). For example,
// with two seats each, ten calls that come together start five instances.
//
// The states of an instance:
//
//	         init returned        Release(spent)          its last call ended
//	starting ────────────► ready ───────────────► draining ──────────────────► dropped
//	    │                    └───── idle, and more than the target ───────────────▲
//	    └── init failed, took longer than InitTimeout, or is no longer needed ────┘
//
// An instance that was ready is closed exactly once, when it is dropped; no call has a seat
// in it at that time. If an init was given up but opens an instance nevertheless, that
// instance is closed at once.
//
// The package does not depend on routers, calls or slots. Its errors are sentinels of
// its own, which the caller translates.
package instances
