package faas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Job is the handle of a job: of a call that was accepted to be made later, see [Function.Send].
// Out is the type of the function's output; a handle by [Router.Job] returns the encoded output
// instead. The methods may be called concurrently. The job runs whether or not the program keeps
// its Job.
type Job[Out any] struct {
	router    *Router
	id        uuid.UUID
	duplicate bool
	codec     Codec
	answer    *jobAnswer // has the job's end, once Wait has read it or the queue in memory has set it
}

// newJob returns the handle of the job that Send returns. sent is Send's error: nil, or
// ErrDuplicate for a job that was there before.
func newJob[Out any](r *Router, rec *JobRecord, sent error, codec Codec) *Job[Out] {
	j := &Job[Out]{router: r, id: rec.ID, duplicate: sent != nil, codec: codec, answer: rec.answer}
	if j.answer == nil {
		j.answer = untoldAnswer()
	}
	if rec.State.IsSettled() {
		j.answer.end.Store(rec.more())
	}
	return j
}

// ID returns the job's ID. The invocations of the job have other IDs.
func (j *Job[Out]) ID() uuid.UUID { return j.id }

// Duplicate reports whether the Send that returned j found a job with the same unique key or ID.
// If so, j is that job, and Send accepted no other.
func (j *Job[Out]) Duplicate() bool { return j.duplicate }

// Wait waits for the end of the job. It returns the job's output if it has succeeded. If the job
// is dead or canceled, or is a batch that was split ([WithBatches]), it returns a *[JobError]. If
// ctx ends before the job, it returns ctx's error; if the router is shut down before, an error
// that Is [ErrClosed].
//
// If the queue no longer has the job's record, Wait returns an error that Is [ErrForgotten], or
// [ErrNotFound] if the queue does not know the ID. But a Job keeps the end of its job once Wait
// has returned it. With a queue in memory, a Job that Send, SendAll or Replay has returned keeps
// the end from the moment at which the job ends, however many jobs end before Wait is called.
//
// In a handler, Wait returns an error that Is [ErrCycle] unless the job has ended already: a call
// that has a slot must not wait for a queue.
func (j *Job[Out]) Wait(ctx context.Context) (Out, error) {
	var out Out
	end, err := j.await(ctx)
	if err != nil {
		return out, err
	}
	if end.state != JobSucceeded || end.condition == ConditionSplit {
		return out, end.failed(j.id)
	}
	data := end.output
	if _, raw := any(out).([]byte); raw {
		data = bytes.Clone(data)
	}
	if err := decode(j.codec, data, &out); err != nil {
		var zero Out
		return zero, &Error{Op: "wait", Function: end.name, Err: wrapCause(ErrOutput, err)}
	}
	return out, nil
}

// await waits for the end of the job and returns it.
func (j *Job[Out]) await(ctx context.Context) (*jobMore, error) {
	if end := j.answer.end.Load(); end != nil {
		return end, nil
	}
	if ctx == nil {
		return nil, usageError("wait", "", ErrInput, "%v", errNilContext)
	}
	inside := callOf(ctx)
	if end := j.router.awaitAnswer(ctx, j.answer, inside); end != nil {
		return end, nil
	}
	rec, err := j.router.awaitJob(viewOf(ctx), j.id, inside)
	if err == nil {
		end := rec.more()
		j.answer.end.Store(end)
		return end, nil
	}
	if end := j.answer.end.Load(); end != nil && (errors.Is(err, ErrForgotten) || errors.Is(err, ErrNotFound)) {
		return end, nil
	}
	return nil, err
}

// Info describes the job at this moment. The error is that of [JobQueue].Get.
func (j *Job[Out]) Info(ctx context.Context) (JobInfo, error) {
	if ctx == nil {
		return JobInfo{}, usageError("job", "", ErrInput, "%v", errNilContext)
	}
	rec, err := j.router.jobHost().queue.get(viewOf(ctx), j.id)
	if err != nil {
		return JobInfo{}, err
	}
	return j.router.jobInfo(&rec), nil
}

// Cancel cancels the job. A job that waits never runs then. If the job runs in this process, its
// context ends at once, with [ErrJobCanceled] as the cause, and Cancel returns when that call is
// over, or when ctx ends. A handler that cancels its own job gets nil at once. If the job has
// succeeded or is dead, the error Is [ErrSettled]; that includes a job whose handler has just
// returned. If the job was canceled before, Cancel returns nil.
func (j *Job[Out]) Cancel(ctx context.Context) error {
	if ctx == nil {
		return usageError("cancel", "", ErrInput, "%v", errNilContext)
	}
	return j.router.cancelJob(viewOf(ctx), j.id, callOf(ctx))
}

// Job returns the handle of the job with that ID. It does not check that the job exists.
func (r *Router) Job(id uuid.UUID) *Job[[]byte] {
	return &Job[[]byte]{router: r, id: id, codec: r.common.codec, answer: untoldAnswer()}
}

// JobQueue returns the queue that keeps the router's jobs: that of [WithJobs], or one in memory,
// which JobQueue makes if there is none yet. The queue outlives the router: after a Shutdown that
// has left jobs, another router can be given the queue by WithJobs, and run them.
func (r *Router) JobQueue() JobQueue { return r.jobHost().queue.queue }

