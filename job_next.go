package faas

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/foreign"
)

// jobEnd is the event that decides a job's next record: the end of a delivery, or another
// event, such as a cancellation.
type jobEnd struct {
	JobEnd // of a delivery; zero for another event

	what   jobEvent      // which event it is
	advice jobAdvice     // what the handler's error asks for
	after  time.Duration // a refusal's RetryAfter, or the handler's with adviceLater
	output []byte        // of a call that ended OK
	seed   float64       // in [0, 1): for the jitter
	batch  batchEnd      // which items of a batch failed
	more   *jobMore      // the room for what the record keeps of the end; nil: it is allocated
}

// jobEvent is what has happened to a job.
type jobEvent uint8

const (
	jobDelivered    jobEvent = iota // a delivery ended: it was refused, or its call is over
	jobCanceled                     // Cancel was called; with an Invocation, while the job ran
	jobHostDied                     // the hosts that had leased it have died, see Crashes
	jobTooOld                       // it was leased when it was too old
	jobBehindItself                 // it was leased while the handler of an earlier attempt still runs
	jobGivenUp                      // it was leased as a part of a batch that was given up: it is split further, and dead when it has one item
)

// mostCrashes is how many hosts may die while they have a job. Then the job is dead, since it may
// be what kills them.
const mostCrashes = 3

// The waits after deliveries that were no attempts, as on Lambda: each is twice the one before,
// from firstBackoff to longestBackoff.
const (
	firstBackoff   = time.Second
	longestBackoff = 5 * time.Minute
)

// reasonBudget is the reason with which the gate of package cost refuses a call when a budget is
// spent.
const reasonBudget = "budget"

// next returns a job's record after an event, and the records of the jobs that follow from it. It
// is pure and shared by all queues.
func next(rec JobRecord, end jobEnd, p *jobPolicy, now time.Time) (JobRecord, []JobRecord) {
	follow := rec.goOn(&end, p, now)
	return rec, follow
}

// goOn is next, in place: rec becomes the next record.
func (rec *JobRecord) goOn(end *jobEnd, p *jobPolicy, now time.Time) (follow []JobRecord) {
	rec.count(end)
	rec.keepFailed(&end.batch)
	return decide(rec, end, p, now).apply(rec, end, p, now)
}

// premature returns the event of a job that was leased and must not run. ok is false if the job
// may run.
func (rec *JobRecord) premature(p *jobPolicy, now time.Time) (end jobEnd, ok bool) {
	switch {
	case rec.Crashes >= mostCrashes:
		return jobEnd{what: jobHostDied}, true
	case rec.Condition != "":
		return jobEnd{what: jobGivenUp}, true
	case !now.Before(rec.expiry(p)):
		return jobEnd{what: jobTooOld}, true
	}
	return jobEnd{}, false
}

// expiry returns when the job is too old to run.
func (rec *JobRecord) expiry(p *jobPolicy) time.Time {
	if rec.MaxAge > 0 {
		return rec.Due.Add(rec.MaxAge)
	}
	return rec.Due.Add(p.maxAge)
}

// count adds the delivery that has ended to the record's counts.
func (rec *JobRecord) count(end *jobEnd) {
	ran := end.Invocation != uuid.Nil
	if end.what != jobDelivered && !ran {
		return
	}
	rec.Deliveries++
	rec.Used += end.Duration
	if end.more == nil {
		last := end.JobEnd
		rec.Last = &last
	} else {
		end.more.end = end.JobEnd
		rec.Last = &end.more.end
	}
	if end.isAttempt() {
		rec.Attempts++
		rec.Refusals = 0
	}
}

// isAttempt reports whether the end counts against the policy of retries. It does if the handler
// has returned, panicked or exited, or if its timeout passed. It does not if the handler returned
// RetryAfter, or if the call was canceled, although the handler may have run.
func (end *jobEnd) isAttempt() bool {
	if end.what != jobDelivered || end.Kind != KindNone {
		return false
	}
	switch end.Outcome {
	case OK, Panicked, Exited, TimedOut, OutputInvalid:
		return true
	case Failed:
		return end.advice != adviceLater
	case Canceled, InitFailed, outcomeCount:
	}
	return false
}

