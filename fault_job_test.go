package faas_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// chore is the input of the functions below. It has the fault of the handler, and the number of
// attempts that have the fault.
type chore struct {
	Fault string
	Fails int
	Key   string        // the order key
	Takes time.Duration // the time of each attempt
}

// jobMill is a router that runs jobs with a mixture of faults, and live calls beside them. It
// counts how both end.
type jobMill struct {
	*faas.Router
	queue faas.JobQueue
	bill  jobBill

	built, reserved, admitted atomic.Int64 // of "starts", "metered" and "gated"
	live, duplicates          atomic.Int64
	refused                   atomic.Int64 // Sends that were refused because the function was off or removed at that moment

	mu       sync.Mutex // guards what follows
	faults   map[string]int
	accepted map[uuid.UUID]bool
	running  map[uuid.UUID]bool // the jobs whose handlers run
	holders  map[string]uuid.UUID
	used     map[uuid.UUID]time.Duration // the time of each job, from the records
	records  map[uuid.UUID]int
	letters  map[string]int // accepted deliveries to a Go func, by job and condition
	wrong    []string
}

// Record is the meter.
func (m *jobMill) Record(_ context.Context, e faas.Execution) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Job != uuid.Nil {
		m.used[e.Job] += e.Duration
		m.records[e.Job]++
	}
}

// broken records a promise that was broken. m.mu must be held.
func (m *jobMill) broken(format string, args ...any) {
	if len(m.wrong) < 10 { // the first ten are enough
		m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
	}
}

// enter records that the handler of a job begins. It returns a func that records its end.
func (m *jobMill) enter(ctx context.Context, key string) (inv faas.Invocation, leave func()) {
	inv, _ = faas.FromContext(ctx)
	if inv.Job == uuid.Nil {
		return inv, func() {}
	}
	m.mu.Lock()
	if m.running[inv.Job] {
		m.broken("job %v of %q runs twice at once", inv.Job, inv.Function)
	}
	m.running[inv.Job] = true
	key = inv.Function + "/" + inv.Tenant + "/" + key
	before := m.holders[key]
	m.holders[key] = inv.Job
	m.mu.Unlock()
	if !strings.HasSuffix(key, "/") && before != uuid.Nil && before != inv.Job {
		m.checkReleased(key, before)
	}
	return inv, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.running, inv.Job)
	}
}

// checkReleased checks that the job `before`, which had the order key, is settled. Its handler may
// still run, if its last attempt has timed out.
func (m *jobMill) checkReleased(key string, before uuid.UUID) {
	rec, err := m.queue.Get(context.Background(), before)
	if err == nil && rec.State.IsSettled() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken("job %v has %v of another: %v, %v", before, key, rec.State, err)
}

// do is the handler of most functions.
func (m *jobMill) do(ctx context.Context, in chore) (string, error) {
	inv, leave := m.enter(ctx, in.Key)
	defer leave()
	if in.Takes > 0 {
		time.Sleep(in.Takes)
	}
	if inv.Attempt > in.Fails {
		return "done", nil
	}
	switch in.Fault {
	case "error":
		return "", errOwn
	case "panic":
		panic("boom")
	case "poison":
		panic(&explosive{})
	case "goexit":
		runtime.Goexit()
	case "permanent":
		return "", faas.Permanent(errOwn)
	case "later":
		if inv.Delivery <= 3 {
			return "", faas.RetryAfter(2*time.Second, errOwn)
		}
	case "timeout":
		<-ctx.Done()
		return "", ctx.Err()
	case "deaf":
		time.Sleep(5 * time.Second)
	case "sends":
		_, err := m.Send(ctx, "work", []byte(`{}`), faas.WithJobID(uuid.NewSHA1(inv.Job, []byte("child"))))
		m.note(uuid.NewSHA1(inv.Job, []byte("child")), "child", err)
	case "progress":
		return "done", faas.Progress(ctx, 1, 2, "half")
	}
	return "done", nil
}