// Jobs yields the jobs that match filter, in the order of acceptance: see [JobQueue].List. If the
// queue fails, the last pair has the error.
func (r *Router) Jobs(ctx context.Context, filter JobFilter) iter.Seq2[JobInfo, error] {
	return func(yield func(JobInfo, error) bool) {
		if ctx == nil {
			yield(JobInfo{}, usageError("jobs", "", ErrInput, "%v", errNilContext))
			return
		}
		for rec, err := range r.jobHost().queue.list(viewOf(ctx), filter) {
			info := JobInfo{}
			if err == nil {
				info = r.jobInfo(&rec)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Purge removes the records of the settled jobs that match filter, and returns their number. It
// leaves jobs that are not settled. The IDs and unique keys of removed jobs stay taken.
func (r *Router) Purge(ctx context.Context, filter JobFilter) (int, error) {
	if ctx == nil {
		return 0, usageError("purge", "", ErrInput, "%v", errNilContext)
	}
	n, queue := 0, r.jobHost().queue
	for rec, err := range queue.list(viewOf(ctx), filter) {
		if err != nil {
			return n, err
		}
		if !rec.State.IsSettled() {
			continue
		}
		err := queue.swap(viewOf(ctx), rec, JobRecord{})
		switch {
		case err == nil:
			n++
		case !isGoneJob(err):
			return n, err
		}
	}
	return n, nil
}

// JobInfo describes a job at one moment. It is a copy, except that it shares Labels, Last and
// Parts with the queue; they must not be changed.
type JobInfo struct {
	ID        uuid.UUID
	Function  string // the name by which the job was sent: with a version or an alias, if it had one
	Tenant    string
	Priority  int
	State     JobState
	Waiting   JobWaiting   // why the job does not run; zero for a job that runs or is settled
	Condition JobCondition // why the job was settled; empty before

	Accepted time.Time
	Due      time.Time // when it should run for the first time
	Expires  time.Time // when it is too old to run
	Settled  time.Time // zero until it is settled

	Attempts   int           // deliveries that count against the policy of retries
	Deliveries int           // the deliveries that have ended
	Crashes    int           // how many of its hosts have died while they had it
	Used       time.Duration // the sum of Execution.Duration of its deliveries
	Last       *JobEnd       // how the last delivery ended; nil until one has
	Progress   JobProgress   // what the handler has passed to the func Progress

	OrderKey, UniqueKey string
	Labels              map[string]string
	Origin              Origin      // where the job comes from; its deliveries have the same origin
	ReplayOf            uuid.UUID   // the job of which this one is a replay; zero: it is none
	Bytes               int         // of the encoded input
	Items               int         // how many items of the batch have not succeeded; 0: the job is no batch
	Parts               []uuid.UUID // the jobs that have the items of a batch that was split
}

// jobInfo makes the JobInfo of a record.
func (r *Router) jobInfo(rec *JobRecord) JobInfo {
	info := JobInfo{
		ID: rec.ID, Function: rec.calledName(), Tenant: rec.Tenant, Priority: rec.Priority, State: rec.State, Condition: rec.Condition,
		Accepted: rec.Accepted, Due: rec.Due, Expires: rec.expiry(r.jobPolicy(rec)), Settled: rec.Settled,
		Attempts: rec.Attempts, Deliveries: rec.Deliveries, Crashes: rec.Crashes, Used: rec.Used, Last: rec.Last, Progress: rec.Progress,
		OrderKey: rec.OrderKey, UniqueKey: rec.UniqueKey, Labels: rec.Labels, Bytes: len(rec.Payload), Items: rec.Items, Parts: rec.Parts,
	}
	if o := rec.Origin; o != nil {
		info.ReplayOf, info.Origin = o.ReplayOf, o.origin()
	}
	if j := r.hasJobs(); j != nil {
		debt := j.debts.of(rec.ID)
		info.Used, info.Deliveries = info.Used+debt.used, info.Deliveries+debt.deliveries
	}
	info.Waiting = r.waitingOf(rec)
	return info
}

// JobError is the error that [Job.Wait] returns for a job that did not succeed. It Is the error
// of the last delivery if that was one of the platform ([ErrTimeout], [ErrExited], [ErrDenied]
// and so on), and [ErrJobCanceled] if the job was canceled. The value that a handler returned or
// panicked with is there as text only, because the job may have run in another process.
type JobError struct {
	ID        uuid.UUID
	Function  string // the name by which the job was sent
	State     JobState
	Condition JobCondition
	Last      JobEnd // how the last delivery ended; zero: there was none
}

// failed returns the JobError of a job with this end.
func (m *jobMore) failed(id uuid.UUID) *JobError {
	e := &JobError{ID: id, Function: m.name, State: m.state, Condition: m.condition}
	if m.last != nil {
		e.Last = *m.last
	}
	return e
}

// Error returns the text, in one line.
func (e *JobError) Error() string {
	if e.Condition == ConditionSplit {
		return fmt.Sprintf("faas: job %q was split: its parts have the answers", e.Function)
	}
	text := fmt.Sprintf("faas: job %q %v (%s)", e.Function, e.State, e.Condition)
	if e.Last.Error != "" && e.State == JobDead {
		text += ": " + e.Last.Error
	}
	return text
}

// Unwrap returns the platform's error, or nil.
func (e *JobError) Unwrap() error {
	if e.State == JobCanceled {
		return ErrJobCanceled
	}
	switch e.Last.Kind {
	case KindNotFound:
		return ErrNotFound
	case KindDenied:
		return ErrDenied
	case KindInvalid:
		return ErrInput
	case KindTooLarge:
		return ErrTooLarge
	case KindBusy, KindUnavailable:
		return ErrOverloaded
	case KindNesting:
		return ErrDepth
	case KindClosed:
		return ErrClosed
	case KindNone, KindCanceled, kinds:
	}
	switch e.Last.Outcome {
	case TimedOut:
		return ErrTimeout
	case Exited:
		return ErrExited
	case OutputInvalid:
		return ErrOutput
	case InitFailed:
		return ErrInit
	case OK, Failed, Panicked, Canceled, outcomeCount:
	}
	return nil
}
