package faas

import (
	"time"

	"github.com/google/uuid"
)

// Delivery is how a delivery of a job ended, apart from its error.
type Delivery struct {
	Invocation uuid.UUID
	Version    string
	Duration   time.Duration
	Timeout    time.Duration
	Output     []byte
	Seed       float64
}

// The events of jobs other than the end of a delivery.
const (
	JobWasCanceled    = jobCanceled
	JobHostDied       = jobHostDied
	JobWasTooOld      = jobTooOld
	JobIsBehindItself = jobBehindItself
)

// policyOf returns the policy of a function with these options.
func policyOf(opts []Option) *jobPolicy {
	s := defaultSettings()
	for _, o := range opts {
		o.applyFunction(&s.defaults)
	}
	return s.defaults.jobs
}

// AfterDelivery returns a job's record after a delivery that ended with err, and the jobs that
// are sent because of it.
func AfterDelivery(rec JobRecord, err error, d Delivery, now time.Time, opts ...Option) (JobRecord, []JobRecord) {
	end := rec.endOf(err, d.Timeout, now)
	end.Invocation, end.Version, end.Duration, end.output, end.seed = d.Invocation, d.Version, d.Duration, d.Output, d.Seed
	return next(rec, end, policyOf(opts), now)
}

// AfterEvent returns a job's record after an event other than the end of a delivery, and the jobs
// that are sent because of it.
func AfterEvent(rec JobRecord, what jobEvent, d Delivery, now time.Time, opts ...Option) (JobRecord, []JobRecord) {
	end := jobEnd{what: what}
	end.Invocation, end.Duration = d.Invocation, d.Duration
	return next(rec, end, policyOf(opts), now)
}

// Premature returns the record of a job that was leased but must not run yet.
func Premature(rec JobRecord, now time.Time, opts ...Option) (JobRecord, []JobRecord, bool) {
	end, ok := rec.premature(policyOf(opts), now)
	if !ok {
		return rec, nil, false
	}
	settled, follow := next(rec, end, policyOf(opts), now)
	return settled, follow, true
}

// Unparked returns the record of a parked job after the job was made ready.
func Unparked(rec JobRecord, now time.Time) JobRecord { return rec.unparked(now) }