// note counts a job that was accepted.
func (m *jobMill) note(id uuid.UUID, fault string, err error) {
	if err != nil {
		m.refused.Add(1)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted[id] = true
	m.faults[fault]++
}

// letter is the destination of the function "tells". On average it accepts three of five deliveries.
func (m *jobMill) letter(_ context.Context, e faas.JobEnvelope) error {
	switch rand.IntN(5) {
	case 0:
		return errOwn
	case 1:
		panic("a destination")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters[e.RequestContext.RequestID+" "+string(e.RequestContext.Condition)]++
	return nil
}

// moodyGate denies one delivery in ten, refuses two in ten because a budget is spent, and panics
// in one in ten.
type moodyGate struct{ asked *atomic.Int64 }

func (g moodyGate) Admit(_ context.Context, inv faas.Invocation) error {
	if inv.Job == uuid.Nil { // Send calls the gate too
		return nil
	}
	switch g.asked.Add(1) % 10 {
	case 0:
		return errSentinel
	case 1, 2:
		return &faas.Error{Op: "invoke", Kind: faas.KindBusy, Reason: cost.ReasonBudget, RetryAfter: 3 * time.Second, Err: faas.ErrOverloaded}
	case 3:
		panic("a gate")
	}
	return nil
}

func (moodyGate) Done(_ faas.Invocation, _ *faas.Execution) {
	if rand.IntN(4) == 0 {
		panic("a gate, afterwards")
	}
}

// moodyMeter has no room for the record of one call in three, and panics in each Record.
type moodyMeter struct{ asked *atomic.Int64 }

func (g moodyMeter) Reserve() bool                        { return g.asked.Add(1)%3 != 0 }
func (moodyMeter) Unreserve()                             {}
func (moodyMeter) Record(context.Context, faas.Execution) { panic("a meter") }

func newJobMill(t *testing.T, jobs int) *jobMill {
	t.Helper()
	m := &jobMill{
		queue: faas.NewMemoryJobs(4*jobs, 1<<30), faults: map[string]int{}, accepted: map[uuid.UUID]bool{}, running: map[uuid.UUID]bool{},
		holders: map[string]uuid.UUID{}, used: map[uuid.UUID]time.Duration{}, records: map[uuid.UUID]int{}, letters: map[string]int{},
	}
	m.bill = newJobBill(t, 4*jobs, m.queue)
	m.Router = router(t, faas.WithJobs(m.queue), faas.WithMeter(faas.Meters(m, m.bill)), faas.WithCapacity(80), faas.WithMaxDepth(4),
		faas.WithTimeout(200*time.Millisecond), faas.WithRetry(faas.Retry{Max: 2, First: time.Second}), faas.WithRetention(24*time.Hour, 24*time.Hour))
	handle := func(name string, opts ...faas.FunctionOption) { faas.Register(m.Router, name, m.do, opts...) }
	handle("work", faas.WithConcurrency(20))
	handle("inline", faas.WithInline(), faas.WithConcurrency(20))
	handle("deaf", faas.WithConcurrency(10)) // up to 10 runaways, which may take all its slots
	handle("fickle")
	handle("switch", faas.WithConcurrency(5))
	handle("gated", faas.WithGate(moodyGate{&m.admitted}))
	handle("metered", faas.WithMeter(moodyMeter{&m.reserved}))
	handle("hooked", faas.WithContext(func(_, fresh context.Context) context.Context {
		if rand.IntN(4) == 0 {
			panic("a WithContext func")
		}
		return fresh
	}))
	handle("upgraded", faas.WithUpgrade(func([]byte, string) ([]byte, error) { return []byte(`{}`), nil }))
	handle("tells", faas.WithOnFailure(faas.ToFunc(m.letter)), faas.WithOnSuccess(faas.ToFunction("told")))
	faas.Register(m.Router, "told", func(ctx context.Context, _ faas.JobEnvelope) (string, error) {
		_, leave := m.enter(ctx, "")
		defer leave()
		return "", nil
	})
	faas.Register(m.Router, "output", func(ctx context.Context, in chore) (chan int, error) {
		_, err := m.do(ctx, in)
		return nil, err
	})
	faas.RegisterInit(m.Router, "starts", func(context.Context) (faas.Handler[chore, string], func(context.Context) error, error) {
		if m.built.Add(1)%3 != 0 {
			return nil, nil, errOwn
		}
		return m.do, nil, nil
	}, faas.WithRetry(faas.Retry{Max: 1}))
	return m
}

// jobFault is what is wrong with a job, or what is done to it.
type jobFault struct {
	name     string
	function string
	payload  string // if not "", this payload is sent in place of the chore
	opts     []faas.SendOption
	after    func(m *jobMill, job *faas.Job[[]byte]) // runs on a goroutine of its own
}

var jobFaults = []jobFault{
	{name: "error"},
	{name: "panic"},
	{name: "poison"},
	{name: "goexit"},
	{name: "permanent"},
	{name: "later"},
	{name: "timeout"},
	{name: "deaf", function: "deaf"},
	{name: "sends"},
	{name: "progress"},
	{name: "output", function: "output"},
	{name: "undecodable", payload: "["},
	{name: "upgraded", function: "upgraded", payload: "["},
	{name: "gate", function: "gated"},
	{name: "meter", function: "metered"},
	{name: "hook", function: "hooked"},
	{name: "init", function: "starts"},
	{name: "off", function: "switch"},
	{name: "removed", function: "fickle"},
	{name: "letter", function: "tells"},
	{name: "expires", opts: []faas.SendOption{faas.WithExpiry(1500 * time.Millisecond)}},
	{name: "canceled while it waits", opts: []faas.SendOption{faas.WithDelay(time.Minute)}, after: (*jobMill).cancelLater},
	{name: "canceled", after: (*jobMill).cancelLater},
	{name: "replayed", after: (*jobMill).replayLater},
	{name: "fine"},
}

func (m *jobMill) cancelLater(job *faas.Job[[]byte]) {
	time.Sleep(rand.N(2 * time.Second))
	if err := job.Cancel(context.Background()); err != nil && !errors.Is(err, faas.ErrSettled) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.broken("cancel: %v", err)
	}
}

func (m *jobMill) replayLater(job *faas.Job[[]byte]) {
	_, _ = job.Wait(context.Background())
	again, err := job.Replay(context.Background(), faas.WithInput([]byte(`{"Fault":"fine"}`)))
	if err != nil { // the router is being shut down
		m.refused.Add(1)
		return
	}
	m.note(again.ID(), "replay", nil)
}

// send sends the job with this number. The number decides which fault the job has.
func (m *jobMill) send(r *rand.Rand, number int, after *sync.WaitGroup) {
	f := jobFaults[number%len(jobFaults)]
	in := chore{Fault: f.name, Fails: r.IntN(4), Takes: time.Duration(r.IntN(20)) * time.Millisecond}
	name, opts := cmp.Or(f.function, "work"), slices.Clone(f.opts)
	if name == "work" && r.IntN(2) == 0 {
		name = "inline"
	}
	switch r.IntN(8) {
	case 0:
		in.Key = strconv.Itoa(r.IntN(50))
		opts = append(opts, faas.WithOrderKey(in.Key))
	case 1:
		opts = append(opts, faas.WithUnique(strconv.Itoa(r.IntN(1000)), 3*time.Second))
	case 2:
		opts = append(opts, faas.WithDelay(time.Duration(r.IntN(3000))*time.Millisecond))
	}
	payload := f.payload
	if payload == "" {
		payload = fmt.Sprintf(`{"Fault":%q,"Fails":%d,"Key":%q,"Takes":%d}`, in.Fault, in.Fails, in.Key, in.Takes)
	}
	ctx := faas.WithPriority(faas.WithTenant(context.Background(), "t"+strconv.Itoa(r.IntN(8))), r.IntN(3))
	job, err := m.Send(ctx, name, []byte(payload), opts...)
	switch {
	case err != nil:
		m.note(uuid.Nil, f.name, err)
	case job.Duplicate():
		m.duplicates.Add(1)
	default:
		m.note(job.ID(), f.name, nil)
		if f.after != nil {
			after.Go(func() { f.after(m, job) })
		}
	}
}

// disturb changes the host until done is closed: it switches one function off and on, removes and
// registers another one, and changes limits. The limits stay above the number of live callers.
func (m *jobMill) disturb(done <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		case <-time.After(250 * time.Millisecond):
		}
		_ = m.SetConcurrency("switch", 5*(i%2))
		_ = m.SetConcurrency("work", 8+rand.IntN(20))
		_ = m.SetCapacity(60 + rand.IntN(60))
		switch i % 4 {
		case 0:
			_ = m.Remove("fickle")
		case 2:
			_, _ = faas.TryRegister(m.Router, "fickle", m.do)
		}
	}
}

