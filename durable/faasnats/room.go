package faasnats

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// room counts how full the store is. The count is what the server has last answered, plus each
// write of this process that the answer may lack. A write is counted before it is sent. It stays
// counted until an answer whose request was sent after the write's acknowledgment had come. So
// the count is never too low because of this process, whatever the timing: it lacks only what
// other processes have written since the last answer.
//
// A full server refuses settlements too, so Put is refused before the store is full. The bytes of
// each tenant are those of the jobs that this process has accepted.
type room struct {
	most   int64         // nine tenths of these bytes may be taken; 0: no bound, and nothing is counted
	asking chan struct{} // has a value while a goroutine asks the server; a lock, for which a caller waits no longer than its context

	mu      sync.Mutex       // guards the fields below
	used    int64            // bytes in the store: the last answer, plus the writes that it may lack
	excess  int64            // used may be too high by these bytes: writes that the answer may have too, and writes that replaced older messages
	open    int64            // part of used: writes that are under way
	unsure  int64            // part of used: writes that have failed, and that the server may have stored, or may store yet
	written int64            // bytes of all acknowledged writes of this process, ever
	asked   time.Time        // when the request for the last answer was sent
	mine    map[string]int64 // bytes by tenant: what this process has accepted and does not know to be settled
	total   int64            // the sum of mine
}

// freshRoom is for how long the server's answer is not asked for again when the store is full.
const freshRoom = time.Second

// newRoom makes the room of two streams, from what was stored in them when they were opened.
func newRoom(most int64, records, objects jetstream.Stream) *room {
	used := int64(records.CachedInfo().State.Bytes + objects.CachedInfo().State.Bytes)
	return &room{most: most, used: used, asking: make(chan struct{}, 1), mine: map[string]int64{}}
}

// take counts the n bytes that Put is about to write for a job, if there is room for them; ok
// reports whether there is. The job counts size bytes for its tenant. If there is no room, the
// result sure reports whether the count is good enough to refuse the job. If it is not, the
// caller asks the server and calls take again. After a take that has counted, the caller must
// call end.
func (r *room) take(tenant string, size, n int64) (ok, sure bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fits(tenant, size, r.used+n) {
		return false, time.Since(r.asked) < freshRoom && !r.fits(tenant, size, r.used-r.excess+n)
	}
	r.used += n
	r.open += n
	if size > 0 {
		r.mine[tenant] += size
		r.total += size
	}
	return true, true
}

// fits reports whether the store may have used bytes, among them a new job of a tenant with size
// bytes. A tenth of the store stays free. While this process knows of unsettled jobs of other
// tenants, one tenant may have at most half of the other nine tenths. r.mu is held.
func (r *room) fits(tenant string, size, used int64) bool {
	most := r.most / 10 * 9
	return used <= most && (r.mine[tenant]+size <= most/2 || r.mine[tenant] == r.total)
}

// begin counts n bytes of a write that is not refused for want of room, for example of a
// settlement. The write may replace an older message, whose size is not known here. After the
// write, the caller must call end.
func (r *room) begin(n int64) {
	if r.most == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used += n
	r.open += n
	r.excess += n
}

// outcome is how a write has ended.
type outcome int

const (
	isStored  outcome = iota
	isRefused         // the server has not stored it, and will not
	isUnsure          // the server may have stored it, in whole or in part, or may store it yet
)

// outcomeOf returns the outcome of a message that was published with the result err.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return isStored
	case errors.Is(err, errFence), errors.Is(err, errFull):
		return isRefused
	}
	return isUnsure
}

// end notes that a write of n bytes is over.
func (r *room) end(n int64, how outcome) {
	if r.most == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open -= n
	switch how {
	case isStored:
		r.written += n
	case isRefused:
		r.used -= n
	case isUnsure:
		r.unsure += n
	}
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

// known is what the server's answer is certain to have: the writes whose outcome was known, or
// will not change any more, before the request for the answer is sent.
type known struct {
	at              time.Time
	written, unsure int64
}

func (r *room) known() known {
	r.mu.Lock()
	defer r.mu.Unlock()
	return known{time.Now(), r.written, r.unsure}
}

// set stores the server's answer, which is certain to have what k says. A write that is under way,
// or was when k was taken, is counted beside the answer. Only one goroutine at a time asks, so
// the writes that k says are unsure are still counted.
func (r *room) set(answer uint64, k known) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsure -= k.unsure
	r.excess = r.open + r.unsure + r.written - k.written
	r.used, r.asked = int64(answer)+r.excess, k.at
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

// storedSize returns how many bytes a message takes in the store, or a little more: the server
// adds a header to some messages.
func storedSize(msg *nats.Msg) int64 {
	n := len(msg.Subject) + len(msg.Data) + 64
	for name, values := range msg.Header {
		for _, value := range values {
			n += len(name) + len(value) + len(": \r\n")
		}
	}
	return int64(n)
}
