package memqueue_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/memqueue"
)

// model does what the queue promises, without regard to speed: for each answer it looks at all
// jobs. The order of turns is the exception. There the model computes which jobs Lease may give,
// and checks that no tenant waits for longer than its turn.
type model struct {
	jobs      []*modelJob // in the order of acceptance
	unique    map[string]modelKey
	forgotten map[memqueue.ID]bool
	passed    map[lane]int // by lane: leases of the function's other lanes since this lane could give a job
}

type modelKey struct {
	id    memqueue.ID
	until int64
}

type lane struct{ function, tenant string }

type modelJob struct {
	item
	token    uint64 // not 0: the job is leased
	begun    bool
	hasKey   bool // it holds its order key: it was leased since it was accepted
	progress any
	seq      int
}

func (j *modelJob) lane() lane { return lane{j.Function, j.Tenant} }

func (j *modelJob) settled() bool { return settledState(j.State) }

func (j *modelJob) before(o *modelJob) bool {
	return j.At < o.At || j.At == o.At && j.seq < o.seq
}

func (m *model) find(id memqueue.ID) *modelJob {
	for _, j := range m.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// blocked reports whether a lane has a leased job that has not begun.
func (m *model) blocked(l lane) bool {
	return slices.ContainsFunc(m.jobs, func(j *modelJob) bool { return j.lane() == l && j.token != 0 && !j.begun })
}

// keyed returns the other jobs with j's order key that are not settled.
func (m *model) keyed(j *modelJob) (others []*modelJob) {
	for _, o := range m.jobs {
		if j.Order != "" && o != j && o.Order == j.Order && o.lane() == j.lane() && !o.settled() {
			others = append(others, o)
		}
	}
	return others
}

// keyIsFree reports whether no other job holds j's order key or comes before j.
func (m *model) keyIsFree(j *modelJob, now int64) bool {
	return !slices.ContainsFunc(m.keyed(j), func(o *modelJob) bool {
		return o.hasKey || !j.hasKey && o.At <= now && o.before(j)
	})
}

// mayRun returns the jobs that Lease may give.
func (m *model) mayRun(names []string, now int64) (may []*modelJob) {
	for _, j := range m.jobs {
		if slices.Contains(names, j.Function) && m.isReady(j, now) && !m.blocked(j.lane()) {
			may = append(may, j)
		}
	}
	return may
}

func (m *model) isReady(j *modelJob, now int64) bool {
	return !j.settled() && j.token == 0 && j.At <= now && m.keyIsFree(j, now)
}

// state returns the state that the queue must show.
func (j *modelJob) state(now int64) memqueue.State {
	switch {
	case j.settled():
		return j.State
	case j.token != 0:
		return memqueue.Running
	case j.At <= now:
		return memqueue.Ready
	case j.State == memqueue.Parked:
		return memqueue.Parked
	}
	return memqueue.Scheduled
}

// machine drives a queue and its model.
type machine struct {
	q   *queue
	m   model
	n   int
	now func() int64
}

var (
	modelNames   = []string{"f", "g"}
	modelTenants = []string{"", "a", "b"}
	modelKeys    = []string{"", "", "k", "l"}
)

// moment draws a time between a second ago and five seconds ahead.
func (x *machine) moment(t *rapid.T) int64 {
	return x.now() + int64(time.Duration(rapid.IntRange(-1, 5).Draw(t, "due"))*time.Second)
}

func (x *machine) newItem(t *rapid.T) item {
	x.n++
	return item{
		ID: number(x.n), Function: rapid.SampledFrom(modelNames).Draw(t, "function"), Tenant: rapid.SampledFrom(modelTenants).Draw(t, "tenant"),
		Order: rapid.SampledFrom(modelKeys).Draw(t, "order"), At: x.moment(t), Size: 1, Priority: int32(rapid.IntRange(0, 2).Draw(t, "priority")),
		Body: "body",
	}
}

func (x *machine) add(it item) {
	x.m.jobs = append(x.m.jobs, &modelJob{item: it, seq: x.n})
}

func (x *machine) Put(t *rapid.T) {
	it := x.newItem(t)
	key := rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "unique")
	until := x.now() + int64(time.Duration(rapid.IntRange(0, 20).Draw(t, "window"))*time.Second)
	v, err := x.q.Put(it, key, until)
	full := it.Function + "/" + it.Tenant + "/" + key
	if held, ok := x.m.unique[full]; key != "" && until > x.now() && ok && held.until > x.now() {
		require.ErrorIs(t, err, memqueue.ErrTaken)
		require.Equal(t, held.id, v.ID)
		return
	}
	require.NoError(t, err)
	if key != "" && until > x.now() {
		x.m.unique[full] = modelKey{it.ID, until}
	}
	it.Revision = v.Revision
	x.add(it)
}

