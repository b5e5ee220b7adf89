package admission

// Background calls are calls for which no caller waits, and the nested calls below them. All
// other calls are live. This file makes sure that no live call is refused because of
// background calls. These have no place in the bounded queue, and while they hold slots the
// queue takes more live calls: as many more as could run if background calls held no slots.
// So a full queue refuses a live call only if it would refuse the call without background
// calls too.
//
// For example, a class with 2 slots and a queue of 0 runs one live and one background call.
// Another live call waits for the slot of the background call, and one more is refused.

// servedWithoutJobs returns how many waiting live calls would have a slot if no background call
// had one. It counts n more calls of version v and of the given tenant as waiting.
// The number is exact if the class has no limit for tenants, or has no versions with limits. If
// it has both, the number is an upper bound. Waiters of other classes are left out, because it
// is not known which of them would have had the slots.
func (c *Class) servedWithoutJobs(v *Version, tenant string, n int) int {
	g := c.group
	if g.background == 0 && c.background == 0 {
		return 0
	}
	served := min(c.slots.limit()-(c.slots.used()-int(c.background)), g.slots.limit()-(g.slots.used()-g.background))
	return max(0, min(served, c.queue.servedOfVersions(v, n), c.queue.servedOfTenants(tenant, n)))
}

// servedOfVersions is the part of servedWithoutJobs that depends on the versions' own limits.
func (q *tenantQueues) servedOfVersions(v *Version, n int) (served int) {
	if v.line == nil || v.line.inVersions.in == nil {
		served = min(n, v.roomWithoutJobs())
	}
	for u := range q.versions.all() {
		waiting := u.line.waiting - int(u.line.background)
		if u == v {
			waiting += n
		}
		served += max(0, min(waiting, u.roomWithoutJobs()))
	}
	return served
}

// servedOfTenants is the part of servedWithoutJobs that depends on the limit for tenants.
func (q *tenantQueues) servedOfTenants(tenant string, n int) (served int) {
	if q.limit == 0 {
		return Unlimited
	}
	if q.byTenant[tenant] == nil {
		served = n
	}
	for name, t := range q.byTenant {
		waiting := t.victims.len()
		if name == tenant {
			waiting += n
		}
		served += max(0, min(waiting, q.limit-(t.running-t.background)))
	}
	return served
}

// roomWithoutJobs returns how many of the version's own slots would be free if no background
// call had one.
func (v *Version) roomWithoutJobs() int {
	if !v.isLimited() {
		return Unlimited
	}
	n := v.slots.limit() - v.slots.used()
	if v.line != nil {
		n += int(v.line.slots)
	}
	return n
}

// runsBehind makes h, which has not taken a slot yet, a background call. h then ends under
// g.mu.
func (h *Hold) runsBehind() {
	h.background = true
	h.phase.Store(tracked)
}

// countSlots adds n, which is 1 or -1, to the counts of slots that background calls hold. h has
// taken those slots from the pools, or gives them back.
func (h *Hold) countSlots(which uint8, n int32) {
	if !h.background {
		return
	}
	if which&ofVersion != 0 {
		h.version.lineUp().slots += n
	}
	if which&ofClass != 0 {
		h.class().background += n
	}
	if which&ofGroup != 0 {
		h.class().group.background += int(n)
	}
}
