package faastest

import (
	"bytes"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// full returns a record in which every field is set that a queue stores.
func (c *queueCheck) full() faas.JobRecord {
	rec := c.job("resize", "acme")
	rec.Name, rec.Priority, rec.State = "resize:live", -3, faas.JobScheduled
	rec.Due = rec.Accepted.Add(time.Hour)
	rec.NotBefore = rec.Due.Add(time.Minute)
	rec.MaxAge, rec.OrderKey, rec.UniqueKey, rec.UniqueFor = 2*time.Hour, "album-1", "photo-7", time.Hour
	rec.Payload, rec.Labels = []byte{0, 0xff, 'x'}, map[string]string{"team": "img", "empty": ""}
	rec.Origin = &faas.JobOrigin{
		Invocation: c.id(), Principal: "upload", Depth: 2, Trigger: "http", Door: "lambda", RequestID: "r-1",
		Timeout: time.Second, Key: "k", Carried: map[string][]byte{"trace": {1, 2}}, ReplayOf: c.id(), Job: c.id(), Delivers: faas.DeliversFailure,
	}
	rec.Attempts, rec.Deliveries, rec.Refusals, rec.Crashes, rec.Used, rec.Items = 2, 5, 1, 1, 1234567, 3
	rec.Last = &faas.JobEnd{
		At: rec.Accepted, Invocation: c.id(), Version: "7", Outcome: faas.Failed, Error: "boom", ErrorType: "errorString", Duration: time.Millisecond,
	}
	return rec
}

// plain returns a record as text that can be compared: without the fields that the queue
// sets, and with equal times for the same moment.
func plain(tb testing.TB, rec faas.JobRecord) string {
	tb.Helper()
	for _, at := range []*time.Time{&rec.Accepted, &rec.Due, &rec.NotBefore, &rec.Settled, &rec.KeepUntil} {
		if !at.IsZero() {
			*at = at.Round(0).UTC()
		}
	}
	if rec.NotBefore.Equal(rec.Due) {
		rec.NotBefore = time.Time{} // a queue may leave it out when it equals Due
	}
	if rec.Last != nil {
		last := *rec.Last
		last.At = last.At.Round(0).UTC()
		rec.Last = &last
	}
	data, err := json.Marshal(rec)
	if err != nil {
		tb.Fatalf("a record does not encode: %v", err)
	}
	return string(data)
}

func (c *queueCheck) same(what string, got, want faas.JobRecord) {
	c.Helper()
	if got, want := plain(c.TB, got), plain(c.TB, want); got != want {
		c.Errorf("%s: the record is\n%s, want\n%s", what, got, want)
	}
}

func (c *queueCheck) records() {
	c.Helper()
	want := c.full()
	c.same("Put", c.put(want), want)
	c.same("Get", c.get(want.ID), want)

	bare := faas.JobRecord{ID: c.id(), Function: "f", Accepted: time.Now(), Due: time.Now().Add(time.Minute)}
	c.put(bare)
	c.same("a bare record", c.get(bare.ID), bare)

	var later faas.JobRecord // a record of a later release
	encoded := bytes.Replace([]byte(plain(c.TB, c.full())), []byte(`{`), []byte(`{"fromTheFuture":[1,{"a":null}],`), 1)
	if err := json.Unmarshal(encoded, &later); err != nil {
		c.Fatal(err)
	}
	later.ID, later.UniqueKey = c.id(), ""
	c.put(later)
	c.same("a record with a field that is not known", c.get(later.ID), later)

	time.Sleep(2 * time.Hour)
	l := c.lease("resize")
	next := over(want, faas.JobSucceeded)
	next.Condition, next.Output, next.Attempts, next.Parts = faas.ConditionSuccess, []byte("out"), 3, []uuid.UUID{c.id(), c.id()}
	next.Payload, next.Items = []byte("what has failed"), 2
	if l.Record.ID == later.ID {
		next.ID = later.ID
	}
	c.settle(l, next)
	c.same("a settled record", c.get(next.ID), next)
	_, err := c.q.Get(c.ctx(), c.id())
	c.wantErr("Get of a job that never was", err, faas.ErrNotFound)
}

func (c *queueCheck) ids() {
	c.Helper()
	first := c.put(c.job("f", ""))
	twin := c.job("g", "other")
	twin.ID = first.ID
	for range 2 {
		got, err := c.q.Put(c.ctx(), twin)
		c.wantErr("Put with an ID that is taken", err, faas.ErrDuplicate)
		if got.ID != first.ID || got.Function != "f" {
			c.Errorf("Put answered the job %v of %q, want the one that is there", got.ID, got.Function)
		}
		if l, err := c.tryLease(lateness, "f", "g"); err == nil { // only in the first round
			c.finish(l)
		}
	}
	c.nothing("its ID was taken by another", "f", "g")
	c.newIDs()
}

// newIDs puts a job with NewID set, which says that the ID was made for this job alone. It checks
// that the queue refuses a second Put of that ID nevertheless.
func (c *queueCheck) newIDs() {
	c.Helper()
	rec, twin := c.job("f", "new"), c.job("g", "other")
	rec.NewID, twin.ID = true, rec.ID
	if first := c.put(rec); first.NewID {
		c.Errorf("the answer of Put has NewID set")
	}
	for _, again := range []faas.JobRecord{rec, twin} {
		_, err := c.q.Put(c.ctx(), again)
		c.wantErr("Put with an ID that was new and is taken", err, faas.ErrDuplicate)
	}
	c.finish(c.lease("f"))
	_, err := c.q.Put(c.ctx(), rec)
	c.wantErr("Put of the new ID of a job that is settled", err, faas.ErrDuplicate)
	if c.get(rec.ID).NewID {
		c.Errorf("the record of a job has NewID set")
	}
	c.nothing("the job is settled", "f", "g")
}

func (c *queueCheck) uniqueKeys() {
	c.Helper()
	first := c.job("f", "t")
	first.UniqueKey, first.UniqueFor = "order-1", time.Hour
	c.put(first)
	second := func(function, tenant, key string) (faas.JobRecord, error) {
		rec := c.job(function, tenant)
		rec.UniqueKey, rec.UniqueFor = key, time.Hour
		return c.q.Put(c.ctx(), rec)
	}
	refused := func(when string) {
		c.Helper()
		got, err := second("f", "t", "order-1")
		c.wantErr("the same key "+when, err, faas.ErrDuplicate)
		if got.ID != first.ID {
			c.Errorf("the same key %s: the answer is the job %v, want %v", when, got.ID, first.ID)
		}
	}
	refused("while its job waits")
	for _, o := range [][3]string{{"g", "t", "order-1"}, {"f", "u", "order-1"}, {"f", "t", "order-2"}, {"f", "", "order-1"}} {
		if _, err := second(o[0], o[1], o[2]); err != nil {
			c.Errorf("the key %q of function %q and tenant %q: %v; another one is taken", o[2], o[0], o[1], err)
		}
	}
	for { // the jobs of the other keys are leased too, in any order
		l := c.lease("f")
		c.finish(l)
		if l.Record.ID == first.ID {
			break
		}
	}
	refused("after its job is done")
	if err := c.q.Swap(c.ctx(), c.get(first.ID), faas.JobRecord{}); err != nil {
		c.Fatalf("Swap to remove a settled job: %v", err)
	}
	refused("after its job was removed")
	time.Sleep(time.Hour - time.Second)
	refused("a second before its window ends")
	time.Sleep(time.Second + lateness)
	if _, err := second("f", "t", "order-1"); err != nil {
		c.Errorf("the same key after its window: %v", err)
	}
}

func (c *queueCheck) due() {
	c.Helper()
	start := time.Now()
	later, soon, now := c.job("f", ""), c.job("f", ""), c.job("f", "")
	later.State, later.Due = faas.JobScheduled, start.Add(8*time.Hour)
	soon.State, soon.Due = faas.JobScheduled, start.Add(time.Hour)
	c.put(later)
	c.put(soon)
	c.put(now)
	c.wantState(later.ID, faas.JobScheduled)
	c.wantState(now.ID, faas.JobReady)
	c.nothing("its function is not hosted", "e", "g")
	c.finish(c.leaseOf(now.ID, "f"))
	for _, want := range []faas.JobRecord{soon, later} {
		l, err := c.q.Lease(c.ctx(), faas.LeaseRequest{Functions: []string{"e", "f", "g"}, Term: leaseTerm})
		if err != nil || l.Record.ID != want.ID {
			c.Fatalf("Lease gave the job %v (%v), want %v", l.Record.ID, err, want.ID)
		}
		if late := time.Since(want.Due); late < 0 || late > lateness {
			c.Errorf("a job was leased %v after it was due", late)
		}
		c.finish(l)
	}
	c.nothing("all are done", "f")

	overdue := c.job("f", "")
	overdue.State, overdue.Due = faas.JobScheduled, time.Now().Add(time.Hour)
	c.put(overdue)
	time.Sleep(time.Hour + lateness)
	c.wantState(overdue.ID, faas.JobReady) // although no Lease was called since it became due
	c.settle(c.lease("f"), again(faas.JobLease{Record: overdue}, time.Now().Add(time.Minute)))
	c.wantState(overdue.ID, faas.JobScheduled)
	c.nothing("it is to run again in a minute", "f")
	time.Sleep(time.Minute)
	if l := c.leaseOf(overdue.ID, "f"); l.Record.Deliveries != 1 {
		c.Errorf("the record that was settled has %d deliveries, and the leased one %d", 1, l.Record.Deliveries)
	}
}

func (c *queueCheck) lanes() {
	c.Helper()
	for range 3 {
		c.put(c.job("f", "a"))
	}
	c.put(c.job("f", "b"))
	a, b := c.lease("f"), c.lease("f")
	if a.Record.Tenant == "b" {
		a, b = b, a
	}
	if a.Record.Tenant != "a" || b.Record.Tenant != "b" {
		c.Fatalf("Lease gave two jobs of %q, none of which has begun", a.Record.Tenant)
	}
	c.nothing("each tenant has one that has not begun", "f")
	c.put(c.job("f", "b"))
	c.nothing("its tenant has one that has not begun", "f")
	c.begin(a)
	c.begin(a) // a second Begin returns no error
	second := c.lease("f")
	if second.Record.Tenant != "a" {
		c.Errorf("after Begin of a job of %q Lease gave one of %q", "a", second.Record.Tenant)
	}
	woken := make(chan faas.JobLease)
	go func() {
		l, _ := c.tryLease(time.Hour, "f")
		woken <- l
	}()
	synctest.Wait()
	c.settle(second, again(second, time.Now().Add(24*time.Hour))) // it had not begun
	l := <-woken
	if l.Record.Tenant != "a" {
		c.Errorf("after Settle of a job of %q a Lease that waited got one of %q", "a", l.Record.Tenant)
	}
	c.finish(l)
	c.finish(a)
	c.finish(b)
	c.finish(c.lease("f"))
}

func (c *queueCheck) turns() {
	c.Helper()
	for range 50 {
		c.put(c.job("f", "many"))
		c.put(c.job("g", "many"))
	}
	c.put(c.job("f", "one"))
	c.put(c.job("h", "one"))
	seen := map[string]int{}
	for i := range 8 {
		l := c.lease("f", "g", "h")
		c.begin(l)
		seen[l.Record.Function+" of "+l.Record.Tenant] = i + 1
		c.finish(l)
	}
	for _, lane := range []string{"f of one", "h of one", "g of many", "f of many"} {
		if seen[lane] == 0 {
			c.Errorf("of 8 leases none was of the function %s; there were those: %v", lane, seen)
		}
	}
}

func (c *queueCheck) priorities() {
	c.Helper()
	var want []uuid.UUID
	put := func(p int) uuid.UUID {
		rec := c.job("f", "t")
		rec.Priority = p
		c.put(rec)
		time.Sleep(time.Second)
		return rec.ID
	}
	low, mid1, top, mid2 := put(-1), put(0), put(5), put(0)
	want = append(want, top, mid1, mid2, low)
	for i, id := range want {
		l := c.lease("f")
		if l.Record.ID != id {
			c.Errorf("the lease number %d is a job with priority %d that was accepted at %v", i+1, l.Record.Priority, l.Record.Accepted)
		}
		c.finish(l)
	}
}

func (c *queueCheck) orderKeys() {
	c.Helper()
	keyed := func(key, tenant string) faas.JobRecord {
		rec := c.job("f", tenant)
		rec.OrderKey = key
		time.Sleep(time.Second)
		return c.put(rec)
	}
	first, second, third := keyed("k", "t"), keyed("k", "t"), keyed("k", "t")
	other := keyed("k", "u") // the same key of another tenant is another key
	l := c.leaseOf(first.ID, "f")
	c.begin(l)
	o := c.leaseOf(other.ID, "f")
	c.begin(o)
	if holder := c.get(second.ID).KeyHolder; holder != first.ID {
		c.Errorf("the job behind another has the key holder %v, want %v", holder, first.ID)
	}
	c.nothing("another holds its order key", "f")
	c.finish(o) // before its lease runs out
	c.settle(l, again(l, time.Now().Add(time.Hour)))
	c.nothing("the holder of its order key waits for another attempt", "f")
	free := keyed("", "t")
	c.finish(c.leaseOf(free.ID, "f"))
	time.Sleep(time.Hour)
	l = c.leaseOf(first.ID, "f")
	parked := again(l, time.Now().Add(time.Hour))
	parked.State = faas.JobParked
	c.settle(l, parked)
	c.nothing("the holder of its order key is parked", "f")
	if err := c.q.Swap(c.ctx(), c.get(first.ID), over(c.get(first.ID), faas.JobCanceled)); err != nil {
		c.Fatalf("Swap: %v", err)
	}
	if err := c.q.Swap(c.ctx(), c.get(third.ID), over(c.get(third.ID), faas.JobCanceled)); err != nil {
		c.Fatalf("Swap: %v", err)
	}
	fourth := keyed("k", "t")
	c.finish(c.leaseOf(second.ID, "f"))
	c.finish(c.leaseOf(fourth.ID, "f"))
}

func (c *queueCheck) parked() {
	c.Helper()
	rec := c.put(c.job("f", ""))
	park := func() {
		c.Helper()
		l := c.leaseOf(rec.ID, "f")
		next := again(l, time.Now().Add(time.Hour))
		next.State = faas.JobParked
		c.settle(l, next)
		c.wantState(rec.ID, faas.JobParked)
		c.nothing("it is parked", "f")
	}
	park()
	time.Sleep(time.Hour)
	c.wantState(rec.ID, faas.JobReady)
	park()
	got := c.get(rec.ID)
	ready := got
	ready.State, ready.NotBefore = faas.JobReady, time.Now()
	if err := c.q.Swap(c.ctx(), got, ready); err != nil {
		c.Fatalf("Swap of a parked job to let it run: %v", err)
	}
	c.finish(c.leaseOf(rec.ID, "f"))
}