func (x *machine) PutAgain(t *rapid.T) {
	if x.n == 0 {
		t.Skip("no job yet")
	}
	it := x.newItem(t)
	it.ID = number(rapid.IntRange(1, x.n-1+1).Draw(t, "id"))
	if x.m.find(it.ID) == nil && !x.m.forgotten[it.ID] {
		return // that job was refused because of its unique key
	}
	v, err := x.q.Put(it, "", 0)
	require.ErrorIs(t, err, memqueue.ErrTaken)
	require.Equal(t, it.ID, v.ID)
}

func (x *machine) Lease(t *rapid.T) {
	names := rapid.SampledFrom([][]string{{"f"}, {"g"}, {"f", "g"}, {"h"}}).Draw(t, "names")
	may := x.m.mayRun(names, x.now())
	if len(may) == 0 {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { synctest.Wait(); cancel() }()
		before := x.now()
		_, _, err := x.q.Lease(ctx, names)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, before, x.now())
		return
	}
	v, token, err := x.q.Lease(context.Background(), names)
	require.NoError(t, err)
	got := x.m.find(v.ID)
	require.Contains(t, may, got)
	for _, o := range may { // no job of the same lane goes before it
		if o.lane() == got.lane() && o != got {
			require.False(t, o.Priority > got.Priority || o.Priority == got.Priority && o.before(got), "%v goes before %v", o.ID, got.ID)
		}
	}
	x.tookTurn(t, may, got)
	require.Equal(t, memqueue.Running, v.State)
	got.token, got.begun, got.hasKey = token, false, true
}

// tookTurn notes which lane a job was leased from. It checks how many leases of its function each
// other lane has waited for since it could give a job: fewer than two for each tenant.
func (x *machine) tookTurn(t *rapid.T, may []*modelJob, got *modelJob) {
	could := map[lane]bool{}
	for _, j := range may {
		could[j.lane()] = true
	}
	for l := range x.m.passed {
		if !could[l] && l.function == got.Function {
			delete(x.m.passed, l)
		}
	}
	for l := range could {
		if l.function == got.Function && l != got.lane() {
			x.m.passed[l]++
			require.Less(t, x.m.passed[l], 2*len(modelTenants), "%v is passed over", l)
		}
	}
	delete(x.m.passed, got.lane())
}

// leased draws a leased job.
func (x *machine) leased(t *rapid.T) *modelJob {
	var all []*modelJob
	for _, j := range x.m.jobs {
		if j.token != 0 {
			all = append(all, j)
		}
	}
	if len(all) == 0 {
		t.Skip("nothing is leased")
	}
	return rapid.SampledFrom(all).Draw(t, "leased")
}

func (x *machine) Begin(t *rapid.T) {
	j := x.leased(t)
	require.NoError(t, x.q.Begin(j.ID, j.token))
	require.ErrorIs(t, x.q.Begin(j.ID, j.token+100), memqueue.ErrLease)
	j.begun = true
}

func (x *machine) Extend(t *rapid.T) {
	j := x.leased(t)
	var p any
	if rapid.Bool().Draw(t, "tells") {
		p = x.n
		j.progress = p
	}
	require.NoError(t, x.q.Extend(j.ID, j.token, p))
}

// next draws the next item of a job.
func (x *machine) next(t *rapid.T, j *modelJob) item {
	it := j.item
	it.State = rapid.SampledFrom([]memqueue.State{
		memqueue.Scheduled, memqueue.Parked, memqueue.Succeeded, memqueue.Dead, memqueue.Canceled,
	}).Draw(t, "state")
	if it.At = x.moment(t); settledState(it.State) {
		it.At = 0 // kept without a limit of time
	}
	return it
}

