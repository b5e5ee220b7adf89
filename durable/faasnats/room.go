package faasnats

import (
	"context"
	"sync"
	"time"
)

// room knows how full the stream is: from the server now and then, and between that from
// what was put. A full server refuses settlements too, so Put stops before. Its lock is
// its own.
type room struct {
	most int64 // bytes; 0: no bound

	mu    sync.Mutex // guards what follows
	used  int64
	asked time.Time
}

// freshRoom is how old the server's answer may be while the stream is full.
const freshRoom = time.Second

// take notes bytes that are to be put. It is false if there is no room, and then asked
// says whether the server may be asked again.
func (r *room) take(n int) (ok, asked bool) {
	if r.most == 0 {
		return true, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used+int64(n) <= r.most/10*9 {
		r.used += int64(n)
		return true, true
	}
	if time.Since(r.asked) < freshRoom {
		return false, true
	}
	r.asked = time.Now()
	return false, false
}

func (r *room) set(used uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.asked = int64(used), time.Now()
}

// makeRoom returns errFull if a job of that size has no room.
func (q *Queue) makeRoom(ctx context.Context, size int) error {
	ok, asked := q.room.take(size)
	if ok {
		return nil
	}
	if asked {
		return errFull
	}
	if err := q.lookAtRoom(ctx); err != nil {
		return err
	}
	if ok, _ = q.room.take(size); !ok {
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