// liveCallers is the number of callers beside the jobs. It is below every limit.
const liveCallers = 4

// call makes live calls until done is closed or the router is closed. Until then no call may be refused.
func (m *jobMill) call(done <-chan struct{}) {
	ctx := faas.WithTenant(context.Background(), "live")
	for {
		select {
		case <-done:
			return
		case <-time.After(5 * time.Millisecond):
		}
		_, err := m.Invoke(ctx, "work", []byte(`{"Takes":5000000}`))
		if errors.Is(err, faas.ErrClosed) {
			return
		}
		if err != nil {
			m.mu.Lock()
			m.broken("a live call: %v", err)
			m.mu.Unlock()
		}
		m.live.Add(1)
	}
}

// run sends the jobs, a few in each millisecond. The func stop ends the live calls and disturbances, and
// waits for them.
func (m *jobMill) run(jobs int) (stop func()) {
	r := rand.New(rand.NewPCG(1, 2))
	var beside, after sync.WaitGroup
	done := make(chan struct{})
	for range liveCallers {
		beside.Go(func() { m.call(done) })
	}
	beside.Go(func() { m.disturb(done) })
	for i := range jobs {
		if m.send(r, i, &after); i%2 == 0 {
			time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		}
	}
	return func() {
		close(done)
		beside.Wait()
		after.Wait()
	}
}

