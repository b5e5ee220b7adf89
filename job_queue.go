package faas

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The errors of a [JobQueue], to be tested with [errors.Is].
var (
	// ErrForgotten: the queue had the job, which was settled, and no longer has its record.
	ErrForgotten = errors.New("job is forgotten")
	// ErrLease: the lease has ended. The job was leased again, or its record was changed
	// while it was leased, for example because the job was canceled.
	ErrLease = errors.New("lease of the job is lost")
	// ErrRevision: the record has been changed since it was read.
	ErrRevision = errors.New("job has been changed")
)

// JobQueue keeps the records of jobs, which are calls that are made later. It stores
// records and leases those that are due. It decides nothing: the router that runs a job
// works out the job's next record. So an implementation needs no code for retries, ages,
// dead letters or destinations. [NewMemoryJobs] makes a queue in memory. Package faastest
// has the conformance test for other queues, TestJobQueue.
//
// Any number of goroutines may call the methods at once: those of several routers and, if
// the engine stores records outside of the process, of several processes. A router holds
// no lock while it calls one. A method that waits returns ctx's error when ctx ends, and
// [ErrClosed] when the queue is closed; on a closed queue every method returns ErrClosed.
// Any other error means that the engine failed. Then it is not known whether a write was
// stored. The caller may repeat the write: the job's ID, the record's revision or the
// lease's token prevents that it takes effect twice.
//
// A queue whose accepted jobs survive the end of the process has one more method,
// Durable() bool, which returns true. Package trigger/source reads it.
//
// A record is constant once it was given to a queue or returned by one: neither side
// writes to its maps, slices and pointers, and both may keep them.
type JobQueue interface {
	// Put accepts a job, in one atomic step with the check that neither its ID nor its
	// unique key is taken. If one of them is, Put writes nothing and returns the record
	// that has it, with [ErrDuplicate]; if that record is forgotten or purged, only the ID
	// of the returned record is set. A unique key counts within its function and tenant;
	// it is taken for UniqueFor from Accepted on, whatever becomes of its job. An ID is
	// taken for as long as the queue remembers it.
	//
	// A nil error means that the job is accepted: Lease gives it, to one holder at a time,
	// until a Settle or a Swap has settled it. Put returns the record with its Revision.
	// If there is no room the error Is [ErrOverloaded]; a queue that has bounds lets no
	// tenant take more than half of them while jobs of other tenants wait.
	Put(ctx context.Context, rec JobRecord) (JobRecord, error)

	// Lease waits for a job that can run and leases it: no other Lease gives the job until
	// the lease has ended. A job can run if
	//
	//   - it is not settled and not leased, and its NotBefore has passed, also if it is
	//     parked;
	//   - its Function is one of req.Functions;
	//   - no other job holds its order key. A job holds its key from its first lease
	//     until it is settled. The next holder is the job of the same function, tenant
	//     and key that was due first, and among equals the one that was accepted first;
	//   - this queue value has leased no other job of the same function and tenant that
	//     has not begun (see Begin). So one process never holds many jobs that only
	//     wait for a slot.
	//
	// Functions that have such jobs take turns, and so do the tenants of one function. Of
	// one tenant's jobs the one with the highest Priority goes first, and among equals the
	// one that was due first.
	//
	// If the engine has terms, the lease lasts for req.Term, and longer if Extend prolongs
	// it. The memory queue has no terms, since there a holder can't die alone. When a lease
	// has run out, Lease gives the job again, with Crashes one higher. A lease also ends
	// with Settle, or when a Swap has changed the record.
	Lease(ctx context.Context, req LeaseRequest) (JobLease, error)

	// Begin reports that a leased job has its slot. Lease may then give another job of the
	// same function and tenant. Settle has the same effect, without Begin. Begin returns
	// [ErrLease] if the lease has ended.
	Begin(ctx context.Context, lease JobLease) error

	// Extend prolongs a lease: it lasts for its term from now on. Get and List return p as
	// the record's Progress; a zero p leaves the progress as it is. The record keeps its
	// revision. Extend returns [ErrLease] if the lease has ended.
	Extend(ctx context.Context, lease JobLease, p JobProgress) error

	// Settle ends a lease and writes the job's next record, which has the same ID: the job
	// is settled, or waits again. Settle also puts the records in follow, so that all are
	// written or none, or at least so that a crash in between can't lose them. It leaves
	// out a record whose ID is taken, which was put before. A full queue does not refuse
	// Settle. If the lease has ended, Settle writes nothing and returns [ErrLease].
	Settle(ctx context.Context, lease JobLease, next JobRecord, follow ...JobRecord) error

	// Get returns the record of a job. If there is none, the error Is [ErrForgotten] if the
	// queue remembers the job's ID, and [ErrNotFound] otherwise.
	Get(ctx context.Context, id uuid.UUID) (JobRecord, error)

	// Swap replaces a record by next, which has the same ID, if the record still has
	// old's Revision; if not, it returns [ErrRevision]. If there is no record, it returns
	// the error that Get returns. Swap is for changes by other code than the holder of a
	// lease: to cancel, to unpark, to reschedule. It ends a lease of the job. A zero next
	// removes the record of a settled job, whose ID and unique key stay taken; if the job
	// is not settled, the error Is [ErrInput].
	Swap(ctx context.Context, old, next JobRecord) error

	// List yields the records that match filter, in the order of acceptance, each job at
	// most once. A record that is accepted, changed or removed during the loop may be
	// yielded or not. The loop's body may call the queue, which holds no lock then. If List
	// fails, the last pair has the error.
	List(ctx context.Context, filter JobFilter) iter.Seq2[JobRecord, error]

	// Watch waits until the job's record has another revision than the given one, and
	// returns the record. If there is no record, or it goes away while Watch waits, Watch
	// returns the error that Get returns.
	Watch(ctx context.Context, id uuid.UUID, revision uint64) (JobRecord, error)

	// Count counts the jobs by function. It does not visit each job.
	Count(ctx context.Context) (map[string]JobCount, error)

	// Close ends all waiting calls. Records that are stored outside of the process stay
	// there. Close may be called more than once.
	Close() error
}

