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
	// ErrForgotten: the queue had the job, which is settled, and has its record no more.
	ErrForgotten = errors.New("job is forgotten")
	// ErrLease: the lease has ended. The job was given to another holder, or it was
	// changed, for example canceled, while it was leased.
	ErrLease = errors.New("lease of the job is lost")
	// ErrRevision: the record has been changed since it was read.
	ErrRevision = errors.New("job has been changed")
)

// JobQueue keeps the records of jobs: calls that are made later. It is passive. It
// stores records and hands out those that are due; what a record becomes is decided by
// the router, which runs the jobs. So an implementation knows nothing of retries, ages,
// dead letters or destinations. [NewMemoryJobs] makes one; package faastest has the
// conformance test for others, TestJobQueue.
//
// All methods may be called by many goroutines at once, of several routers and, for an
// engine that stores records outside, of several processes. A router calls none of them
// while it holds a lock. A method that waits returns ctx's error when ctx ends, and
// [ErrClosed] when the queue is closed; every method returns ErrClosed afterwards. Any
// other error means that the engine failed: it is not known then whether a write has
// happened, and the caller may repeat it, since every write is fenced.
//
// A queue whose accepted jobs survive the end of the process says so by a further method,
// Durable() bool. Package trigger/source asks for it.
//
// Records are values that nothing changes once they were given to a queue or returned
// by it: neither side writes to their maps, slices and pointers, and both may keep them.
type JobQueue interface {
	// Put accepts a job. It is one atomic step with the check that neither its ID nor
	// its unique key is taken. If one is, nothing is written and the answer is the
	// record that is there, with [ErrDuplicate]. Of a job whose record is forgotten or
	// purged the answer has the ID only. A unique key is that of a function and a tenant;
	// it is taken for UniqueFor from Accepted on, whatever becomes of its job. An ID is
	// taken for as long as the queue remembers it.
	//
	// A nil error means accepted: from then on the job is given to Leases, one at a
	// time, until a Settle or a Swap has settled it. The answer is the record with its
	// Revision. If there is no room the error Is [ErrOverloaded]; a queue that has
	// bounds lets no tenant take more than half of them while jobs of others wait.
	Put(ctx context.Context, rec JobRecord) (JobRecord, error)

	// Lease waits for a job that can run and leases it: until the lease ends the job is
	// given to no other Lease. A job can run if
	//
	//   - it is not settled, not leased, and NotBefore has passed; a parked one too;
	//   - its Function is one of req.Functions;
	//   - no other job holds its order key. A job holds its key from its first lease
	//     until it is settled. The next holder is the job of the same function, tenant
	//     and key that was due first, and among equals the one that was accepted first;
	//   - its function and tenant have no other job of this queue value that is leased
	//     and has not begun (see Begin). So one process never holds many jobs that only
	//     wait for a slot.
	//
	// The tenants of a function that have such jobs take turns, and so do functions. Of
	// one tenant's jobs the one with the highest Priority goes first, then the one that
	// was due first.
	//
	// The lease lasts for req.Term and as long as Extend prolongs it, if the engine has
	// terms: the memory queue has not, since there a holder can't die alone. A job whose
	// lease has run out is given to another Lease, with Crashes one higher. It ends with
	// Settle, or when a Swap has changed the record.
	Lease(ctx context.Context, req LeaseRequest) (JobLease, error)

	// Begin says that a leased job has its slot, so that Lease may give another job of
	// its function and tenant. Settle implies it. It returns [ErrLease] for a lease that
	// has ended.
	Begin(ctx context.Context, lease JobLease) error

	// Extend prolongs a lease by its term from now on, and sets what Get and List show
	// as Progress; a zero p leaves that as it is. It writes no new revision. It returns
	// [ErrLease] for a lease that has ended.
	Extend(ctx context.Context, lease JobLease, p JobProgress) error

	// Settle ends a lease with the next record of its job, which has the same ID: one
	// that is settled, or one that waits again. Together with it the records in follow
	// are put, all or nothing, or so that a crash in between can't lose them. One whose
	// ID is taken is left out: it was put before. Settle is not refused for want of room.
	// It returns [ErrLease], and has written nothing, for a lease that has ended.
	Settle(ctx context.Context, lease JobLease, next JobRecord, follow ...JobRecord) error

	// Get returns the record of a job. The error Is [ErrForgotten] if the queue knows
	// that it has had the job, and [ErrNotFound] otherwise.
	Get(ctx context.Context, id uuid.UUID) (JobRecord, error)

	// Swap replaces a record by next, with the same ID, if it still has old's Revision;
	// else it returns [ErrRevision], and for a job that is not there as Get does. It is
	// for what is not done by the holder of a lease: to cancel, to unpark, to
	// reschedule. If the job was leased, the lease has ended. A zero next removes the
	// record of a settled job; its ID and its unique key stay taken. For one that is not
	// settled that is an error that Is [ErrInput].
	Swap(ctx context.Context, old, next JobRecord) error

	// List yields the records that match, in the order of acceptance. What is accepted,
	// changed or removed meanwhile may show or not; no job is yielded twice. No lock is
	// held while the loop's body runs, so that it may call the queue. An error is the
	// last pair.
	List(ctx context.Context, filter JobFilter) iter.Seq2[JobRecord, error]

	// Watch waits until the job's record has another revision than the given one, and
	// returns it. It fails as Get does, also when the record goes away while it waits.
	Watch(ctx context.Context, id uuid.UUID, revision uint64) (JobRecord, error)

	// Count counts the jobs by function. It does not visit each of them.
	Count(ctx context.Context) (map[string]JobCount, error)

	// Close ends all waiting calls. It keeps what is stored outside of the process. It may
	// be called again.
	Close() error
}