// jobStep is the decision about a job: the state that it enters.
type jobStep struct {
	state     JobState     // scheduled, parked, or a settled one
	condition JobCondition // for a settled state: why
	at        time.Time    // for the other states: when the job may run next, or until when it is parked
	parkedFor JobWait      // for a parked job: what it waits for
	refused   bool         // the delivery was no attempt: the next backoff is longer
	splits    JobCondition // for ConditionSplit: why the parts are given up; empty: the parts are tried
}

func dead(why JobCondition) jobStep { return jobStep{state: JobDead, condition: why} }

// decide is the table of decisions: which step follows from each event.
func decide(rec *JobRecord, end *jobEnd, p *jobPolicy, now time.Time) jobStep {
	switch end.what {
	case jobCanceled:
		return jobStep{state: JobCanceled, condition: ConditionCanceled}
	case jobTooOld:
		return dead(ConditionEventAgeExceeded)
	case jobHostDied:
		if rec.Crashes >= mostCrashes {
			return dead(ConditionHostCrashes)
		}
		return jobStep{at: now}
	case jobBehindItself:
		return jobStep{state: JobParked, at: rec.expiry(p), parkedFor: WaitHandler}
	case jobGivenUp:
		return giveUp(rec, end, p, rec.Condition)
	case jobDelivered:
	}
	if end.Kind != KindNone {
		return afterRefusal(rec, end, p, now)
	}
	return afterCall(rec, end, p, now)
}

// afterCall decides after the end of a delivery that was admitted. A failed attempt is repeated
// if the handler did not return Permanent, if there were at most Retry.Max attempts, and if the
// next one would begin before the job is too old. Otherwise the job is dead, or a batch is split.
// After RetryAfter only the age counts.
func afterCall(rec *JobRecord, end *jobEnd, p *jobPolicy, now time.Time) jobStep {
	switch end.Outcome {
	case OK:
		if len(end.batch.failed) == 0 {
			return jobStep{state: JobSucceeded, condition: ConditionSuccess}
		}
	case OutputInvalid: // the effects have happened, and another run would repeat them and fail again
		return dead(ConditionOutputInvalid)
	case InitFailed:
		return backoff(rec, end, now)
	case Canceled: // by the host's shutdown; Job.Cancel has the event jobCanceled
		return jobStep{at: now}
	case Failed, Panicked, Exited, TimedOut, outcomeCount:
	}
	switch end.advice {
	case adviceDead:
		return giveUp(rec, end, p, ConditionPermanent)
	case adviceLater:
		return jobStep{at: now.Add(end.after)}
	case adviceNone:
	}
	if rec.Attempts > p.retry.Max {
		return giveUp(rec, end, p, ConditionRetriesExhausted)
	}
	at := now.Add(p.retry.wait(rec.Attempts, end.seed))
	if !at.Before(rec.expiry(p)) { // the job is dead at once, as on Lambda, and is not kept until it is too old
		return dead(ConditionEventAgeExceeded)
	}
	return jobStep{at: at}
}

// giveUp decides about a job that is not tried again. If Failed named the items of a batch, they
// become dead one by one. A batch that failed as a whole may have items that would succeed: with
// Bisect it is split.
func giveUp(rec *JobRecord, end *jobEnd, p *jobPolicy, why JobCondition) jobStep {
	switch {
	case rec.Items < 2 || end.batch.pick == nil:
	case len(end.batch.failed) > 0 || end.what == jobGivenUp:
		return jobStep{state: JobSucceeded, condition: ConditionSplit, splits: why}
	case p.batches.Bisect:
		return jobStep{state: JobSucceeded, condition: ConditionSplit}
	}
	return dead(why)
}

