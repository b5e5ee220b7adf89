package admission

import "iter"

// lanes is a class's queue: a lane for each tenant that has a call waiting.
// The lanes take turns, one call each, and within a lane the order is that of
// arrival. A lane that is new, and has but one call, is served before the old
// ones, which every other turn is for: so a tenant that seldom waits, beside one
// that floods, waits for one call at most, and nobody waits for ever. Once
// served, a lane is old until a turn of its own finds it empty. (FQ-CoDel
// treats new flows so, RFC 8290, section 4.2, but for the every other turn.)
//
// All is gone when nobody waits.
type lanes struct {
	fresh    list[*lane]
	old      list[*lane] // some may be empty, until their turn comes
	newcomer bool        // the last turn was a fresh one's
	byTenant map[string]*lane
	len      int
}

type lane struct {
	tenant  string
	waiters list[*waiter]
	turn    node[*lane]
}

func (q *lanes) push(w *waiter, tenant string) {
	l := q.byTenant[tenant]
	if l == nil {
		l = &lane{tenant: tenant}
		l.turn.value = l
		q.fresh.push(&l.turn)
		if q.byTenant == nil {
			q.byTenant = map[string]*lane{}
		}
		q.byTenant[tenant] = l
	}
	w.lane = l
	l.waiters.push(&w.line)
	q.len++
	if l.waiters.len > 1 && l.turn.in == &q.fresh {
		q.age(l)
	}
}

// head is whose turn it is; len is not 0.
func (q *lanes) head() *waiter {
	for q.old.len > 0 && q.old.head.value.waiters.len == 0 {
		q.drop(q.old.head.value)
	}
	turns := &q.old
	if q.fresh.len > 0 && (q.old.len == 0 || !q.newcomer) {
		turns = &q.fresh
	}
	return turns.head.value.waiters.head.value
}

// remove takes w out. One that was served has used up its tenant's turn.
func (q *lanes) remove(w *waiter, served bool) {
	l := w.lane
	w.line.leave()
	q.len--
	switch {
	case q.len == 0:
		*q = lanes{}
	case served:
		q.newcomer = l.turn.in == &q.fresh
		q.age(l)
	case l.waiters.len == 0 && l.turn.in == &q.fresh: // old ones wait for their turn
		q.drop(l)
	}
}

// age puts a lane behind the old ones.
func (q *lanes) age(l *lane) {
	l.turn.leave()
	q.old.push(&l.turn)
}

func (q *lanes) drop(l *lane) {
	l.turn.leave()
	delete(q.byTenant, l.tenant)
}

// all yields the waiters; the one that is yielded may leave unserved, others
// must stay.
func (q *lanes) all() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		for _, turns := range []*list[*lane]{&q.fresh, &q.old} {
			for l := range turns.all() {
				for w := range l.waiters.all() {
					if !yield(w) {
						return
					}
				}
			}
		}
	}
}