// wrote makes the model's job the one that was written to the queue.
func (x *machine) wrote(t *rapid.T, j *modelJob, it item) {
	v, err := x.q.Get(it.ID)
	require.NoError(t, err)
	require.NotEqual(t, j.Revision, v.Revision)
	it.Revision = v.Revision
	j.item, j.token, j.begun, j.progress = it, 0, false, nil
	if settledState(it.State) {
		j.At = v.At
	}
}

func (x *machine) Settle(t *rapid.T) {
	j := x.leased(t)
	it, token := x.next(t, j), j.token
	var follow []item
	if rapid.Bool().Draw(t, "follows") {
		follow = append(follow, x.newItem(t), j.item) // the second one's ID is taken: it is the job's own
	}
	require.ErrorIs(t, x.q.Settle(token+100, it, follow...), memqueue.ErrLease)
	require.NoError(t, x.q.Settle(token, it, follow...))
	x.wrote(t, j, it)
	if len(follow) > 0 {
		v, err := x.q.Get(follow[0].ID)
		require.NoError(t, err)
		follow[0].Revision = v.Revision
		x.add(follow[0])
	}
	require.ErrorIs(t, x.q.Settle(token, it), memqueue.ErrLease)
}

func (x *machine) some(t *rapid.T) *modelJob {
	if len(x.m.jobs) == 0 {
		t.Skip("no job")
	}
	return rapid.SampledFrom(x.m.jobs).Draw(t, "job")
}

func (x *machine) Swap(t *rapid.T) {
	j := x.some(t)
	it := x.next(t, j)
	if it.Body = rapid.SampledFrom([]string{"body", "another", ""}).Draw(t, "body"); j.settled() { // its state is final
		it.State, it.At = j.State, 0
	}
	require.ErrorIs(t, x.q.Swap(j.Revision+100, it), memqueue.ErrChanged)
	require.NoError(t, x.q.Swap(j.Revision, it))
	x.wrote(t, j, it)
}

func (x *machine) Remove(t *rapid.T) {
	j := x.some(t)
	if !j.settled() {
		require.ErrorIs(t, x.q.Remove(j.ID, j.Revision), memqueue.ErrUnsettled)
		return
	}
	require.NoError(t, x.q.Remove(j.ID, j.Revision))
	_, err := x.q.Get(j.ID)
	require.ErrorIs(t, err, memqueue.ErrForgotten)
	x.m.forgotten[j.ID] = true
	x.m.jobs = slices.DeleteFunc(x.m.jobs, func(o *modelJob) bool { return o == j })
}

func (x *machine) LoseLeases(t *rapid.T) {
	lost := 0
	for _, j := range x.m.jobs {
		if j.token != 0 {
			lost++
		}
	}
	require.Equal(t, lost, x.q.LoseLeases())
	for _, j := range x.m.jobs {
		if j.token != 0 {
			it := j.item
			it.Crashes++
			x.wrote(t, j, it)
		}
	}
}

func (x *machine) LoseJobs(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "lose") > 0 {
		t.Skip("seldom: after it there is little left")
	}
	kept := slices.DeleteFunc(slices.Clone(x.m.jobs), func(j *modelJob) bool { return !j.settled() })
	lost := slices.DeleteFunc(slices.Clone(x.m.jobs), (*modelJob).settled)
	require.Equal(t, len(lost), x.q.LoseJobs())
	x.m.jobs = kept
	clear(x.m.passed)
	for _, j := range lost {
		_, err := x.q.Get(j.ID)
		require.ErrorIs(t, err, memqueue.ErrUnknown)
		require.ErrorIs(t, x.q.Extend(j.ID, j.token, nil), memqueue.ErrLease)
		for key, held := range x.m.unique {
			if held.id == j.ID {
				delete(x.m.unique, key)
			}
		}
	}
}

func (x *machine) Sleep(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
}