// afterRefusal decides after a delivery that was refused.
func afterRefusal(rec *JobRecord, end *jobEnd, p *jobPolicy, now time.Time) jobStep {
	switch end.Kind {
	case KindDenied:
		return dead(ConditionDenied)
	case KindInvalid:
		return dead(ConditionInvalid)
	case KindTooLarge:
		return dead(ConditionTooLarge)
	case KindNesting:
		return dead(ConditionNesting)
	case KindNotFound: // parked until the function is registered, here or on another host, as in a rolling deploy
		return jobStep{state: JobParked, at: rec.expiry(p), parkedFor: WaitFunction}
	case KindClosed, KindCanceled: // this host is shutting down: another one runs the job
		return jobStep{at: now}
	case KindBusy:
		switch {
		case end.Reason == ReasonOff:
			return dead(ConditionZeroReservedConcurrency)
		case end.Reason == reasonBudget && p.deadOnBudget:
			return dead(ConditionBudgetExceeded)
		case end.Reason == reasonBudget && end.after > 0:
			return jobStep{state: JobParked, at: now.Add(end.after), parkedFor: WaitBudget}
		}
	case KindUnavailable, KindNone, kinds:
	}
	return backoff(rec, end, now)
}

// backoff is the step after a delivery that was no attempt: the job waits twice as long as the
// last time, at most longestBackoff, but at least the refusal's RetryAfter.
func backoff(rec *JobRecord, end *jobEnd, now time.Time) jobStep {
	wait := longestBackoff
	if n := rec.Refusals; n < 9 { // 1 s << 9 is longer than longestBackoff
		wait = min(firstBackoff<<n, longestBackoff)
	}
	return jobStep{at: now.Add(max(wait, end.after)), refused: true}
}

// apply turns rec into the record after a step. If the step would make the job wait but it is too
// old by now, the job is dead instead.
func (s jobStep) apply(rec *JobRecord, end *jobEnd, p *jobPolicy, now time.Time) (follow []JobRecord) {
	if !s.state.IsSettled() {
		limit := rec.expiry(p)
		if now.Before(limit) {
			s.wait(rec, limit, now)
			return nil
		}
		s = dead(ConditionEventAgeExceeded)
	}
	var parts []JobRecord
	if s.condition == ConditionSplit {
		if parts = rec.split(&end.batch, s.splits, now); parts == nil {
			s = dead(cmp.Or(s.splits, ConditionRetriesExhausted))
		}
	}
	rec.State, rec.Condition, rec.Settled, rec.NotBefore, rec.ParkedFor = s.state, s.condition, now, time.Time{}, ""
	rec.KeepUntil = now.Add(p.keepDone)
	switch s.state {
	case JobSucceeded:
		rec.Output = end.output
	case JobDead:
		rec.KeepUntil = now.Add(p.keepDead)
	case JobCanceled, JobScheduled, JobReady, JobRunning, JobParked:
	}
	if parts != nil {
		return parts
	}
	return p.follow(rec, now)
}

// wait turns rec into the record of a job that waits. The job waits at most until it is too old:
// at that time it is leased once more, and becomes dead.
func (s jobStep) wait(rec *JobRecord, limit, now time.Time) {
	if s.refused {
		rec.Refusals++
	}
	rec.State, rec.NotBefore, rec.ParkedFor = s.state, s.at, s.parkedFor
	if limit.Before(s.at) {
		rec.NotBefore = limit
	}
	if s.state == JobScheduled && !now.Before(rec.NotBefore) {
		rec.State = JobReady
	}
}

// unparked returns the record of a parked or scheduled job made ready.
func (rec JobRecord) unparked(now time.Time) JobRecord {
	rec.State, rec.NotBefore, rec.ParkedFor = JobReady, now, ""
	return rec
}

// The bounds of what a record keeps of an error.
const (
	maxJobError  = 4 << 10     // bytes of its text
	jobErrorTime = time.Second // for its Error method, which is foreign code
)

