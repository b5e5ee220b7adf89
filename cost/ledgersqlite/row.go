package ledgersqlite

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// noTime stands for the zero time, which 64 bits of nanoseconds can't hold.
const noTime = math.MinInt64

// execution is a row of the table executions. Two rows have the same content exactly if they
// are equal by ==.
type execution struct {
	id                                uuid.UUID
	function, version, tenant, labels string
	attempt, outcome                  int64
	failure                           string
	start, queued, init, duration     int64
	memory, bytesIn, bytesOut, cold   int64
	origin                            string
	job                               uuid.UUID
	delivery, firstByte               int64
}

// overrun is a row of the table overruns.
type overrun struct {
	id                                uuid.UUID
	function, version, tenant, labels string
	ended, duration, memory           int64
	job                               uuid.UUID
	delivery, attempt                 int64
}

// correction is a row of the table corrections.
type correction struct {
	id, invocation                         uuid.UUID
	overrun, calls, duration, init, memory int64
	why                                    string
	made                                   int64
}

// encodeTime returns an error for times that 64 bits of nanoseconds can't hold.
func encodeTime(t time.Time) (int64, error) {
	if t.IsZero() {
		return noTime, nil
	}
	n := t.UnixNano()
	if n == noTime || !time.Unix(0, n).Equal(t) {
		return 0, fmt.Errorf("%w: the time %v is not between 1678 and 2262", ErrRecord, t)
	}
	return n, nil
}

func decodeTime(n int64) time.Time {
	if n == noTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// after returns start + duration. A sum that overflows becomes the first or the last instant
// that can be stored.
func after(start, duration int64) int64 {
	switch sum := start + duration; {
	case start == noTime:
		return noTime
	case duration > 0 && sum < start:
		return math.MaxInt64
	case duration < 0 && sum > start:
		return noTime
	default:
		return sum
	}
}

// encodeLabels returns labels as JSON, sorted by name, so that equal labels have equal texts.
func encodeLabels(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	text, _ := json.Marshal(labels) // a map of strings can always be encoded
	return string(text)
}

// decodeLabels is the inverse of encodeLabels.
func decodeLabels(text string) (labels map[string]string, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &labels)
	if len(labels) == 0 { // no labels have one form only, the empty text
		return nil, err
	}
	return labels, err
}

// storedOrigin is the form of an Origin in a row.
type storedOrigin struct {
	Trigger   string        `json:"trigger,omitempty"`
	Door      string        `json:"door,omitempty"`
	RequestID string        `json:"request,omitempty"`
	Timeout   time.Duration `json:"timeout,omitempty"`
	Key       string        `json:"key,omitempty"`
	ReplayOf  uuid.UUID     `json:"replayOf,omitzero"`
}

// encodeOrigin returns "" for an origin of which nothing is known.
func encodeOrigin(o *faas.Origin) string {
	if *o == (faas.Origin{}) {
		return ""
	}
	text, _ := json.Marshal(storedOrigin(*o)) // strings and a number can always be encoded
	return string(text)
}

// decodeOrigin is the inverse of encodeOrigin.
func decodeOrigin(text string) (o storedOrigin, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &o)
	}
	return o, err
}

// encodeJob returns the bytes of a job's id, and none if there is no job.
func encodeJob(id *uuid.UUID) []byte {
	if *id == uuid.Nil {
		return []byte{}
	}
	return id[:]
}

// encodeExecution returns a record as a row, or ErrRecord if its time can't be stored.
func encodeExecution(e *faas.Execution, errorText func(error) string) (execution, error) {
	start, err := encodeTime(e.Start)
	if err != nil {
		return execution{}, err
	}
	x := execution{
		id: e.ID, function: e.Function, version: e.Version, tenant: e.Tenant, labels: encodeLabels(e.Labels),
		attempt: int64(e.Attempt), outcome: int64(e.Outcome), failure: textOf(e.Err, errorText),
		start: start, queued: int64(e.Queued), init: int64(e.Init), duration: int64(e.Duration),
		memory: e.Memory, bytesIn: int64(e.BytesIn), bytesOut: int64(e.BytesOut),
		origin: encodeOrigin(&e.Origin), job: e.Job, delivery: int64(e.Delivery), firstByte: int64(e.FirstByte),
	}
	if e.Cold {
		x.cold = 1
	}
	return x, nil
}

// textOf calls errorText, the user's function, and recovers its panic. The function may call
// an Error method that panics.
func textOf(err error, errorText func(error) string) (text string) {
	if err == nil || errorText == nil {
		return ""
	}
	defer func() { _ = recover() }()
	return errorText(err)
}

