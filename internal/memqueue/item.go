package memqueue

// ID is the identity of a job.
type ID [16]byte

// State is the state of a job. An item is written as Scheduled, Ready, Parked or settled; the
// state in a View may be another one, see Queue.view.
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
	At       int64  // in Unix nanoseconds: when the job is due, so that it may be leased; if it is settled: when it may be forgotten, 0 for never
	Expires  int64  // in Unix nanoseconds; after it, Overdue returns the job if it waits for its order key; 0: never
	Size     int64  // the bytes that it takes of the queue's bound
	Priority int32
	Crashes  int32 // the number of its leases that were lost
	State    State
	Waiter   Waiter[B] // nil: none; set in the item that is put, and kept until the job ends
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
	index int32         // the node's index in the heap that the field place names
	aging int32         // its index in the heap Queue.aging, while its place is inKey and it has an Expires
	place place
	begun bool // Begin was called: the leased job has its slot
}

// place is where a node is.
type place uint8

const (
	nowhere place = iota // in no heap: leased or settled
	inLater              // Queue.later
	inReady              // lane.ready
	inKey                // orderKey.waiting
	gone                 // forgotten, or removed
	shelved              // on the shelf: the job's node, if there is one, is a copy; see Queue.unshelve
)

// settledNow calls Settled of the job's Waiter, if it has one. The node's item must be settled.
func (n *node[B]) settledNow() {
	if w := n.Waiter; w != nil {
		n.Waiter = nil
		w.Settled(&n.Item)
	}
}

// lost calls Gone of the job's Waiter, and wakes the goroutines that watch the job: the queue
// drops it.
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