// soakJobs returns the number of jobs of a soak run: the number in FAAS_SOAK, as in
// FAAS_SOAK=200000, or a million.
func soakJobs() int {
	if n, err := strconv.Atoi(os.Getenv("FAAS_SOAK")); err == nil && n > 1 {
		return n
	}
	return 1_000_000
}

//nolint:paralleltest // it keeps the processors busy
func TestAHundredThousandJobsWithMixedFaultsBalance(t *testing.T) {
	jobs := 100_000
	switch {
	case soak():
		jobs = soakJobs()
	case testing.Short() || raceEnabled:
		jobs = 10_000
	}
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		m := newJobMill(t, jobs)
		stop := m.run(jobs)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := m.Shutdown(ctx)
		time.Sleep(time.Minute) // until the deaf handlers have returned
		stop()
		synctest.Wait()
		m.checkBooks(t, err)
	})
	t.Logf("%v", time.Since(began).Round(time.Millisecond))
}

func (m *jobMill) checkBooks(t *testing.T, shutdown error) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.Empty(t, m.wrong)
	assert.Empty(t, m.running, "handlers that run")
	states, left, told := map[faas.JobState]int{}, map[string]int{}, map[uuid.UUID]uuid.UUID{}
	for rec, err := range m.queue.List(t.Context(), faas.JobFilter{}) {
		require.NoError(t, err)
		if o := rec.Origin; o != nil && o.Job != uuid.Nil { // this job delivers to a destination
			_, again := told[o.Job] // NotContains would be slow: it compares each key
			assert.False(t, again, "an end is told once")
			told[o.Job] = rec.ID
			m.accepted[rec.ID] = true
		}
		assert.True(t, m.accepted[rec.ID], "accepted")
		delete(m.accepted, rec.ID)
		assert.Equal(t, m.used[rec.ID], rec.Used, "time used by %v of %q", rec.ID, rec.Function)
		assert.LessOrEqual(t, m.records[rec.ID], rec.Deliveries, "records")
		if states[rec.State]++; !rec.State.IsSettled() {
			left[rec.Function]++
		}
	}
	assert.Empty(t, m.accepted, "lost jobs")
	if named, ok := errors.AsType[*faas.JobsLeft](shutdown); ok {
		assert.Equal(t, left, named.ByFunction)
	} else {
		assert.Empty(t, left)
	}
	m.checkTold(t, told)
	m.bill.check(t, m.queue, m.used)
	for _, f := range jobFaults {
		assert.Positive(t, m.faults[f.name], f.name)
	}
	for _, s := range []faas.JobState{faas.JobSucceeded, faas.JobDead, faas.JobCanceled} {
		assert.Positive(t, states[s], s)
	}
	t.Logf("%v of %v; left %v; %d live calls, %d Sends refused, %d duplicates", states, m.faults, left, m.live.Load(), m.refused.Load(), m.duplicates.Load())
}