// decode returns the record of the row. It returns an error if encodeExecution could not have
// made the row.
func (x *execution) decode() (faas.Execution, error) {
	labels, err := decodeLabels(x.labels)
	origin, originErr := decodeOrigin(x.origin)
	switch {
	case err != nil:
		return faas.Execution{}, corrupt("labels: %v", err)
	case originErr != nil:
		return faas.Execution{}, corrupt("origin: %v", originErr)
	case x.outcome < 0 || x.outcome > math.MaxUint8:
		return faas.Execution{}, corrupt("there is no outcome %d", x.outcome)
	case x.cold != 0 && x.cold != 1:
		return faas.Execution{}, corrupt("cold is %d", x.cold)
	}
	e := faas.Execution{
		ID: x.id, Function: x.function, Version: x.version, Tenant: x.tenant, Labels: labels,
		Attempt: int(x.attempt), Outcome: faas.Outcome(x.outcome),
		Start: decodeTime(x.start), Queued: time.Duration(x.queued), Init: time.Duration(x.init), Duration: time.Duration(x.duration),
		Memory: x.memory, BytesIn: int(x.bytesIn), BytesOut: int(x.bytesOut), Cold: x.cold == 1,
		FirstByte: time.Duration(x.firstByte), Origin: faas.Origin(origin), Job: x.job, Delivery: int(x.delivery),
	}
	if e.Outcome != faas.OK {
		e.Err = &StoredError{Outcome: e.Outcome, Text: x.failure}
	}
	return e, nil
}

func encodeOverrun(o *Overrun) (overrun, error) {
	ended, err := encodeTime(o.At)
	return overrun{
		id: o.ID, function: o.Function, version: o.Version, tenant: o.Tenant, labels: encodeLabels(o.Labels),
		ended: ended, duration: int64(o.Duration), memory: o.Memory,
		job: o.Job, delivery: int64(o.Delivery), attempt: int64(o.Attempt),
	}, err
}

func (x *overrun) decode() (Overrun, error) {
	labels, err := decodeLabels(x.labels)
	if err != nil {
		return Overrun{}, corrupt("labels: %v", err)
	}
	return Overrun{At: decodeTime(x.ended), Overrun: faas.Overrun{
		ID: x.id, Function: x.function, Version: x.version, Tenant: x.tenant, Labels: labels,
		Duration: time.Duration(x.duration), Memory: x.memory,
		Job: x.job, Delivery: int(x.delivery), Attempt: int(x.attempt),
	}}, nil
}

// digest collects the content of a row for its checksum. Each text is preceded by its length:
// without it, "ab", "c" would have the same checksum as "a", "bc".
type digest []byte

func (d *digest) text(texts ...string) {
	for _, s := range texts {
		*d = append(binary.AppendUvarint(*d, uint64(len(s))), s...)
	}
}

func (d *digest) numbers(ns ...int64) {
	for _, n := range ns {
		*d = binary.AppendVarint(*d, n)
	}
}

func (d *digest) sum() int64 { return int64(crc64.Checksum(*d, crc64.MakeTable(crc64.ECMA))) }

func (x *execution) sum() int64 {
	d := make(digest, 0, 256)
	d = append(d, x.id[:]...)
	d.text(x.function, x.version, x.tenant, x.labels, x.failure)
	d.numbers(x.attempt, x.outcome, x.start, x.queued, x.init, x.duration, x.memory, x.bytesIn, x.bytesOut, x.cold)
	if x.origin != "" || x.job != uuid.Nil || x.delivery != 0 || x.firstByte != 0 { // rows of version 2 have none of these, and keep their checksums
		d.text(x.origin)
		d = append(d, x.job[:]...)
		d.numbers(x.delivery, x.firstByte)
	}
	return d.sum()
}

func (x *overrun) sum() int64 {
	d := make(digest, 0, 256)
	d = append(d, x.id[:]...)
	d.text(x.function, x.version, x.tenant, x.labels)
	d.numbers(x.ended, x.duration, x.memory)
	if x.job != uuid.Nil || x.delivery != 0 || x.attempt != 0 { // rows of version 2 have none of these, and keep their checksums
		d = append(d, x.job[:]...)
		d.numbers(x.delivery, x.attempt)
	}
	return d.sum()
}

func (x *correction) sum() int64 {
	d := make(digest, 0, 256)
	d = append(append(d, x.id[:]...), x.invocation[:]...)
	d.text(x.why)
	d.numbers(x.overrun, x.calls, x.duration, x.init, x.memory, x.made)
	return d.sum()
}

// StoredError is the Err of a stored record that is not OK. The original error is not stored;
// a StoredError has what was stored of it.
type StoredError struct {
	Outcome faas.Outcome
	Text    string // the text that WithErrorText returned; empty if none was stored
}

// Error returns the text, or says how the call ended.
func (e *StoredError) Error() string {
	if e.Text != "" {
		return e.Text
	}
	return "the call ended as " + e.Outcome.String()
}

// Unwrap returns the sentinel of the outcome, if there is exactly one:
// [faas.ErrTimeout], [faas.ErrExited] or [faas.ErrInit].
func (e *StoredError) Unwrap() error {
	switch e.Outcome {
	case faas.TimedOut:
		return faas.ErrTimeout
	case faas.Exited:
		return faas.ErrExited
	case faas.InitFailed:
		return faas.ErrInit
	case faas.OK, faas.Failed, faas.Panicked, faas.Canceled, faas.OutputInvalid:
	}
	return nil
}