// endOf describes how a delivery ended, from the error that its call returned. timeout is the
// timeout that the call had. The caller adds what the error does not contain, such as the output.
func (rec *JobRecord) endOf(err error, timeout time.Duration, now time.Time) jobEnd {
	end := EndOf(err, rec.calledName())
	je := jobEnd{JobEnd: JobEnd{At: now, Kind: end.Kind, Outcome: end.Outcome}}
	if err == nil {
		return je
	}
	if end.Err != nil {
		je.Reason, je.after = end.Err.Reason, end.Err.RetryAfter
	} else {
		je.advice, je.after = adviceOf(err)
	}
	je.Error, je.ErrorType = rec.describe(err, end, timeout)
	return je
}

// describe returns the text and the type of an error, in Lambda's words where Lambda has some.
func (rec *JobRecord) describe(err error, end End, timeout time.Duration) (text, kind string) {
	var told any = err
	switch end.Outcome {
	case TimedOut:
		return fmt.Sprintf("RequestId: %v Error: Task timed out after %.2f seconds", rec.ID, timeout.Seconds()), "Sandbox.Timedout"
	case Exited:
		return fmt.Sprintf("RequestId: %v Error: Runtime exited without providing a reason", rec.ID), "Runtime.ExitError"
	case Panicked:
		if p, ok := end.Err.Err.(*PanicError); ok { //nolint:errorlint // the platform put it there
			told = p.Value
		}
	case Failed:
		told = unadvised(err)
	case OK, Canceled, OutputInvalid, InitFailed, outcomeCount:
	}
	text, ok := told.(string) // the argument of panic("…") is used as it is, without quotes
	if !ok {
		text, _ = foreign.TextWithin(told, jobErrorTime)
	}
	if len(text) > maxJobError {
		text = text[:maxJobError]
	}
	return strings.ToValidUTF8(text, "\uFFFD"), typeName(told)
}

// unadvised returns the error inside RetryAfter and Permanent.
func unadvised(err error) error {
	switch e := err.(type) { //nolint:errorlint // only the outer wrappers are removed; what is inside is the handler's own error
	case *retryLaterError:
		return unadvised(e.error)
	case *permanentError:
		return unadvised(e.error)
	}
	return err
}

// typeName returns the name of a value's type without package and pointer. aws-lambda-go names
// errors like that.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t == nil {
		return ""
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// follow returns the job that reports a settled job's end to its destination, if there is one.
func (p *jobPolicy) follow(rec *JobRecord, now time.Time) []JobRecord {
	to, which := Destination{}, ""
	switch rec.State {
	case JobSucceeded:
		to, which = p.onSuccess, DeliversSuccess
	case JobDead:
		to, which = p.onFailure, DeliversFailure
	case JobCanceled, JobScheduled, JobReady, JobRunning, JobParked:
	}
	if to.IsZero() || rec.endsHere() {
		return nil
	}
	payload, err := json.Marshal(rec.envelope())
	if err != nil {
		payload = nil // can't happen: all fields of an envelope encode
	}
	origin := JobOrigin{Principal: rec.Function, Depth: 1, Job: rec.ID, Delivers: which}
	if o := rec.Origin; o != nil {
		origin.Depth += o.Depth
		origin.RequestID, origin.Key, origin.Carried = o.RequestID, o.Key, o.Carried
	}
	if rec.Last != nil {
		origin.Invocation = rec.Last.Invocation
	}
	tell := JobRecord{
		Format: JobFormat, ID: uuid.NewSHA1(rec.ID, []byte(which)), NewID: true, Function: rec.Function, Tenant: rec.Tenant, Priority: rec.Priority,
		State: JobReady, Accepted: now, Due: now, Payload: payload, Origin: &origin,
	}
	if to.function != "" {
		origin.Delivers = ""
		if tell.Function = baseName(to.function); tell.Function != to.function {
			tell.Name = to.function
		}
	}
	return []JobRecord{tell}
}

// endsHere reports whether no destination is told the end of this job. That is so for a delivery
// to a Go func. It is also so for a delivery that went too deep: the delivery of its own end
// would be one level deeper, and so on for ever.
func (rec *JobRecord) endsHere() bool {
	o := rec.Origin
	return o != nil && o.Job != uuid.Nil && (o.Delivers != "" || rec.Condition == ConditionNesting)
}
