package faas

import "time"

// jobOption makes an option that changes a copy of the job policy, since the router and other
// functions may share the policy.
func jobOption(change func(*jobPolicy)) Option {
	return option(func(s *settings) {
		own := *s.jobs
		change(&own)
		s.jobs = &own
	})
}

// WithRetry sets when a function's jobs are tried again after a failed attempt. [Retry] says what
// the default is.
func WithRetry(r Retry) Option { return jobOption(func(p *jobPolicy) { p.retry = r }) }

// WithMaxAge sets how long after its due time a job may wait and be tried again. A job that has
// not succeeded by then is dead with [ConditionEventAgeExceeded]. A delivery that runs at that
// moment goes on, and counts if it succeeds. Default 6 hours, as on Lambda. [WithExpiry]
// overrides it for one job.
func WithMaxAge(d time.Duration) Option { return jobOption(func(p *jobPolicy) { p.maxAge = d }) }

// WithRetention sets how long a queue keeps the records of settled jobs: done is for jobs that
// succeeded or were canceled, dead for jobs that are dead. Defaults: 1 hour and 14 days. A
// memory queue that is full of settled jobs forgets the oldest earlier ([NewMemoryJobs]). The durable
// queue of package faasnats forgets none earlier: when its store is full, it refuses new jobs.
func WithRetention(done, dead time.Duration) Option {
	return jobOption(func(p *jobPolicy) { p.keepDone, p.keepDead = done, dead })
}

// WithOnSuccess sets the destination of a function's jobs that succeed. The default, the zero
// Destination, is none.
func WithOnSuccess(to Destination) Option {
	return jobOption(func(p *jobPolicy) { p.onSuccess = to })
}

// WithOnFailure sets the destination of a function's dead jobs. The default, the zero
// Destination, is none. A canceled job goes to no destination.
func WithOnFailure(to Destination) Option {
	return jobOption(func(p *jobPolicy) { p.onFailure = to })
}

// WithOverlap lets a job's next attempt begin while the handler of an earlier attempt still runs,
// for example because that attempt has timed out. Without it, the next attempt waits until that
// handler has returned. But it waits only if the same router runs both: another router that leases
// from the queue does not know of the handler.
//
// A job has one lease at a time (see [JobQueue]). So an attempt that has not ended yet overlaps the
// next one only if it has lost its lease, for example because its process was silent for too long.
// Once its router learns that, the context of its call ends.
func WithOverlap() Option { return jobOption(func(p *jobPolicy) { p.overlap = true }) }

// WithDeadOnBudget makes a job dead with [ConditionBudgetExceeded] if a spent budget refuses it.
// Without it, the job is parked until the budget's next window begins.
func WithDeadOnBudget() Option { return jobOption(func(p *jobPolicy) { p.deadOnBudget = true }) }

// WithUpgrade sets a func that converts old payloads, of jobs that waited while the program was
// changed. f is called with a payload that does not decode, and with the version that the job's
// sender named. It returns a payload that decodes. If the result does not decode, or f returns an
// error or panics, the job is dead with [ConditionInvalid]. Many goroutines call f at once, and
// it must not change old. With the default, nil, a job whose payload does not decode is dead.
func WithUpgrade(f func(old []byte, version string) ([]byte, error)) Option {
	return jobOption(func(p *jobPolicy) { p.upgrade = f })
}

// WithBatches sets how a function's batches are taken apart. A job is a batch if it was sent with
// [WithItems].
//
//   - If [Batches].Failed names some items, the delivery counts as a failed attempt. From then on
//     the job's input has only those items, since the others have succeeded.
//   - When the attempts are used up, the items that Failed has named are given up one by one: for
//     each there is a job, which is dead and goes to [WithOnFailure].
//   - A job whose items were moved to other jobs has succeeded, with [ConditionSplit].
//     [JobInfo].Parts has the jobs with its items. [Job.Wait] returns a [*JobError] for it.
//
// A job is not taken apart if its delivery was refused or if it is too old.
func WithBatches(b Batches) FunctionOption {
	return jobOption(func(p *jobPolicy) { p.batches = &b })
}

// WithCarrier adds a carrier. Its Name must not be empty, nor the same as another carrier's, and
// Save and Restore must be set. Many goroutines call the two at once; a panic counts as an error.
func WithCarrier(c Carrier) RouterOption {
	return routerOption(func(r *routerSettings) { r.carriers = append(r.carriers, c) })
}
