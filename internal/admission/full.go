package admission

// mayNotWait is for a call that has found no slot. It returns why the call may not wait; or the
// waiter to displace for it, which keepOrRefuse then does if the queue is still full; or nil and
// nil if it may wait. h.parent must be set before.
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

// isFull reports whether n more live calls, n ≤ 1, of a version and a tenant are more than the
// queue takes.
func (c *Class) isFull(v *Version, tenant string, n int) bool {
	over := int(c.queue.bounded) + n - c.bound
	return over > 0 && over > c.servedWithoutJobs(v, tenant, n)
}
