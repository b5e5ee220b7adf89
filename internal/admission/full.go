package admission

// mayNotWait decides whether a call that has found no slot may wait. It returns ErrFull if the
// call must be refused. If the call may wait only in the place of another waiter, it returns that
// waiter as the victim: keepOrRefuse displaces the victim if the queue is still full then. If
// there is room for the call, it returns nil and nil. h.parent must be set before.
func (v *Version) mayNotWait(h *Hold, r Request) (victim *waiter, why error) {
	q := v.class.queue
	switch {
	case !h.background:
		if !v.class.isFull(v, r.Tenant, 1) {
			return nil, nil
		}
		if victim = q.victim(r.Tenant, r.Priority); victim == nil {
			why = ErrFull
		}
	case h.parent != nil && int(q.ofHandlers) >= v.class.bound:
		why = ErrFull
	}
	return victim, why
}

// isFull reports whether too many live calls, which are those that are not background calls,
// would wait if n more of this version and tenant did. n is 0 or 1.
func (c *Class) isFull(v *Version, tenant string, n int) bool {
	over := int(c.queue.bounded) + n - c.bound
	return over > 0 && over > c.servedWithoutJobs(v, tenant, n)
}
