package faas

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/memqueue"
)

// jobItem is a job as a queue in memory keeps it.
type jobItem = memqueue.Item[jobBody]

// jobBody is the part of a record that [memqueue.Item] has no field for. It is kept small, because
// a million jobs may wait: what most of them don't have is behind the pointer more.
type jobBody struct {
	name       string
	payload    []byte
	accepted   int64 // accepted and due are in Unix nanoseconds
	due        int64
	attempts   int32
	deliveries int32
	refusals   int32
	format     int32
	more       *jobMore // nil: no field of it is set
}

// jobCodec encodes the bodies of settled jobs, as a [memqueue.Codec]. The encoding never leaves the
// process. It has the fields that most settled jobs have; a job with others stays as it is.
type jobCodec struct{}

// Encode appends the body of a settled item.
func (jobCodec) Encode(data []byte, it *jobItem) ([]byte, bool) {
	b, m := &it.Body, it.Body.more
	if m == nil || m.origin != nil || m.rare != nil || it.Waiter != nil {
		return data, false
	}
	data = appendField(data, b.name)
	data = appendBytes(data, b.payload)
	for _, n := range [...]int64{
		b.accepted, b.due, int64(b.attempts), int64(b.deliveries), int64(b.refusals), int64(b.format),
		int64(m.state), m.settled, int64(m.used),
	} {
		data = binary.AppendVarint(data, n)
	}
	data = appendField(data, m.name)
	data = appendField(data, string(m.condition))
	data = appendBytes(data, m.output)
	return appendEnd(data, m.last), true
}

// appendEnd appends a JobEnd, or only a zero byte for nil.
func appendEnd(data []byte, e *JobEnd) []byte {
	if e == nil {
		return append(data, 0)
	}
	data = append(data, 1)
	for _, n := range [...]int64{nanos(e.At), int64(e.Kind), int64(e.Outcome), int64(e.Duration)} {
		data = binary.AppendVarint(data, n)
	}
	data = append(data, e.Invocation[:]...)
	data = appendField(data, e.Version)
	data = appendField(data, string(e.Reason))
	data = appendField(data, e.Error)
	return appendField(data, e.ErrorType)
}

// Decode sets the body from what Encode has appended.
func (jobCodec) Decode(data []byte, it *jobItem) {
	r, m, b := bodyReader{data}, &jobMore{}, &it.Body
	b.more = m
	b.name, b.payload = r.text(), r.bytes()
	b.accepted, b.due = r.number(), r.number()
	b.attempts, b.deliveries, b.refusals, b.format = int32(r.number()), int32(r.number()), int32(r.number()), int32(r.number())
	m.state, m.settled, m.used = JobState(r.number()), r.number(), r.duration()
	m.name, m.condition, m.output = r.text(), JobCondition(r.text()), r.bytes()
	if r.cut(1)[0] != 0 {
		r.end(&m.end)
		m.last = &m.end
	}
}

// end reads what appendEnd has appended after the first byte.
func (r *bodyReader) end(e *JobEnd) {
	e.At, e.Kind, e.Outcome, e.Duration = wallTime(r.number()), Kind(r.number()), Outcome(r.number()), r.duration()
	e.Invocation = uuid.UUID(r.cut(len(e.Invocation)))
	e.Version, e.Reason, e.Error, e.ErrorType = r.text(), Reason(r.text()), r.text(), r.text()
}

// appendField appends a text and its length.
func appendField(data []byte, text string) []byte {
	return append(binary.AppendUvarint(data, uint64(len(text))), text...)
}

// appendBytes appends bytes and their length plus 1; nil is 0.
func appendBytes(data, b []byte) []byte {
	if b == nil {
		return append(data, 0)
	}
	return append(binary.AppendUvarint(data, uint64(len(b))+1), b...)
}

// bodyReader reads what the functions above have appended.
type bodyReader struct{ data []byte }

// cut returns the next n bytes.
func (r *bodyReader) cut(n int) []byte {
	head := r.data[:n]
	r.data = r.data[n:]
	return head
}

func (r *bodyReader) length() int {
	n, used := binary.Uvarint(r.data)
	r.cut(used)
	return int(n)
}

func (r *bodyReader) number() int64 {
	n, used := binary.Varint(r.data)
	r.cut(used)
	return n
}

func (r *bodyReader) duration() time.Duration { return time.Duration(r.number()) }

func (r *bodyReader) text() string { return string(r.cut(r.length())) }

// bytes returns a copy, since the queue uses the memory of data for other jobs.
func (r *bodyReader) bytes() []byte {
	n := r.length()
	if n == 0 {
		return nil
	}
	return append([]byte{}, r.cut(n-1)...)
}

// nanos returns a wall-clock time in Unix nanoseconds. The zero time is 0. A time before 1678 or
// after 2262 is out of range, and becomes the nearest that is in range.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case t.IsZero():
		return 0
	case s < first1678:
		return math.MinInt64
	case s >= first2262:
		return math.MaxInt64 - 1 // MaxInt64 stands for "no time": see wallTime
	}
	return t.UnixNano()
}

// The first seconds of the years 1678 and 2262, in Unix time.
const (
	first1678 = -9_214_560_000
	first2262 = 9_214_646_400
)

// wallTime is the reverse of nanos. It returns the zero time for the largest value too, with which
// the queue keeps a settled job that has no KeepUntil.
func wallTime(ns int64) time.Time {
	if ns == 0 || ns == math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
