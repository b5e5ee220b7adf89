package memqueue

// ID is the identity of a job.
type ID [16]byte

// State is what a job does. Items that are written are Scheduled, Ready, Parked or
// settled; see [Queue.view] for what is read.
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
	Revision uint64 // set by the queue
	Function string
	Tenant   string
	Order    string // the order key; empty: none
	At       int64  // not before, in Unix nanoseconds; of a settled job: when it may be forgotten
	Expires  int64  // while it waits for its order key: when Overdue tells of it; 0: never
	Size     int64  // bytes that it counts for
	Priority int32
	Crashes  int32 // leases that were lost
	State    State
	Waiter   Waiter[B] // nil: none; the first item of a job has it, and keeps it until the job ends
	Body     B
}

// Waiter learns of the end of one job. Its methods are called with the queue's lock held: they
// must not call the queue, nor wait.
type Waiter[B any] interface {
	// Settled is called with the first settled item of the job, before that may be forgotten.
	Settled(it *Item[B])
	// Gone is called if the queue has no such job any more, which had not ended.
	Gone()
}

// View is an item as it is read.
type View[B any] struct {
	Item[B] // its State is the present one

	Seq       uint64 // number of acceptance
	KeyHolder ID     // the job that holds the order key; zero: none, or this one
	Progress  any    // that Extend has set; nil: none
}

// node is an item in the queue.
type node[B any] struct {
	Item[B]

	lane  *lane[B]      // nil once it is settled
	watch chan struct{} // closed at its next change; nil: no Watch waits
	seq   uint64        // number of acceptance
	lease uint64        // the token of its lease; 0: it is not leased
	index int32         // in the heap where it is
	aging int32         // in Queue.aging, while it is in inKey and has an Expires
	place place
	begun bool // the leased job
}

// place is where a node is.
type place uint8

const (
	nowhere place = iota // leased, or settled
	inLater              // in Queue.later
	inReady              // in lane.ready
	inKey                // in orderKey.waiting
	gone                 // forgotten, or removed
)

// settledNow gives the node's item, which is a settled one, to its waiter.
func (n *node[B]) settledNow() {
	if w := n.Waiter; w != nil {
		n.Waiter = nil
		w.Settled(&n.Item)
	}
}

// lost tells those that wait for the job that it is gone.
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