// check compares everything that the queue shows with the model.
func (x *machine) check(t *rapid.T) {
	now := x.now()
	counts := map[string]memqueue.Count{}
	var want []memqueue.ID
	for _, j := range x.m.jobs {
		want = append(want, j.ID)
		c := counts[j.Function]
		c.States[j.state(now)]++
		if !j.settled() {
			c.Bytes += j.Size
		}
		if x.m.isReady(j, now) && (c.Oldest == 0 || j.At < c.Oldest) {
			c.Oldest = j.At
		}
		counts[j.Function] = c
		v, err := x.q.Get(j.ID)
		require.NoError(t, err)
		require.Equal(t, j.state(now), v.State)
		require.Equal(t, j.progress, v.Progress)
		require.Equal(t, j.Crashes, v.Crashes)
		require.Equal(t, []any{j.Tenant, j.Order, j.Priority, j.Size, j.Revision, j.Body, j.At}, []any{v.Tenant, v.Order, v.Priority, v.Size, v.Revision, v.Body, v.At})
		if j.hasKey {
			require.Zero(t, v.KeyHolder)
		}
	}
	got, err := x.q.Count()
	require.NoError(t, err)
	for name, c := range got {
		require.Equal(t, counts[name].States, c.States)
		require.Equal(t, counts[name].Bytes, c.Bytes)
		if len(x.m.keyless(name)) == len(x.m.ofFunction(name)) {
			require.Equal(t, counts[name].Oldest, c.Oldest)
		}
	}
	require.Len(t, got, len(counts))
	found, _, err := x.q.List(0, "", func(*item) bool { return true })
	require.NoError(t, err)
	var listed []memqueue.ID
	for _, v := range found {
		listed = append(listed, v.ID)
	}
	require.Equal(t, want, listed)
	x.checkListOf(t, "f")
}

// checkListOf compares the list of one function's jobs with the model.
func (x *machine) checkListOf(t *rapid.T, name string) {
	found, _, err := x.q.List(0, name, func(*item) bool { return true })
	require.NoError(t, err)
	jobs := x.m.ofFunction(name)
	require.Len(t, found, len(jobs))
	for i, v := range found {
		require.Equal(t, jobs[i].ID, v.ID)
	}
}

func (m *model) ofFunction(name string) (all []*modelJob) {
	for _, j := range m.jobs {
		if j.Function == name {
			all = append(all, j)
		}
	}
	return all
}

// keyless returns the jobs of a function that have no order key. Only for these Count's Oldest is
// exact: it looks at jobs that may be leased, and at those that became due since the last Lease,
// even if another job holds their key.
func (m *model) keyless(name string) []*modelJob {
	return slices.DeleteFunc(m.ofFunction(name), func(j *modelJob) bool { return j.Order != "" })
}

// TestTheQueueDoesWhatItsModelDoes runs all checks of rapid in one bubble. If a check fails, rapid
// panics, and tells equal failures apart by the panic's stack. So the panic must not be recovered
// and raised again, as at the end of a bubble of its own. The struct hides from rapid that the TB
// is a *testing.T, whose Deadline panics in a bubble.
func TestTheQueueDoesWhatItsModelDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { compareWithModel(t, func(*queue) {}) })
}

// TestAQueueWithACodecDoesWhatItsModelDoes is the same for a queue that keeps settled jobs as bytes.
func TestAQueueWithACodecDoesWhatItsModelDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { compareWithModel(t, func(q *queue) { q.SetCodec(textCodec{}) }) })
}

func compareWithModel(t *testing.T, prepare func(*queue)) {
	t.Helper()
	rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
		x := &machine{
			q:   memqueue.New[string](1000, 1<<20),
			m:   model{unique: map[string]modelKey{}, forgotten: map[memqueue.ID]bool{}, passed: map[lane]int{}},
			now: func() int64 { return time.Now().UnixNano() },
		}
		prepare(x.q)
		defer x.q.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"Put": x.Put, "PutMore": x.Put, "PutAgain": x.PutAgain, "Lease": x.Lease, "LeaseMore": x.Lease, "Begin": x.Begin, "Extend": x.Extend,
			"Settle": x.Settle, "Swap": x.Swap, "Remove": x.Remove, "LoseLeases": x.LoseLeases, "LoseJobs": x.LoseJobs, "Sleep": x.Sleep, "": x.check,
		})
	})
}
