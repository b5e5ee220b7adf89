package faasnats

import (
	"context"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// room counts how full the stream is. Now and then the number comes from the server; between
// that, room adds what this process puts. A full server refuses settlements too, so Put is
// refused before the store is full. The bytes of each tenant are those of the jobs that this
// process has accepted. room has a lock of its own.
type room struct {
	most int64 // nine tenths of these bytes may be taken; 0: no bound

	mu    sync.Mutex       // guards the fields below
	used  int64            // bytes in the store
	asked time.Time        // when the server was last asked
	mine  map[string]int64 // bytes by tenant: what this process has accepted and does not know to be settled
	total int64            // the sum of mine
}

// freshRoom is for how long the server's answer is not asked for again when the stream is full.
const freshRoom = time.Second

// take adds n bytes of a tenant if there is room; ok reports whether there is. If there is none,
// the result asked reports whether the server was asked within freshRoom. If it was not, the
// caller asks the server and calls take again.
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
// free. While this process knows of unsettled jobs of other tenants, one tenant may have at
// most half of the other nine tenths. r.mu is held.
func (r *room) fits(tenant string, n int64) bool {
	most := r.most / 10 * 9
	return r.used+n <= most && (r.mine[tenant]+n <= most/2 || r.mine[tenant] == r.total)
}

// settle notes that n bytes of a tenant have been settled.
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

// set stores the server's answer.
func (r *room) set(used uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.asked = int64(used), time.Now()
}

// share corrects the tenants' counts before a job is refused. If they add up to more than is
// stored, other processes have settled the difference. It is not known of which tenants, so
// every count is reduced by the same factor.
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

// makeRoom returns errFull if there is no room for a job.
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
