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

// Jobs runs the jobs of a router for a test: what a service has sent is retried, given up
// and told to its destinations within the test, and hours of waiting take no time. Make one
// with [NewJobs]. It has no state of its own: jobs that were sent before are its too, and
// a router may have several.
//
// Its methods are called by the test's goroutine, inside the [testing/synctest] bubble in
// which the router was made, and not by a handler.
type Jobs struct {
	tb     testing.TB
	router *faas.Router
}

// NewJobs returns the jobs of r.
//
// The jobs are in the queue of r: the one in memory, unless r has a [faas.WithJobs]. Jobs
// that are left when the test ends are dropped, and don't fail it: to run them all, call
// Drain.
func NewJobs(tb testing.TB, r *faas.Router) *Jobs {
	tb.Helper()
	return &Jobs{tb, r}
}

// Drain lets time pass until all jobs have ended, those that they send and those of
// destinations too. Each job ends, at the latest when it is too old to run: a job that
// waits for a function which is never registered is dead after [faas.WithMaxAge], by
// default six hours.
//
// Outside of a bubble it waits for real: with the default of [faas.WithRetry] three
// minutes for a job that fails.
//
// It is fatal to the test if the router is closed, or the queue fails, before all have
// ended; the message names what is left. In a test with a deadline it gives up five
// seconds before.
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

// Advance lets d pass, and then what is due by then run as far as it can: it returns when
// every goroutine of the bubble waits. A handler that takes a minute is one that waits.
//
// It is fatal to the test outside of a bubble, where a test would have to sleep and could
// not know what has run.
func (j *Jobs) Advance(d time.Duration) {
	j.tb.Helper()
	defer func() {
		if p := recover(); p != nil { // of synctest.Wait
			j.tb.Fatalf("faastest: Advance: %v; only inside a bubble of testing/synctest can time be advanced, by one goroutine", p)
		}
	}()
	synctest.Wait() // before it sleeps outside of a bubble
	time.Sleep(d)
	synctest.Wait()
}

// Dead returns the jobs that were given up, in the order in which they were sent: their
// Condition says why, and Last how the last delivery ended. A queue keeps dead jobs for a
// time, see [faas.WithRetention]. For other jobs see [faas.Router.Jobs].
func (j *Jobs) Dead() []faas.JobInfo {
	j.tb.Helper()
	return j.list(faas.JobDead)
}

// Crash does to the jobs what a crash of the process does, and returns how many it was
// done to. With a queue in memory every job that has not ended is lost: its Wait answers
// an error that Is [faas.ErrNotFound], and its ID and unique key are free, so that the job
// may be sent again. A queue that outlives the process loses leases, see LoseLeases.
//
// No goroutine can be killed. The router goes on as the one of the next process; a handler
// that runs does so until its context ends, within 20 seconds and with [faas.ErrLease] as
// the cause, and what it returns counts for no job.
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

// names lists jobs by function and state.
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
