package faas

import "time"

// jobPolicy is what the options of a function set about its jobs.
type jobPolicy struct {
	retry        Retry
	maxAge       time.Duration
	keepDone     time.Duration
	keepDead     time.Duration
	onSuccess    Destination
	onFailure    Destination
	overlap      bool
	deadOnBudget bool
	upgrade      func(old []byte, version string) ([]byte, error)
	batches      *Batches // nil: WithBatches is not set
}

// lambdaPolicy returns the default policy: what AWS Lambda does with asynchronous invocations
// (Developer Guide, "How Lambda handles errors and retries with asynchronous invocation").
func lambdaPolicy() *jobPolicy {
	return &jobPolicy{retry: Retry{Max: 2}, maxAge: 6 * time.Hour, keepDone: time.Hour, keepDead: 14 * 24 * time.Hour}
}

// delivering returns the policy of a job that delivers to one of the function's destinations.
func (p *jobPolicy) delivering(which string) *jobPolicy {
	to := p.destination(which)
	if to.retry == nil {
		return p
	}
	own := *p
	own.retry = *to.retry
	return &own
}

// destination returns the destination to which a job with that JobOrigin.Delivers delivers.
func (p *jobPolicy) destination(which string) Destination {
	if which == DeliversSuccess {
		return p.onSuccess
	}
	return p.onFailure
}

// check returns an error, made by bad, if a value is out of range.
func (p *jobPolicy) check(bad func(format string, args ...any) error) error {
	for _, err := range []error{p.retry.check(bad), p.onSuccess.check(bad), p.onFailure.check(bad), p.batches.check(bad)} {
		if err != nil {
			return err
		}
	}
	switch {
	case p.maxAge <= 0:
		return bad("WithMaxAge(%v): an age must be positive; for no limit, use a very large one", p.maxAge)
	case p.keepDone < 0 || p.keepDead < 0:
		return bad("WithRetention(%v, %v): a time can't be negative", p.keepDone, p.keepDead)
	}
	return nil
}

// JobPolicy shows what a function's options set about its jobs: see [WithRetry], [WithMaxAge],
// [WithRetention], [WithOnSuccess] and [WithOnFailure].
type JobPolicy struct {
	Retry                Retry
	MaxAge               time.Duration
	KeepDone, KeepDead   time.Duration
	OnSuccess, OnFailure Destination
}

// shown returns the policy as Info shows it.
func (p *jobPolicy) shown() JobPolicy {
	return JobPolicy{
		Retry: p.retry, MaxAge: p.maxAge, KeepDone: p.keepDone, KeepDead: p.keepDead, OnSuccess: p.onSuccess, OnFailure: p.onFailure,
	}
}
