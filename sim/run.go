package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproc/faas"
)

// Run runs a workload under each of the policies in turn, each in a subtest of t and a
// bubble of its own, and returns a report. It logs its progress. It fails t if the
// workload is invalid, a function can't be registered with a policy's options, or a
// call fails; the report then has only the policies before that.
//
// The same workload gives the same report, except where several events happen in the
// same nanosecond, because the Go scheduler chooses their order. For example, a tick
// may admit many waiting calls at once: with [Knative] the number of cold calls differs
// from run to run by about a percent.
func Run(t *testing.T, w Workload, policies ...Policy) Report {
	t.Helper()
	w, err := w.sorted()
	if err != nil {
		t.Fatal(err)
	}
	if err := differ(policies); err != nil {
		t.Fatal(err)
	}
	report := Report{Functions: len(w.functions()), Calls: len(w.Calls), Length: w.Length}
	for _, p := range policies {
		ok := t.Run(p.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if r := newRun(t, w); r.register(p) && r.play(p.Name) {
					report.Results = append(report.Results, r.result(p.Name))
				}
			})
		})
		if !ok {
			break
		}
	}
	return report
}

// differ returns an error if two policies have the same name.
func differ(policies []Policy) error {
	seen := map[string]bool{}
	for _, p := range policies {
		if seen[p.Name] {
			return fmt.Errorf("sim: two policies are called %q: give each a name of its own", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

// run is the run of one policy.
type run struct {
	*testing.T

	workload  Workload
	router    *faas.Router
	functions map[string]*faas.Function[job, struct{}]
	began     time.Time

	mu        sync.Mutex // guards the fields below
	held      gauge      // instances, from the beginning of their init to their close
	running   gauge      // calls in their handlers
	waiting   int        // calls before their handlers
	cold      int
	waits     []time.Duration
	decisions []faas.Decision
	timeline  []Point
}

// job is the input of a handler: when its call arrived, and how long it has to take.
type job struct {
	arrived time.Time
	takes   time.Duration
}

// newRun makes the router of one policy. Capacity, queues and timeouts are out of reach, so
// that the policy alone decides how long a call waits. It must be called in the bubble: a
// router's timers and goroutines belong to the bubble in which it was made.
func newRun(t *testing.T, w Workload) *run {
	t.Helper()
	r := &run{T: t, workload: w, functions: map[string]*faas.Function[job, struct{}]{}}
	const unbounded = 1 << 20
	r.router = faas.New(
		faas.WithCapacity(unbounded), faas.WithQueue(unbounded),
		faas.WithTimeout(longest), faas.WithQueueTimeout(longest), faas.WithInitTimeout(longest),
		faas.WithLogger(slog.New(slog.DiscardHandler)),
		faas.WithDecisions(r.decided), faas.WithMeter(faas.MeterFunc(r.record)),
	)
	t.Cleanup(func() { _ = r.router.Close() })
	return r
}

// register registers all functions, and reports whether that worked.
func (r *run) register(p Policy) bool {
	r.Helper()
	peaks := r.workload.peaks()
	for _, name := range r.workload.functions() {
		var opts []faas.FunctionOption
		if p.Options != nil {
			opts = p.Options(name, peaks[name])
		}
		f, err := faas.TryRegisterInit(r.router, name, r.init, opts...)
		if err != nil {
			r.Error(err)
			return false
		}
		r.functions[name] = f
	}
	return true
}

// init is the init of each instance. The instance counts as held from here, since a
// platform bills, and a host has in memory, also one that is still starting.
func (r *run) init(ctx context.Context) (faas.Handler[job, struct{}], func(context.Context) error, error) {
	r.hold(1)
	select {
	case <-time.After(r.workload.ColdStart):
		return r.handle, func(context.Context) error { r.hold(-1); return nil }, nil
	case <-ctx.Done(): // the router was closed during the cold start
		return nil, nil, ctx.Err()
	}
}

// hold changes the number of instances. Inits and closers run on goroutines of the router,
// so it takes mu; time.Now is read under it, so that the gauge's times never go back.
func (r *run) hold(by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held.add(time.Now(), by)
}

// handle is the handler of all functions. mu is not held while it sleeps: the sleep is the
// call's duration, and other calls run meanwhile.
func (r *run) handle(_ context.Context, j job) (struct{}, error) {
	r.mu.Lock()
	r.waits = append(r.waits, time.Since(j.arrived))
	r.waiting--
	r.running.add(time.Now(), 1)
	r.mu.Unlock()
	time.Sleep(j.takes)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running.add(time.Now(), -1)
	return struct{}{}, nil
}

// record is the router's meter. Only the record of a call says whether it was cold.
func (r *run) record(_ context.Context, e faas.Execution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Cold {
		r.cold++
	}
}

// decided is the router's hook for decisions. It keeps them all: [faas.Router.Decisions]
// keeps the last 64 of a function, and joins the steps of a burst.
func (r *run) decided(d faas.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decisions = append(r.decisions, d)
}

// play makes the calls, counts until the workload's length is over, and reports
// whether all calls were served.
func (r *run) play(policy string) bool {
	r.Helper()
	r.begin()
	var calls, watch sync.WaitGroup
	watch.Go(r.watch)
	for i, c := range r.workload.Calls {
		time.Sleep(time.Until(r.began.Add(c.At)))
		calls.Go(func() { r.call(c) })
		if tenth := max(1, len(r.workload.Calls)/10); (i+1)%tenth == 0 {
			r.Logf("%s: %d of %d calls, %v of %v", policy, i+1, len(r.workload.Calls), c.At.Round(time.Second), r.workload.Length)
		}
	}
	watch.Wait()
	calls.Wait()
	return !r.Failed()
}

// begin starts the counts, when all functions are registered and their first instances are
// ready. Earlier events, such as the decisions of the registrations, do not count: a policy
// with minimal instances would be charged for a cold start that no call waited for.
func (r *run) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = time.Now()
	r.held.begin(r.began)
	r.running.begin(r.began)
	r.decisions = nil
}

// call makes one call on a goroutine of its own. The call's arrival is counted before
// Invoke, so that its wait includes everything that the router does before the handler.
func (r *run) call(c Call) {
	r.mu.Lock()
	r.waiting++
	r.mu.Unlock()
	if _, err := r.functions[c.Function].Invoke(context.Background(), job{arrived: time.Now(), takes: c.Duration}); err != nil {
		r.Error(err)
	}
}

// points is the number of intervals of a timeline, which has one point more.
const points = 360

// watch records the timeline, and ends the counts at the workload's length.
func (r *run) watch() {
	for i := range points + 1 {
		at := r.workload.Length/points*time.Duration(i) + r.workload.Length%points*time.Duration(i)/points // Length*i could overflow: a year times points does
		time.Sleep(time.Until(r.began.Add(at)))
		r.mu.Lock()
		r.timeline = append(r.timeline, Point{At: at, Running: r.running.level, Waiting: r.waiting, Instances: r.held.level})
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held.end(time.Now())
	r.running.end(time.Now())
}

// result is called after all goroutines of play have ended. It takes mu, because the router's
// goroutines may still close instances. Calls may run for a while after the workload's end. That
// time is not counted, and the decisions in it are left out.
func (r *run) result(policy string) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.waits)
	out := Result{
		Policy: policy, Calls: len(r.waits), Cold: r.cold,
		P50: quantile(r.waits, .5), P99: quantile(r.waits, .99), Longest: quantile(r.waits, 1),
		Held: r.held.area, Used: r.running.area, Timeline: r.timeline,
	}
	for _, d := range r.decisions {
		if at := d.Time.Sub(r.began); at <= r.workload.Length {
			out.Decisions = append(out.Decisions, Decision{At: at, Function: d.Function, From: d.From, To: d.To, Rule: d.Rule})
		}
	}
	return out
}

// quantile returns the q-quantile of sorted values by the nearest-rank method.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// gauge is a level, and its integral over the time from begin to end.
type gauge struct {
	level int
	area  time.Duration
	last  time.Time
	ended bool
}

func (g *gauge) begin(now time.Time) { g.area, g.last = 0, now }

// add changes the level. The area first grows by the old level for the time since the last
// change. After end only the level changes: calls that run on must not count as used time.
func (g *gauge) add(now time.Time, by int) {
	if !g.ended {
		g.area += time.Duration(g.level) * now.Sub(g.last)
	}
	g.level, g.last = g.level+by, now
}

func (g *gauge) end(now time.Time) {
	g.add(now, 0)
	g.ended = true
}
