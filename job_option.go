package faas

import "time"

// jobOption makes an option that changes a copy of the job policy: the router and other
// functions may have the same.
func jobOption(change func(*jobPolicy)) Option {
	return option(func(s *settings) {
		own := *s.jobs
		change(&own)
		s.jobs = &own
	})
}

// WithRetry sets when a function's jobs are tried again after a failure. See [Retry] for
// the default.
func WithRetry(r Retry) Option { return jobOption(func(p *jobPolicy) { p.retry = r }) }

// WithMaxAge sets how long a job may wait and be tried again, counted from when it was
// due: one that has not succeeded by then is dead with EventAgeExceeded. A delivery that
// runs at that moment is not ended, and counts if it succeeds. Default 6 hours, as on
// Lambda. WithExpiry overrides it for one job.
func WithMaxAge(d time.Duration) Option { return jobOption(func(p *jobPolicy) { p.maxAge = d }) }

// WithRetention sets how long a queue keeps the records of settled jobs: done those that
// succeeded or were canceled, dead those that were given up. Default 1 hour and 14 days.
// A queue that has bounds may forget them earlier.
func WithRetention(done, dead time.Duration) Option {
	return jobOption(func(p *jobPolicy) { p.keepDone, p.keepDead = done, dead })
}

// WithOnSuccess sets where the results of a function's jobs go. The zero Destination, the
// default: nowhere.
func WithOnSuccess(to Destination) Option {
	return jobOption(func(p *jobPolicy) { p.onSuccess = to })
}

// WithOnFailure sets where the dead jobs of a function go, as WithOnSuccess does.
// Canceled ones go nowhere.
func WithOnFailure(to Destination) Option {
	return jobOption(func(p *jobPolicy) { p.onFailure = to })
}

// WithOverlap lets a job's next attempt begin while the handler of an attempt that timed
// out still runs. Without it the next waits until that handler has returned.
func WithOverlap() Option { return jobOption(func(p *jobPolicy) { p.overlap = true }) }

// WithDeadOnBudget makes a job dead with BudgetExceeded if a budget that is spent refuses
// it. Without it the job is parked until the budget's window rolls.
func WithDeadOnBudget() Option { return jobOption(func(p *jobPolicy) { p.deadOnBudget = true }) }

// WithUpgrade sets a function that makes the payload of a job that waited while the
// program was changed into one that decodes today. It is called with a payload that does
// not decode, and with the version that the job's sender named; a payload that does not
// decode after that, an error or a panic makes the job dead with Invalid. It is called by
// many goroutines at once and must not change old. Nil, the default: such jobs are dead.
func WithUpgrade(f func(old []byte, version string) ([]byte, error)) Option {
	return jobOption(func(p *jobPolicy) { p.upgrade = f })
}

// WithBatches sets how a function's jobs that are batches are taken apart. A job is a batch if it
// was sent with [WithItems].
//
//   - If some items failed ([Batches].Failed), that is an attempt of the job, and from then on the
//     job's input is those items alone: the others have succeeded.
//   - When the attempts are used up, the items that Failed named are given up one by one: each is
//     a job that is dead, and told to [WithOnFailure].
//   - A job that is split has succeeded, with [ConditionSplit]; [JobInfo].Parts are the jobs that
//     have its items. [Job.Wait] answers a [*JobError] for it.
//
// A job whose delivery was refused, or that is too old, stays together.
func WithBatches(b Batches) FunctionOption {
	return jobOption(func(p *jobPolicy) { p.batches = &b })
}

// WithCarrier adds a carrier. Its Name must not be empty or taken, and both of its funcs
// must be set. Many goroutines call them at once; a panic is an error.
func WithCarrier(c Carrier) RouterOption {
	return routerOption(func(r *routerSettings) { r.carriers = append(r.carriers, c) })
}