// checkTold checks that exactly one other job reports the end of each job of "tells".
func (m *jobMill) checkTold(t *testing.T, told map[uuid.UUID]uuid.UUID) {
	t.Helper()
	for rec, err := range m.queue.List(t.Context(), faas.JobFilter{Function: "tells", States: []faas.JobState{faas.JobSucceeded, faas.JobDead}}) {
		require.NoError(t, err)
		if rec.Origin == nil || rec.Origin.Job == uuid.Nil {
			_, is := told[rec.ID] // Contains would be slow: it looks at each key
			assert.True(t, is, "the end of %v is told", rec.ID)
		}
	}
	for letter, n := range m.letters {
		assert.Equal(t, 1, n, letter)
	}
}

// flood counts the calls of a tenant that floods a function. The work of another tenant runs beside
// it, either as jobs or as live calls.
type flood struct{ calls, refused, done int }

// floodBeside lets 12 callers of one tenant call a function all the time. The function has 4 slots and 4
// places in its queue. Beside them run 6 senders of another tenant, each of which waits for its own
// work.
func floodBeside(t *testing.T, work func(ctx context.Context, f *faas.Function[time.Duration, bool]) error) (seen flood) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := router(t)
		f := faas.Register(r, "f", sleepFor, faas.WithConcurrency(4), faas.WithQueue(4))
		var all sync.WaitGroup
		var mu sync.Mutex // guards seen
		until := time.Now().Add(2 * time.Minute)
		begin := func(tenant string, n int, do func(ctx context.Context) error, count func(err error)) {
			for range n {
				all.Go(func() {
					for time.Now().Before(until) {
						err := do(faas.WithTenant(t.Context(), tenant))
						mu.Lock()
						count(err)
						mu.Unlock()
						if err != nil {
							time.Sleep(30 * time.Millisecond)
						}
					}
				})
			}
		}
		begin("live", 12, func(ctx context.Context) error { _, err := f.Invoke(ctx, 100*time.Millisecond); return err }, func(err error) {
			if seen.calls++; err != nil {
				seen.refused++
			}
		})
		begin("other", 6, func(ctx context.Context) error { return work(ctx, f) }, func(err error) {
			if err == nil {
				seen.done++
			}
		})
		all.Wait()
	})
	return seen
}

func TestATenantWithoutJobsIsRefusedNoMoreThanIfTheJobsWereLiveCalls(t *testing.T) {
	t.Parallel()
	alone := floodBeside(t, func(context.Context, *faas.Function[time.Duration, bool]) error { return errOwn })
	live := floodBeside(t, func(ctx context.Context, f *faas.Function[time.Duration, bool]) error {
		_, err := f.Invoke(ctx, 100*time.Millisecond)
		return err
	})
	jobs := floodBeside(t, func(ctx context.Context, f *faas.Function[time.Duration, bool]) error {
		job, err := f.Send(ctx, 100*time.Millisecond)
		if err != nil {
			return err
		}
		_, err = job.Wait(ctx)
		return err
	})
	share := func(f flood) float64 { return float64(f.refused) / float64(f.calls) }
	t.Logf("beside nothing %+v, beside live calls %+v, beside jobs %+v", alone, live, jobs)
	assert.Positive(t, alone.refused, "it is a flood")
	assert.Positive(t, jobs.done)
	assert.LessOrEqual(t, share(jobs), share(live))
}
