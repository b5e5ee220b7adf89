package faasnats

import (
	"context"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// room knows how full the stream is: from the server now and then, and between that from
// what was put. A full server refuses settlements too, so Put stops before. What each tenant
// has waiting it knows of what this process has accepted alone. Its lock is its own.
type room struct {
	most int64 // bytes; 0: no bound

	mu    sync.Mutex // guards what follows
	used  int64
	asked time.Time
	mine  map[string]int64 // by tenant: what this process has accepted, and not settled
	total int64            // of mine
}

// freshRoom is how old the server's answer may be while the stream is full.
const freshRoom = time.Second

// take notes bytes of a tenant that are to be put. It is false if there is no room, and then
// asked says whether the server may be asked again.
func (r *room) take(tenant string, n int64) (ok, asked bool) {
	if r.most == 0 {
		return true, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fits(tenant, n) {
		r.used += n
		r.mine[tenant] += n
		r.total += n
		return true, true
	}
	if time.Since(r.asked) < freshRoom {
		return false, true
	}
	r.asked = time.Now()
	return false, false
}

// fits reports whether there is room for n more bytes of a tenant. A tenth of the store stays
// free. While this process knows of unsettled jobs of other tenants, one tenant has at most half
// of the rest. r.mu is held.
func (r *room) fits(tenant string, n int64) bool {
	most := r.most / 10 * 9
	return r.used+n <= most && (r.mine[tenant]+n <= most/2 || r.mine[tenant] == r.total)
}

// settle notes that bytes of a tenant wait no longer.
func (r *room) settle(tenant string, n int64) {
	if r.most == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reduce(tenant, n)
}

func (r *room) reduce(tenant string, n int64) {
	n = min(n, r.mine[tenant])
	r.total -= n
	if r.mine[tenant] -= n; r.mine[tenant] <= 0 {
		delete(r.mine, tenant)
	}
}

// set notes what the server says.
func (r *room) set(used uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.asked = int64(used), time.Now()
}

// share corrects the tenants' counts before one of them is refused. If this process takes more
// to wait than is stored, others have settled the rest: of which tenants is not known, so each
// has its part of it.
func (r *room) share() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used >= r.total {
		return
	}
	part := float64(r.used) / float64(r.total)
	for tenant, n := range r.mine {
		r.reduce(tenant, n-int64(part*float64(n)))
	}
}

// makeRoom returns errFull if a job has no room.
func (q *Queue) makeRoom(ctx context.Context, rec *faas.JobRecord) error {
	size := int64(sizeOf(rec))
	ok, asked := q.room.take(rec.Tenant, size)
	if ok {
		return nil
	}
	if asked {
		return errFull
	}
	if err := q.lookAtRoom(ctx); err != nil {
		return err
	}
	q.room.share()
	if ok, _ = q.room.take(rec.Tenant, size); !ok {
		return errFull
	}
	return nil
}

// lookAtRoom asks the server how much is stored.
func (q *Queue) lookAtRoom(ctx context.Context) error {
	if q.room.most == 0 {
		return nil
	}
	records, err := q.stream.Info(ctx)
	if err != nil {
		return err
	}
	objects, err := q.objects.stream.Info(ctx)
	if err != nil {
		return err
	}
	q.room.set(records.State.Bytes + objects.State.Bytes)
	return nil
}
