// Package instances keeps the instances of one function: what an init func has
// opened (connections, models, caches) and calls run on.
//
// A [Set] has some number of instances, and each has [Config].Seats seats. A call
// acquires a seat before its handler runs and releases it afterwards:
//
//	grant, waited := set.Acquire(ctx.Done())
//	if grant.Err != nil {
//		return grant.Err
//	}
//	defer set.Release(grant.Instance, false, now())
//	handler := grant.Instance.Handler()
//
// A call takes a seat of the instance that was used last, so that the others grow
// cold and can be closed. When no instance has a free seat, the call waits for the
// first seat that comes free, and the set starts one more instance for it. It does not
// if enough are starting for all calls that wait, if there are as many as [Config].Limit
// allows, or if an init has just failed (see [Set.InitBackoff]). For example, with two
// seats each, ten calls that come together start five instances.
//
// The states of an instance:
//
//	         init returned        Release(spent)          its last call ended
//	starting ────────────► ready ───────────────► draining ──────────────────► dropped
//	    │                    └───── idle, and more than the target ───────────────▲
//	    └── init failed, took longer than InitTimeout, or is not needed any more ─┘
//
// An instance that was ready is closed exactly once, when it is dropped: no call
// has a seat in it then. If an init that was given up opens an instance all the
// same, that is closed at once.
//
// The package knows nothing of routers, calls or slots. Its errors are sentinels of
// its own, which the caller translates.
package instances
