package memqueue

import "encoding/binary"

// Codec encodes the bodies of settled items. A queue that has one keeps most jobs that have
// succeeded or were canceled as bytes, and not as nodes: the garbage collector does not look into
// them, and the oldest stand side by side when they are forgotten. The queue calls the methods
// with its lock held.
type Codec[B any] interface {
	// Encode appends the Body of a settled item to data. If it returns false, the queue keeps the
	// item as it is.
	Encode(data []byte, it *Item[B]) ([]byte, bool)
	// Decode sets the Body of an item from what Encode has appended. It must not keep data.
	Decode(data []byte, it *Item[B])
}

// SetCodec sets the codec. It must be called before the first Put.
func (q *Queue[B]) SetCodec(c Codec[B]) { q.codec = c }

// shelf is a first-in-first-out queue of settled jobs as bytes. Each has a slot. The slots are
// numbered from 1, in the order in which their jobs settled. A job may also leave from the middle:
// its slot is gone then. When more than half of the slots are gone, compact removes them.
type shelf struct {
	chunks fifo[*chunk]
	first  uint64 // the number of the first slot in the first chunk
	head   uint64 // the number of the first slot that is not gone; slots before it are gone
	next   uint64 // the number of the next slot
	gone   int    // how many slots from head on are gone
	spare  *chunk // is used again for new slots; nil: none
}

// chunkSlots is how many slots a chunk has.
const chunkSlots = 128

// chunk is a part of a shelf. Only its first field is a pointer, so the garbage collector reads no
// more than that.
type chunk struct {
	data  []byte // tenants, order keys and bodies
	slots [chunkSlots]slot
}

// slot has the fields of an item and its node that forget and List need. The others are in chunk.data.
type slot struct {
	id         ID
	at         int64
	revision   uint64
	seq        uint64
	size       int64
	start, end uint32 // where the slot's data are in chunk.data
	function   uint32 // an index of Queue.numbered
	state      State
	gone       bool
}

// mostShelved is how many bytes a job's data may have on the shelf. Larger ones stay where they
// are: a copy would cost more than it saves.
const mostShelved = 1 << 10

// add adds an empty slot.
func (s *shelf) add() (number uint64, c *chunk, added *slot) {
	if s.next == 0 {
		s.first, s.head, s.next = 1, 1, 1
	}
	at := int(s.next - s.first)
	if at == s.chunks.len()*chunkSlots {
		c, s.spare = s.spare, nil
		if c == nil {
			c = &chunk{}
		}
		s.chunks.push(c)
	}
	number = s.next
	s.next++
	c = s.chunks.at(at / chunkSlots)
	return number, c, &c.slots[at%chunkSlots]
}

// get returns a slot that is not gone, and its data.
func (s *shelf) get(number uint64) (*slot, []byte) {
	at := int(number - s.first)
	c := s.chunks.at(at / chunkSlots)
	found := &c.slots[at%chunkSlots]
	return found, c.data[found.start:found.end]
}

// oldest returns the first slot that is not gone, or nil.
func (s *shelf) oldest() *slot {
	if s.head == s.next {
		return nil
	}
	found, _ := s.get(s.head)
	return found
}

// lose marks a slot as gone, and drops the chunks at the head whose slots are all gone.
func (s *shelf) lose(number uint64) {
	lost, _ := s.get(number)
	lost.gone = true
	s.gone++
	for s.head < s.next {
		if first, _ := s.get(s.head); !first.gone {
			return
		}
		s.gone--
		if s.head++; s.head-s.first == chunkSlots {
			s.first = s.head
			s.spare = s.chunks.pop()
			s.spare.data = s.spare.data[:0]
		}
	}
}

// shelve puts a settled node on the shelf. It returns false if the node must stay as it is. After
// it has returned true, no field of the queue has the node.
func (q *Queue[B]) shelve(n *node[B]) bool {
	if q.codec == nil || n.State == Dead || n.Expires != 0 {
		return false
	}
	data := q.scratch[:0]
	data = appendText(data, n.Tenant)
	data = appendText(data, n.Order)
	data = binary.AppendVarint(data, int64(n.Priority))
	data = binary.AppendVarint(data, int64(n.Crashes))
	data, ok := q.codec.Encode(data, &n.Item)
	if q.scratch = data; !ok || len(data) > mostShelved {
		return false
	}
	number, c, s := q.shelf.add()
	start := len(c.data)
	c.data = append(c.data, data...)
	*s = slot{
		id: n.ID, at: n.At, revision: n.Revision, seq: n.seq, size: n.Size, start: uint32(start), end: uint32(len(c.data)),
		function: q.functions[n.Function].number, state: n.State,
	}
	q.nodes.shelve(&n.ID, number)
	n.place = shelved
	return true
}

// unshelve returns a node for the shelved job with that number: a copy, which no field of the queue has.
func (q *Queue[B]) unshelve(number uint64) *node[B] {
	s, data := q.shelf.get(number)
	n := &node[B]{seq: s.seq, place: shelved}
	n.ID, n.Revision, n.At, n.Size, n.State = s.id, s.revision, s.at, s.size, s.state
	n.Function = q.numbered[s.function].name
	n.Tenant, data = cutText(data)
	n.Order, data = cutText(data)
	priority, used := binary.Varint(data)
	crashes, more := binary.Varint(data[used:])
	n.Priority, n.Crashes = int32(priority), int32(crashes)
	q.codec.Decode(data[used+more:], &n.Item)
	return n
}

// thaw makes a node of unshelve the job's node again, because the job is written or watched. From
// then on the job counts as settled last.
func (q *Queue[B]) thaw(n *node[B]) {
	q.shelf.lose(q.nodes.number(&n.ID))
	n.place = nowhere
	q.nodes.set(&n.ID, n)
	q.settled.journal(n).add(n)
}

// compact removes the slots that are gone, once they are more than half of all. So each slot is
// moved once on average.
func (q *Queue[B]) compact() {
	old := q.shelf
	if old.gone <= chunkSlots || 2*old.gone < int(old.next-old.head) {
		return
	}
	q.shelf = shelf{}
	for number := old.head; number < old.next; number++ {
		s, data := old.get(number)
		if s.gone {
			continue
		}
		at, c, moved := q.shelf.add()
		*moved = *s
		moved.start = uint32(len(c.data))
		c.data = append(c.data, data...)
		moved.end = uint32(len(c.data))
		q.nodes.shelve(&s.id, at)
	}
}

// lookup returns the job with an ID. A nil n means that the job is forgotten if known is true, and
// that the ID is not known otherwise. If the place of n is shelved, n is a copy.
func (q *Queue[B]) lookup(id *ID) (n *node[B], known bool) {
	n, known = q.nodes.get(id)
	if n == nil && known {
		if number := q.nodes.number(id); number != 0 {
			n = q.unshelve(number)
		}
	}
	return n, known
}

// appendText appends a text and its length.
func appendText(data []byte, text string) []byte {
	return append(binary.AppendUvarint(data, uint64(len(text))), text...)
}

// cutText returns the text at the beginning of data, and the data after it.
func cutText(data []byte) (text string, rest []byte) {
	n, used := binary.Uvarint(data)
	data = data[used:]
	return string(data[:n]), data[n:]
}
