package admission

// line is what a class's queue keeps of one version: the version's waiting calls, by tenant.
type line struct {
	inVersions node[*Version] // in tenantQueues.versions
	newLanes   list[*lane]    // the lanes of new tenants, see tenantQueues
	oldLanes   indexedHeap[*lane]
	nested     merged // the nested calls among them
	waiting    int
	background int32 // of these, background calls
	slots      int32 // of the version's own that background calls hold
	lenders    int   // calls of the version that can lend its slot to calls in line
	eligible   bool  // it is counted in tenantQueues.eligible
	hadRoom    bool  // when refreshLine last looked, and calls waited
}

// lane is one tenant's waiting calls of one version, ordered by priority, then by arrival.
// It exists while there is one.
type lane struct {
	tenant   *tenantQueue
	version  *Version
	waiters  indexedHeap[*waiter]
	inNew    node[*lane] // in line.newLanes
	oldIndex int         // in line.oldLanes
	next     *lane       // of the tenant
}

func (l *lane) index() *int { return &l.oldIndex }

// before compares the tenants. Two lanes of one tenant, which are of two versions, are
// compared by their calls.
func (l *lane) before(k *lane) bool {
	if l.tenant == k.tenant {
		return l.waiters.first().before(k.waiters.first())
	}
	return l.tenant.before(k.tenant)
}

// laneOf returns the tenant's lane of a version, and makes it if there is none.
func (t *tenantQueue) laneOf(v *Version) *lane {
	for l := t.lanes; l != nil; l = l.next {
		if l.version == v {
			return l
		}
	}
	l := &t.spare
	if l.version != nil {
		l = &lane{}
	}
	l.tenant, l.version, l.inNew.value, l.next = t, v, l, t.lanes
	t.lanes = l
	return l
}

// drop removes the lane, which is empty. It forgets the version, so that a version that was
// removed is not kept in memory.
func (l *lane) drop() {
	l.schedule(noTurn)
	for at := &l.tenant.lanes; ; at = &(*at).next {
		if *at == l {
			*at = l.next
			break
		}
	}
	l.version, l.next = nil, nil
}

// schedule puts the lane where a tenant with that turn has its lanes.
func (l *lane) schedule(as turn) {
	in := l.version.line
	switch as {
	case newTurn:
		if l.inNew.in == nil {
			in.newLanes.push(&l.inNew)
		}
	case oldTurn:
		l.inNew.remove()
		in.oldLanes.put(l)
	case noTurn:
		l.inNew.remove()
		in.oldLanes.remove(l)
	}
	l.version.updateEligible()
}

// lineUp returns the version's line, and makes it if there is none.
func (v *Version) lineUp() *line {
	if v.line == nil {
		v.line = &line{}
		v.line.inVersions.value = v
	}
	return v.line
}

// refreshLine is the version's own part of refresh. The slow bit is set before the counter
// is read, see Class.refresh.
func (v *Version) refreshLine() {
	l := v.line
	if l == nil || !v.isLimited() {
		return
	}
	v.slots.setFlag(slowBit, l.waiting > 0)
	room := l.waiting > 0 && v.slots.hasRoom()
	if room && !l.hadRoom && l.nested.len > 0 {
		v.class.noteRoom()
	}
	l.hadRoom = room
	v.updateEligible()
}

// updateEligible counts the versions that have room, and a lane with a turn.
func (v *Version) updateEligible() {
	l, q := v.line, v.class.queue
	is := (l.newLanes.len > 0 || l.oldLanes.len() > 0) && v.hasRoom()
	switch {
	case is && !l.eligible:
		q.eligible++
	case l.eligible && !is:
		q.eligible--
	}
	l.eligible = is
}

// mayServe reports whether the version has a free slot, or a call that could lend one.
func (v *Version) mayServe() bool { return v.hasRoom() || v.line.lenders > 0 }
