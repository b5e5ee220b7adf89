package faastest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Jobs runs the jobs of a router for a test: within the test, jobs that a service has sent
// are retried, become dead and reach their destinations, and hours of waiting take no time.
// Make one with [NewJobs]. It has no state of its own: it also runs jobs that were sent
// before it was made, and a router may have several.
//
// Call its methods on the test's goroutine, inside the [testing/synctest] bubble in which
// the router was made, and not in a handler.
type Jobs struct {
	tb     testing.TB
	router *faas.Router
}

// NewJobs returns the Jobs of r.
//
// The jobs are in the queue of r: that of [faas.WithJobs], or the one in memory. Jobs that
// are left when the test ends are dropped and don't fail the test. To run all of them, call
// Drain.
func NewJobs(tb testing.TB, r *faas.Router) *Jobs {
	tb.Helper()
	return &Jobs{tb, r}
}

// Drain lets time pass until all jobs have ended, including the jobs that they send and
// those of destinations. Each job ends, at the latest when it is too old to run: for
// example, a job that waits for a function which is never registered is dead after
// [faas.WithMaxAge], by default six hours.
//
// Outside of a bubble it waits in real time: with the default of [faas.WithRetry] three
// minutes for a job that fails.
//
// It is fatal to the test if the router is closed, or the queue fails, before all jobs have
// ended; the message has the number of jobs that are left, by function and state. In a test
// with a deadline Drain gives up five seconds before it.
func (j *Jobs) Drain() {
	j.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience(j.tb))
	defer cancel()
	for left := j.left(); len(left) > 0; left = j.left() {
		for _, job := range left {
			if err := j.await(ctx, job.ID); err != nil {
				j.tb.Fatalf("faastest: Drain: %v; left: %s", err, names(j.left()))
				return
			}
		}
	}
}

// await waits until a job has ended, or was lost.
func (j *Jobs) await(ctx context.Context, id uuid.UUID) error {
	_, err := j.router.Job(id).Wait(ctx)
	if _, ended := errors.AsType[*faas.JobError](err); ended || errors.Is(err, faas.ErrForgotten) || errors.Is(err, faas.ErrNotFound) {
		return nil
	}
	return err
}

// Advance lets d pass, and lets the jobs that are due by then run until every goroutine of
// the bubble waits. A handler that sleeps waits too: Advance does not wait for its end.
//
// It is fatal to the test outside of a bubble, where Advance would have to sleep and could
// not know which jobs have run.
func (j *Jobs) Advance(d time.Duration) {
	j.tb.Helper()
	defer func() {
		if p := recover(); p != nil { // a panic of synctest.Wait
			j.tb.Fatalf("faastest: Advance: %v; only inside a bubble of testing/synctest can time be advanced, by one goroutine", p)
		}
	}()
	synctest.Wait() // it panics outside of a bubble, before the sleep
	time.Sleep(d)
	synctest.Wait()
}

// Dead returns the dead jobs, in the order in which they were sent. Their Condition says
// why they are dead, and Last how the last delivery ended. A queue keeps dead jobs for a
// time, see [faas.WithRetention]. For other jobs see [faas.Router.Jobs].
func (j *Jobs) Dead() []faas.JobInfo {
	j.tb.Helper()
	return j.list(faas.JobDead)
}

// Crash changes the jobs as a crash of the process would, and returns the number of changed
// jobs. With a queue in memory every job that has not ended is lost: its Wait returns an
// error that Is [faas.ErrNotFound], and its ID and unique key are free, so the job may be
// sent again. A queue that outlives the process loses leases, see LoseLeases.
//
// No goroutine can be killed. The router goes on as the router of the next process. A
// handler that runs goes on until its context ends, within 20 seconds and with
// [faas.ErrLease] as the cause, and what it returns counts for no job.
func (j *Jobs) Crash() int {
	j.tb.Helper()
	if q, ok := j.router.JobQueue().(interface{ LoseJobs() int }); ok {
		return q.LoseJobs()
	}
	return j.LoseLeases()
}

// LoseLeases ends all leases, as the death of a process does in a queue that outlives the
// process, and returns how many there were. Each of these jobs can be leased again at once, with
// Crashes one higher. A job that has lost its third lease is dead, with
// [faas.ConditionHostCrashes]. So the queue in memory can stand for one on a disk in the test of
// a handler that must be safe to run twice.
//
// A handler that runs goes on until its context ends, as after Crash, and the job's next delivery
// waits for it.
//
// The test fails at once if the queue has no method LoseLeases() int. A queue of another package
// may have that method, too.
func (j *Jobs) LoseLeases() int {
	j.tb.Helper()
	q, ok := j.router.JobQueue().(interface{ LoseLeases() int })
	if !ok {
		j.tb.Fatalf("faastest: a queue of type %T can't lose leases: it has no method LoseLeases() int", j.router.JobQueue())
		return 0
	}
	return q.LoseLeases()
}

// left returns the jobs that have not ended.
func (j *Jobs) left() []faas.JobInfo {
	j.tb.Helper()
	return j.list(faas.JobScheduled, faas.JobReady, faas.JobRunning, faas.JobParked)
}

// list returns the jobs in one of these states.
func (j *Jobs) list(states ...faas.JobState) []faas.JobInfo {
	j.tb.Helper()
	var all []faas.JobInfo
	for info, err := range j.router.Jobs(context.Background(), faas.JobFilter{States: states}) {
		if err != nil {
			j.tb.Fatalf("faastest: the queue of jobs: %v", err)
			return nil
		}
		all = append(all, info)
	}
	return all
}

// names returns the number of jobs for each function and state, as text.
func names(jobs []faas.JobInfo) string {
	counts := map[string]int{}
	for _, job := range jobs {
		counts[fmt.Sprintf("%q %v", job.Function, job.State)]++
	}
	var all []string
	for what, n := range counts {
		all = append(all, fmt.Sprintf("%s (%d)", what, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
