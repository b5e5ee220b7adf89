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

// jobEnd is how a delivery of a job ended, or what else has happened to the job.
type jobEnd struct {
	JobEnd // of a delivery

	what   jobEvent
	advice jobAdvice     // of the handler's error
	after  time.Duration // of a refusal: its RetryAfter; with adviceLater: the handler's
	output []byte        // of a call that ended OK
	seed   float64       // in [0, 1): for the jitter
	batch  batchEnd
	more   *jobMore // has room for what the record keeps of the end; nil: that is to be made
}

// jobEvent is what has happened to a job.
type jobEvent uint8

const (
	jobDelivered    jobEvent = iota // a delivery ended: it was refused, or its call is over
	jobCanceled                     // Cancel was called; with an Invocation, while it ran
	jobHostDied                     // it was leased by hosts that died, see Crashes
	jobTooOld                       // it was leased after its age was over
	jobBehindItself                 // it was leased while the handler of its last attempt still runs
	jobGivenUp                      // it has the items of a batch that was given up, which are split until each is by itself
)

// mostCrashes is how many hosts may die while they have a job before it is given up: it
// may be what kills them.
const mostCrashes = 3

// The waits of a delivery that was no attempt, as on Lambda: they double from the first
// to the longest.
const (
	firstBackoff   = time.Second
	longestBackoff = 5 * time.Minute
)

// reasonBudget is the reason with which the gate of package cost refuses a call if a
// budget is spent.
const reasonBudget = "budget"

// next returns what becomes of a job: its next record, and the records of the jobs that
// follow from it. It is pure, so that the rules of all queues are these.
func next(rec JobRecord, end jobEnd, p *jobPolicy, now time.Time) (JobRecord, []JobRecord) {
	follow := rec.goOn(&end, p, now)
	return rec, follow
}

// goOn is next: the record becomes the next one.
func (rec *JobRecord) goOn(end *jobEnd, p *jobPolicy, now time.Time) (follow []JobRecord) {
	rec.count(end)
	rec.keepFailed(&end.batch)
	return decide(rec, end, p, now).apply(rec, end, p, now)
}

// premature returns why a job that was leased must not run. ok is false if it may.
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

// expiry is when the job is too old to run.
func (rec *JobRecord) expiry(p *jobPolicy) time.Time {
	if rec.MaxAge > 0 {
		return rec.Due.Add(rec.MaxAge)
	}
	return rec.Due.Add(p.maxAge)
}

// count notes a delivery in the record's counts.
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

// isAttempt reports whether the end counts against the policy of retries: the handler has
// returned, panicked or exited, or its timeout passed, and it did not say by RetryAfter that this
// was no attempt. A call that was canceled does not count, although its handler may have run.
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

// jobStep is what becomes of a job.
type jobStep struct {
	state     JobState     // scheduled, parked, or a terminal one
	condition JobCondition // of a terminal state
	at        time.Time    // of the others: when it may run next, or how long it is parked
	parkedFor JobWait      // of a parked one
	refused   bool         // the next such wait is longer
	splits    JobCondition // with ConditionSplit: why the parts are given up; empty: they are tried
}

func dead(why JobCondition) jobStep { return jobStep{state: JobDead, condition: why} }

// decide is the table of what follows from each end.
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

// afterCall decides about a delivery that was admitted, when it ends: see finish. A failure is
// tried again if the handler did not say Permanent, if there were at most Retry.Max attempts, and
// if the next begins before the job is too old. Else the job is dead, or a batch is split. After
// RetryAfter only the age counts.
func afterCall(rec *JobRecord, end *jobEnd, p *jobPolicy, now time.Time) jobStep {
	switch end.Outcome {
	case OK:
		if len(end.batch.failed) == 0 {
			return jobStep{state: JobSucceeded, condition: ConditionSuccess}
		}
	case OutputInvalid: // its effects have happened: another run would repeat them for the same output
		return dead(ConditionOutputInvalid)
	case InitFailed:
		return backoff(rec, end, now)
	case Canceled: // by the host's shutdown: Job.Cancel is jobCanceled
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
	if !at.Before(rec.expiry(p)) { // known already: as Lambda, it is not kept waiting for that
		return dead(ConditionEventAgeExceeded)
	}
	return jobStep{at: at}
}

// giveUp decides about a job that is tried no more. Items that were named as failed die one by one;
// a batch that failed as a whole may hold items that would not.
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

// afterRefusal decides about a delivery that was not admitted.
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
	case KindNotFound: // until it is registered, here or by another host: a rolling deploy
		return jobStep{state: JobParked, at: rec.expiry(p), parkedFor: WaitFunction}
	case KindClosed, KindCanceled: // the host is going: the next one takes it
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

// backoff is the step after a delivery that was no attempt: the job waits twice as long as after
// the one before, up to longestBackoff, and never less than the refusal's RetryAfter.
func backoff(rec *JobRecord, end *jobEnd, now time.Time) jobStep {
	wait := longestBackoff
	if n := rec.Refusals; n < 9 { // 1 s << 9 is longer
		wait = min(firstBackoff<<n, longestBackoff)
	}
	return jobStep{at: now.Add(max(wait, end.after)), refused: true}
}

// apply makes the record of a step. If the job is too old by now, a step that would wait makes it
// dead instead.
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

// wait makes the record of a step that is not terminal. A job waits no longer than until
// it is too old: then it is leased once more, to be given up.
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

// unparked returns the record of a parked or scheduled job that may run now.
func (rec JobRecord) unparked(now time.Time) JobRecord {
	rec.State, rec.NotBefore, rec.ParkedFor = JobReady, now, ""
	return rec
}

// The bounds of what a record keeps of an error.
const (
	maxJobError  = 4 << 10     // bytes of its text
	jobErrorTime = time.Second // for its Error method, which is foreign code
)

// endOf describes how a delivery ended, from the error that the call returned. timeout is
// the one that it had. The caller adds what the error does not tell.
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

// describe returns text and type of an error, in Lambda's words where it has some.
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
	text, ok := told.(string) // of panic("…"): not to be quoted
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
	switch e := err.(type) { //nolint:errorlint // only the outer ones: what is inside is the handler's
	case *retryLaterError:
		return unadvised(e.error)
	case *permanentError:
		return unadvised(e.error)
	}
	return err
}

// typeName is the name of a value's type without package and pointer, as aws-lambda-go
// names errors.
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

// follow returns the job that tells a settled job's end to its destination, if it has one.
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
		payload = nil // all of it always encodes
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

// endsHere reports whether the end of this job is told to no destination. That of a
// delivery to a Go func is not; nor is that of a delivery which went too deep, because
// its own would go one deeper, and so on for ever.
func (rec *JobRecord) endsHere() bool {
	o := rec.Origin
	return o != nil && o.Job != uuid.Nil && (o.Delivers != "" || rec.Condition == ConditionNesting)
}
