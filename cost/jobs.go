package cost

import (
	"maps"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Spending says whether usage was for a plain call, or for which kind of delivery of a job.
// It is a part of every [Key], so a statement grouped By([SpentOn]) has a row for each kind,
// and the rows add up to the total.
//
// A call that a job's handler makes belongs to no job ([faas.Invocation]) and counts as
// OnCalls. A delivery that does not count as an attempt, for example because its handler
// returned [faas.RetryAfter], does not make the next delivery a retry.
type Spending uint8

// What usage may be for.
const (
	OnCalls         Spending = iota // calls that are not a delivery of a job
	OnFirstAttempts                 // deliveries of jobs whose Attempt is 1
	OnRetries                       // deliveries of jobs whose Attempt is higher
	OnDeadLetters                   // all deliveries of jobs that ended dead, first attempts and retries alike; see Ledger.CountJobs
)

// String returns "call", "first attempt", "retry" or "dead letter".
func (s Spending) String() string {
	names := [...]string{"call", "first attempt", "retry", "dead letter"}
	if int(s) < len(names) {
		return names[s]
	}
	return "Spending(?)"
}

// lot is the part of a key that is derived from a record and not copied from it: its
// Spending, and the two flags below. It is one byte, so that the table compares it fast.
type lot uint8

const (
	lotOverrun lot = 1 << 7
	lotJob     lot = 1 << 6 // the record has a job that is counted by itself
)

func (of lot) overrun() bool   { return of&lotOverrun != 0 }
func (of lot) spent() Spending { return Spending(of &^ (lotOverrun | lotJob)) }

// lotOf returns the lot (Spending and flags) of a record. If jobs are not counted one by one, it
// removes the job's ID from the record.
func (l *Ledger) lotOf(e *faas.Execution) lot {
	if e.Job == uuid.Nil {
		return lot(OnCalls)
	}
	of := lot(OnFirstAttempts)
	if e.Attempt > 1 {
		of = lot(OnRetries)
	}
	if l.jobs.Load() {
		return of | lotJob
	}
	e.Job = uuid.Nil
	return of
}

// CountJobs makes the ledger count jobs one by one, up to n in each period. Then statements
// can have a row for each job ([Job]) and for dead letters ([OnDeadLetters]). Call it before
// the first record. Without it, and for jobs beyond the first n of a period, the usage of
// jobs is counted by function and tenant, as first attempts and retries; the totals are the
// same. A job that is counted one by one takes about 400 bytes for each outcome that its
// deliveries have had. With n < 1, later records are no longer counted by job.
//
// A record names the job of a delivery, but not how that job ended, because the record is
// written earlier. So Usage and Statement call state for each job, and count the job as dead
// if state returns [faas.JobDead] and true. For example, for a router in this process:
//
//	ledger.CountJobs(100_000, func(id uuid.UUID) (faas.JobState, bool) {
//		info, err := r.Job(id).Info(ctx)
//		return info.State, err == nil
//	})
//
// If state returns false for a job, or is nil, the ledger goes by its records: the job counts
// as dead if the ledger has deliveries of it in any period and none of them was OK. This is
// right for jobs that are dead and for jobs that have succeeded. It is wrong for a job that
// was canceled, and for a job that still waits for a retry. So make the statement of a month
// when the retries of its last jobs are over, or pass a state function.
func (l *Ledger) CountJobs(n int, state func(job uuid.UUID) (faas.JobState, bool)) {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	l.shared.maxJobs, l.shared.ended = max(n, 0), state
	l.jobs.Store(n > 0)
}

// admitJob reports whether the period has room for a job.
func (s *shared) admitJob(p *period, job uuid.UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := p.jobs[job]; known {
		return true
	}
	if len(p.jobs) >= s.maxJobs {
		return false
	}
	if p.jobs == nil {
		p.jobs = map[uuid.UUID]struct{}{}
	}
	p.jobs[job] = struct{}{}
	return true
}

// findDead marks the usage of jobs that are dead. No lock may be held, because it calls the
// function that CountJobs was given.
func (l *Ledger) findDead(merged map[string]*Usage) {
	dead := map[uuid.UUID]bool{}
	for _, u := range merged {
		if u.Job != uuid.Nil {
			dead[u.Job] = true
		}
	}
	if len(dead) == 0 {
		return
	}
	for i := range l.stripes {
		l.stripes[i].findSucceeded(dead)
	}
	l.shared.mu.Lock()
	state := l.shared.ended
	l.shared.mu.Unlock()
	if state != nil {
		for job := range maps.Clone(dead) {
			if is, known := state(job); known {
				dead[job] = is == faas.JobDead
			}
		}
	}
	for _, u := range merged {
		if dead[u.Job] {
			u.Spent = OnDeadLetters
		}
	}
}

// findSucceeded sets dead to false for each job in it that has an OK delivery in this stripe.
func (s *stripe) findSucceeded(dead map[uuid.UUID]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tables {
		for _, c := range t.slots {
			if c != nil && c.Outcome == faas.OK && !c.Overrun && dead[c.Job] {
				dead[c.Job] = false
			}
		}
	}
}
