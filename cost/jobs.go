package cost

import (
	"maps"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Spending says what usage was for, as far as jobs go. It is a part of every [Key], so
// that a statement grouped By([SpentOn]) has a row for each, and the rows add up to the
// total.
//
// What a job's handler has called has no job of its own ([faas.Invocation]): it counts
// as OnCalls. A delivery that was no attempt, for example since its handler returned
// [faas.RetryAfter], does not make the next one a retry.
type Spending uint8

// What usage may be for.
const (
	OnCalls         Spending = iota // calls that are no delivery of a job
	OnFirstAttempts                 // deliveries of jobs whose Attempt is 1
	OnRetries                       // deliveries of jobs whose Attempt is higher
	OnDeadLetters                   // deliveries of jobs that ended dead, first attempts and retries alike; see Ledger.CountJobs
)

// String returns "call", "first attempt", "retry" or "dead letter".
func (s Spending) String() string {
	names := [...]string{"call", "first attempt", "retry", "dead letter"}
	if int(s) < len(names) {
		return names[s]
	}
	return "Spending(?)"
}

// lot is what a ledger tells apart beside what stands in a record: what it is spent on, and
// the two below. It is one byte, so that the table compares it fast.
type lot uint8

const (
	lotOverrun lot = 1 << 7
	lotJob     lot = 1 << 6 // the record has a job that is counted by itself
)

func (of lot) overrun() bool   { return of&lotOverrun != 0 }
func (of lot) spent() Spending { return Spending(of &^ (lotOverrun | lotJob)) }

// lotOf says where a record belongs. It takes the job out of one that is not to be counted
// by itself.
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

// CountJobs has the ledger count jobs one by one, up to n of each period: so statements
// have a row for each ([Job]) and know dead letters ([OnDeadLetters]). Call it before the
// first record. Without it, and for jobs beyond the first n of a period, what jobs have
// used is counted by function and tenant as first attempts and retries; the totals are
// the same. A job that is counted takes about 400 bytes, for each outcome that its
// deliveries have had. n < 1 ends it for jobs that have no record yet.
//
// A record says which job a delivery is of, and not how that job ended: it is written
// before. So a job counts as dead by what state says, which is asked for each job when
// Usage or Statement is: for example, of a router in this process,
//
//	ledger.CountJobs(100_000, func(id uuid.UUID) (faas.JobState, bool) {
//		info, err := r.Job(id).Info(ctx)
//		return info.State, err == nil
//	})
//
// Of a job that state does not know, and of all if state is nil, the records tell: it
// counts as dead if the ledger has deliveries of it and none in any of its periods was
// OK. That is right for dead jobs and for those that have succeeded. It is too much for
// a job that was canceled, and too early for one that still waits for a retry; so make
// the statement of a month when the retries of its last jobs are over, or give state.
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

// findDead marks the usage of jobs that are dead. No lock may be held: it calls the func
// of CountJobs.
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

// findSucceeded says of those jobs in dead that they are not of which a delivery was OK in
// any period.
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