// LeaseRequest says which job [JobQueue].Lease may give.
type LeaseRequest struct {
	Functions []string      // the base names of the functions that the caller hosts, sorted
	Term      time.Duration // how long the lease lasts unless it is extended
}

// leaseTerm is how long a lease of a router lasts; it is prolonged three times within.
const leaseTerm = time.Minute

// JobLease is the right to run one job and to settle it. It is a value; the queue knows
// it by ID and Token.
type JobLease struct {
	Record JobRecord // as it was when it was leased, its State JobRunning
	Token  uint64    // the engine's own: tells one lease of a job from the next

	// Lost is closed when the engine learns that the lease has ended before it was settled:
	// the job was canceled by another process, or given to it. An engine whose leases end in
	// this process alone, or that learns of it in Extend only, leaves it nil.
	Lost <-chan struct{}
}

// JobFilter selects jobs. A zero field selects all, and a job must match each of the
// others. Function is the base name: it selects the jobs of all versions.
type JobFilter struct {
	Function  string
	Tenant    *string // nil: of any tenant; a pointer to the empty name: of none in particular
	OrderKey  string
	Condition JobCondition
	States    []JobState        // one of these; none: of any state
	Labels    map[string]string // has at least these
	Before    time.Time         // accepted before that
	After     time.Time         // accepted at that time or later
}

// Match reports whether a record, as a queue returns it, is selected.
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
	Succeeded, Dead, Canceled         int       // those that are not forgotten yet
	Bytes                             int64     // of the records of those that are not settled
	Oldest                            time.Time // when the one that could run now was due which was due first; zero: none could
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

// baseName returns the name of the admission class of a name as it is written: what
// stands before the colon of a version or an alias.
func baseName(name string) string {
	base, _, _ := strings.Cut(name, ":")
	return base
}

// The errors about jobs, to be tested with [errors.Is].
var (
	// ErrSettled: the job has ended before, and its end can't be changed.
	ErrSettled = errors.New("job has ended")
	// ErrJobCanceled: the job was canceled. Wait answers it, and it is the cause of the
	// context of a handler that ran.
	ErrJobCanceled = errors.New("job was canceled")
)

// isGoneJob reports whether a record was changed or removed meanwhile.
func isGoneJob(err error) bool {
	return errors.Is(err, ErrRevision) || errors.Is(err, ErrForgotten) || errors.Is(err, ErrNotFound)
}