// LeaseRequest selects the jobs that [JobQueue].Lease may give.
type LeaseRequest struct {
	Functions []string      // the base names, without version or alias, of the functions that the caller hosts; sorted
	Term      time.Duration // how long the lease lasts unless it is extended
}

// leaseTerm is how long a router's lease lasts. The router prolongs it every third of this.
const leaseTerm = time.Minute

// JobLease is the right to run one job and to settle it. It is a value: the queue identifies
// the lease by the job's ID and Token.
type JobLease struct {
	Record JobRecord // the job's record at the time of the lease; its State is JobRunning
	Token  uint64    // chosen by the engine: different for each lease of a job

	// Lost is closed when the engine finds that the lease has ended before it was settled,
	// because another process has canceled the job or leased it. It is nil if only this
	// process can end a lease, or if the engine finds out only in Extend.
	Lost <-chan struct{}
}

// JobFilter selects jobs. A job must match all fields that are not zero. Function is the base
// name, which selects the jobs of all versions.
type JobFilter struct {
	Function  string
	Tenant    *string // nil: all tenants; a pointer to "": the jobs without a tenant
	OrderKey  string
	Condition JobCondition
	States    []JobState        // any of these; empty: all states
	Labels    map[string]string // the job has at least these
	Before    time.Time         // accepted before this time
	After     time.Time         // accepted at this time or later
}

// Match reports whether the filter selects a record, as a queue returns it.
func (f *JobFilter) Match(rec *JobRecord) bool {
	for k, v := range f.Labels {
		if has, ok := rec.Labels[k]; !ok || has != v {
			return false
		}
	}
	return (f.Function == "" || rec.Function == f.Function) &&
		(f.Tenant == nil || rec.Tenant == *f.Tenant) &&
		(f.OrderKey == "" || rec.OrderKey == f.OrderKey) &&
		(f.Condition == "" || rec.Condition == f.Condition) &&
		(len(f.States) == 0 || slices.Contains(f.States, rec.State)) &&
		(f.Before.IsZero() || rec.Accepted.Before(f.Before)) &&
		(f.After.IsZero() || !rec.Accepted.Before(f.After))
}

// JobCount counts the jobs of one function.
type JobCount struct {
	Scheduled, Ready, Running, Parked int
	Succeeded, Dead, Canceled         int       // without those that are forgotten
	Bytes                             int64     // of the records of jobs that are not settled
	Oldest                            time.Time // the earliest due time of the jobs that could run now; zero: there are none
}

// Waiting returns how many jobs are neither running nor settled.
func (c *JobCount) Waiting() int { return c.Scheduled + c.Ready + c.Parked }

// add adds the counts of another function.
func (c *JobCount) add(o JobCount) {
	c.Scheduled += o.Scheduled
	c.Ready += o.Ready
	c.Running += o.Running
	c.Parked += o.Parked
	c.Succeeded += o.Succeeded
	c.Dead += o.Dead
	c.Canceled += o.Canceled
	c.Bytes += o.Bytes
	if c.Oldest.IsZero() || !o.Oldest.IsZero() && o.Oldest.Before(c.Oldest) {
		c.Oldest = o.Oldest
	}
}

// baseName returns the part of a name before the colon of a version or an alias. All versions
// of a function share that name and its limits.
func baseName(name string) string {
	base, _, _ := strings.Cut(name, ":")
	return base
}

// The errors about jobs, to be tested with [errors.Is].
var (
	// ErrSettled: the job has ended already, and its end can't be changed.
	ErrSettled = errors.New("job has ended")
	// ErrJobCanceled: the job was canceled. Wait returns it, in a *JobError. If the job's
	// handler runs at that moment, it is also the cause of the handler's context.
	ErrJobCanceled = errors.New("job was canceled")
)

// isGoneJob reports whether err means that a record was changed or removed since it was read.
func isGoneJob(err error) bool {
	return errors.Is(err, ErrRevision) || errors.Is(err, ErrForgotten) || errors.Is(err, ErrNotFound)
}
