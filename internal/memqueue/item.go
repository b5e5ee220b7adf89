package memqueue

// ID is the identity of a job.
type ID [16]byte

// State is the state of a job. An item that is written is Scheduled, Ready, Parked or settled;
// queue.go's view says which state is read.
type State uint8

// The states, the settled ones last.
const (
	Scheduled State = iota
	Ready
	Running
	Parked
	Succeeded
	Dead
	Canceled

	states
)

func (s State) settled() bool { return s >= Succeeded }

// Item is a job. Function, Tenant and Order never change.
type Item[B any] struct {
	ID       ID
	Revision uint64 // set by the queue: a new one for each write
	Function string
	Tenant   string
	Order    string // the order key; empty: none
	At       int64  // in Unix nanoseconds: not leased before; of a settled job: when it may be forgotten, 0 for never
	Expires  int64  // in Unix nanoseconds; after it, Overdue returns the job if it waits for its order key; 0: never
	Size     int64  // the bytes that it takes of the queue's bound
	Priority int32
	Crashes  int32 // the number of its leases that were lost
	State    State
	Waiter   Waiter[B] // nil: none; only the first item of a job sets it, and the job keeps it until it ends
	Body     B
}

// Waiter learns the end of one job. The queue calls its methods with the lock held: they must
// neither call the queue nor wait.
type Waiter[B any] interface {
	// Settled is called with the first settled item of the job, before the job may be forgotten.
	Settled(it *Item[B])
	// Gone is called if the queue drops the job before the job is settled.
	Gone()
}

// View is an item as a method of Queue returns it.
type View[B any] struct {
	Item[B] // State is that of the moment, see Queue.view

	Seq       uint64 // jobs are numbered in the order of acceptance
	KeyHolder ID     // the job that holds this job's order key; zero: none, or this job itself
	Progress  any    // what Extend has set in the present lease; nil: nothing
}

// node is an item in the queue.
type node[B any] struct {
	Item[B]

	lane  *lane[B]      // nil once it is settled
	watch chan struct{} // closed when the item changes; nil: no Watch waits
	seq   uint64        // as View.Seq
	lease uint64        // the token of the lease; 0: the job is not leased
	index int32         // the node's index in the heap of its place
	aging int32         // its index in Queue.aging, while its place is inKey and it has an Expires
	place place
	begun bool // the leased job has its slot, see Begin
}

// place is where a node is.
type place uint8

const (
	nowhere place = iota // in no heap: leased or settled
	inLater              // Queue.later
	inReady              // lane.ready
	inKey                // orderKey.waiting
	gone                 // forgotten, or removed
)

// settledNow gives the node's item, which is settled, to the job's waiter.
func (n *node[B]) settledNow() {
	if w := n.Waiter; w != nil {
		n.Waiter = nil
		w.Settled(&n.Item)
	}
}

// lost wakes all that wait for a job that the queue drops.
func (n *node[B]) lost() {
	if w := n.Waiter; w != nil {
		n.Waiter = nil
		w.Gone()
	}
	n.tell()
}

// earlier reports whether n was due before m.
func (n *node[B]) earlier(m *node[B]) bool {
	if n.At != m.At {
		return n.At < m.At
	}
	return n.seq < m.seq
}
