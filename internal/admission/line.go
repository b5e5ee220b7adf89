package admission

// line is the part of a class's queue that belongs to one version: the version's waiting
// calls, in one lane for each tenant.
type line struct {
	inVersions node[*Version] // in tenantQueues.versions
	newLanes   list[*lane]    // the lanes of tenants with a new queue, see tenantQueues
	oldLanes   indexedHeap[*lane]
	nested     merged // the nested calls among the waiting ones
	waiting    int
	background int32 // how many of the waiting calls are background calls
	slots      int32 // slots of the version that background calls hold
	lenders    int   // calls of the version that can lend their slot of it to a call of this line
	eligible   bool  // the version is counted in tenantQueues.eligible
	hadRoom    bool  // at the last refreshLine, calls waited and the version had a free slot
}

// lane holds one tenant's waiting calls of one version, ordered by priority, then by arrival.
// It exists while it holds a call.
type lane struct {
	tenant   *tenantQueue
	version  *Version
	waiters  indexedHeap[*waiter]
	inNew    node[*lane] // in line.newLanes
	oldIndex int         // in line.oldLanes
	next     *lane       // the tenant's next lane
}

func (l *lane) index() *int { return &l.oldIndex }

// before orders lanes by their tenants. Two lanes of one tenant hold calls of two versions,
// and are ordered by their first calls.
func (l *lane) before(k *lane) bool {
	if l.tenant == k.tenant {
		return l.waiters.first().before(k.waiters.first())
	}
	return l.tenant.before(k.tenant)
}

// laneOf returns the tenant's lane of a version. It makes the lane if there is none.
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

// drop removes the lane, which must be empty. It clears l.version, so that a version that was
// removed from its class is not kept in memory.
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

// schedule moves the lane into the list that belongs to the turn as of its tenant: newLanes for
// newTurn, oldLanes for oldTurn. For noTurn it takes the lane out of both.
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

// lineUp returns the version's line. It makes the line if there is none.
func (v *Version) lineUp() *line {
	if v.line == nil {
		v.line = &line{}
		v.line.inVersions.value = v
	}
	return v.line
}

// refreshLine brings the version's slow bit (see counter) and the fields hadRoom and eligible of
// its line up to date. As in Class.refresh, which says why, the slow bit is set before the
// counter is read.
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

// updateEligible is called after a change of v, and updates tenantQueues.eligible: the number of
// versions that have both room and a lane with a turn.
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

// mayServe reports whether the version has a free slot, or a call that can lend its slot.
func (v *Version) mayServe() bool { return v.hasRoom() || v.line.lenders > 0 }
