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

// Job is the handle of a job: a call that was accepted to be made later, see
// [Function.Send]. Out is the type of the function's output; for a handle by
// [Router.Job] that is the encoded output. Its methods may be called concurrently. To
// drop a Job does nothing to the job itself.
type Job[Out any] struct {
	router    *Router
	id        uuid.UUID
	duplicate bool
	codec     Codec
	answer    *jobAnswer // has the end once Wait has seen it, or the queue in memory has told it
}

// newJob returns the handle of a job that was sent, or was there already.
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

// ID returns the job's ID, which is none of its invocations'.
func (j *Job[Out]) ID() uuid.UUID { return j.id }

// Duplicate reports whether the Send that returned j found a job with the same unique
// key or ID: then j is that job, and no other was accepted.
func (j *Job[Out]) Duplicate() bool { return j.duplicate }

// Wait returns the job's output once it has succeeded. For one that is dead or canceled, and for
// a batch that was split ([WithBatches]), it returns a *[JobError]. It returns ctx's error if ctx ends before, an error that Is
// [ErrClosed] if the router is shut down before, and [ErrForgotten], or [ErrNotFound] if
// the queue does not know the ID, if neither the queue nor j has the record. A Job keeps it
// once Wait has seen it. One that Send, SendAll or Replay has returned has it as soon as the
// job has ended, if the queue is one in memory: so its answer is not lost however many jobs
// end before Wait is called.
//
// In a handler it answers an error that Is [ErrCycle] unless the job has ended: a call
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

// await returns the end of the settled job.
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

// Info describes the job as it is. The error is that of the queue: see [JobQueue].Get.
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

// Cancel cancels the job. One that waits never runs. The context of one that runs in this
// process ends at once, with [ErrJobCanceled] as its cause, and Cancel returns when
// that call is over, or when ctx ends; a handler that cancels its own job gets nil at once. If
// the job has succeeded or is dead, also if the handler was just done, the error Is
// [ErrSettled]. A job that was canceled before is no error.
func (j *Job[Out]) Cancel(ctx context.Context) error {
	if ctx == nil {
		return usageError("cancel", "", ErrInput, "%v", errNilContext)
	}
	return j.router.cancelJob(viewOf(ctx), j.id, callOf(ctx))
}

// Job returns the handle of a job by its ID. It does not look whether there is one.
func (r *Router) Job(id uuid.UUID) *Job[[]byte] {
	return &Job[[]byte]{router: r, id: id, codec: r.common.codec, answer: untoldAnswer()}
}

// JobQueue returns the queue that keeps the router's jobs: that of [WithJobs], or the one
// in memory, which is made if there is none yet. It outlives the router: after a Shutdown
// that has left jobs, another router may have it by WithJobs and run them.
func (r *Router) JobQueue() JobQueue { return r.jobHost().queue.queue }

// Jobs yields the jobs that match, in the order of acceptance: see [JobQueue].List. An
// error is the last pair.
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

// Purge removes the records of settled jobs that match, and returns how many. Those that
// are not settled stay. Unique keys and IDs stay taken.
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

// JobInfo describes a job as it is. It is a copy, but for Labels, Last and Parts, which are not
// to be changed.
type JobInfo struct {
	ID        uuid.UUID
	Function  string // as it was sent: with a version or an alias, if it had one
	Tenant    string
	Priority  int
	State     JobState
	Waiting   JobWaiting   // of a job that waits: for what
	Condition JobCondition // of a settled job: why

	Accepted time.Time
	Due      time.Time // when it should run first
	Expires  time.Time // when it is too old to run
	Settled  time.Time // zero before

	Attempts   int           // deliveries that count against the policy of retries
	Deliveries int           // all that have ended
	Crashes    int           // of hosts that had it
	Used       time.Duration // the sum of Execution.Duration of its deliveries
	Last       *JobEnd       // how the last delivery ended; nil: none has
	Progress   JobProgress   // what the handler has told, see Progress

	OrderKey, UniqueKey string
	Labels              map[string]string
	Origin              Origin      // where it comes from: its deliveries have the same
	ReplayOf            uuid.UUID   // the job of which it is a replay
	Bytes               int         // of the encoded input
	Items               int         // of the batch that the input is, as far as they have not succeeded; 0: it is none
	Parts               []uuid.UUID // of a batch that was split: the jobs that have its items
}

// jobInfo describes a record.
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

// JobError is the end of a job that did not succeed, as [Job.Wait] answers it. It Is
// what the last delivery's error was, as far as the platform made that one ([ErrTimeout],
// [ErrExited], [ErrDenied] and so on), and [ErrJobCanceled] if it was canceled. What a
// handler returned or panicked with is there as text only: the job may have run in
// another process.
type JobError struct {
	ID        uuid.UUID
	Function  string // as it was sent
	State     JobState
	Condition JobCondition
	Last      JobEnd // the last delivery; zero: there was none
}

// failed is the error of a job that ended so.
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
