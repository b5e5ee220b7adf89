package faas

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// JobRecord is everything that is stored about a job. A [JobQueue] keeps records; programs see
// them as JobInfo. A record encodes as JSON, and Format is the version of that encoding. Fields
// that a later release has added survive: Unmarshal keeps a field that it does not know, and
// Marshal writes it again. An engine that stores the payload elsewhere sets Payload to nil before
// it encodes the record.
//
// Times are of the wall clock, since a job may outlive its process and that process's monotonic
// clock.
type JobRecord struct { //nolint:recvcheck // MarshalJSON needs a value receiver, so that a JobRecord that is no pointer encodes with it too
	Format    int          `json:"format"`             // the version of the encoding, JobFormat
	ID        uuid.UUID    `json:"id"`                 // the job's; its invocations have other IDs
	NewID     bool         `json:"newId,omitempty"`    // for Put, and for follow in Settle: the ID was made for this job alone; a queue returns it as false
	Revision  uint64       `json:"-"`                  // set by the queue: a new one for each write; never 0
	Function  string       `json:"function"`           // the base name, without version or alias
	Name      string       `json:"name,omitempty"`     // the name by which it was sent, if that differs: "resize:live"; each delivery resolves it
	Tenant    string       `json:"tenant,omitempty"`   // the tenant for which it runs
	Priority  int          `json:"priority,omitempty"` // among its tenant's jobs
	State     JobState     `json:"state"`
	Condition JobCondition `json:"condition,omitempty"` // why the job was settled; in a part of a batch that was given up: why the part will be dead

	Accepted  time.Time `json:"accepted"`            // when the queue accepted it
	Due       time.Time `json:"due"`                 // when it should run for the first time; its age counts from here
	NotBefore time.Time `json:"notBefore,omitzero"`  // when it may run next; a parked job is leased at this time at the latest
	ParkedFor JobWait   `json:"parkedFor,omitempty"` // what a parked job waits for
	Settled   time.Time `json:"settled,omitzero"`    // when it was settled; zero before
	KeepUntil time.Time `json:"keepUntil,omitzero"`  // when the queue may forget the settled job

	MaxAge    time.Duration `json:"maxAge,omitempty"`    // counted from Due; 0: as WithMaxAge of its function says
	OrderKey  string        `json:"orderKey,omitempty"`  // jobs of a function and tenant with the same order key run one at a time
	UniqueKey string        `json:"uniqueKey,omitempty"` // a function and a tenant accept one job with this key during UniqueFor
	UniqueFor time.Duration `json:"uniqueFor,omitempty"` // counted from Accepted

	Payload []byte            `json:"payload,omitempty"` // the encoded input
	Items   int               `json:"items,omitempty"`   // the number of items of a batch; 0: the job is no batch
	Output  []byte            `json:"output,omitempty"`  // the encoded output, if the job has succeeded
	Labels  map[string]string `json:"labels,omitempty"`
	Origin  *JobOrigin        `json:"origin,omitempty"` // nil: sent outside of any call, and not through a front door

	Attempts   int           `json:"attempts,omitempty"`   // the deliveries that count against the policy of retries
	Deliveries int           `json:"deliveries,omitempty"` // all deliveries that have ended, also refused ones, but not those of hosts that died
	Refusals   int           `json:"refusals,omitempty"`   // how many of the last deliveries in a row were no attempt; the backoff grows with it
	Crashes    int           `json:"crashes,omitempty"`    // the leases that ran out; counted by the queue
	Used       time.Duration `json:"used,omitempty"`       // the sum of Execution.Duration of its deliveries
	Last       *JobEnd       `json:"last,omitempty"`       // how the last delivery ended; nil: none has ended
	Parts      []uuid.UUID   `json:"parts,omitempty"`      // the jobs that have the items of a batch that was split

	Progress  JobProgress `json:"-"` // set by the queue: the last progress that the holder of the lease has reported
	KeyHolder uuid.UUID   `json:"-"` // set by the queue: the job that holds this one's order key; zero: none, or this one

	rest    rawFields  // the fields that Unmarshal did not know
	answer  *jobAnswer // in a queue in memory: shared with the sender's Job; nil: there is none
	expires time.Time  // of a job with an order key in a queue in memory: when it is too old; zero: not set
}

// jobAnswer holds the end of a job for the [Job] of its sender, which keeps it when the queue has
// forgotten the job. A queue in memory sets the answer in the step that settles the job, and then
// drops its own pointer to it; so the answer lives as long as the Job. The field end shares its
// value with the settled record, which is constant.
//
// A Wait whose answer is set does not call the queue.
type jobAnswer struct {
	end   atomic.Pointer[jobMore] // set when the job has settled; nil: the end is not known
	mu    sync.Mutex              // guards waits
	waits *jobWaiter              // the Waits that wait, a list; noMore: the queue will not set end any more
}

// jobWaiter is a Wait that waits for one answer. The answer's mutex guards all fields but wake.
type jobWaiter struct {
	wake       chan struct{} // has room for one value, which tell sends once it has taken the jobWaiter from the list
	prev, next *jobWaiter
	isListed   bool
}

// noMore stands for the list of an answer that the queue will not set: any more, or at all.
var noMore = &jobWaiter{} //nolint:gochecknoglobals // a constant

// untoldAnswer returns an answer that no queue sets. Wait then reads the record in the queue.
func untoldAnswer() *jobAnswer { return &jobAnswer{waits: noMore} }

// isKnown reports whether the end is set. A delivery calls it as it begins, for the order that
// wait describes.
func (a *jobAnswer) isKnown() bool { return a != nil && a.end.Load() != nil }

// tell sets the end and wakes the Waits. A nil end means that the queue has lost the job, whose
// end is not known.
func (a *jobAnswer) tell(end *jobMore) {
	if end != nil {
		a.end.Store(end)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := a.waits; w != nil && w != noMore; {
		next := w.next
		w.prev, w.next, w.isListed = nil, nil, false
		w.wake <- struct{}{} // from here on w may be that of another Wait
		w = next
	}
	a.waits = noMore
}

// await waits until the queue has set the end, and returns it. It returns nil if the queue will
// not set it, or if ctx or stop ends first. w is in no list, and is in none when await returns.
func (a *jobAnswer) await(ctx context.Context, stop <-chan struct{}, w *jobWaiter) *jobMore {
	done := doneOf(ctx) // before enlist, since it may call Goexit
	if a.enlist(w) {
		select {
		case <-w.wake:
		case <-stop:
			a.withdraw(w)
		case <-done:
			a.withdraw(w)
		}
	}
	return a.end.Load() // also after stop: the end may have been set before stop was closed
}

// enlist has tell wake w, or returns false if tell was called. What the caller of enlist wrote
// before is visible to deliveries that begin later: the compare-and-swap in enlist and the load
// in isKnown order the two.
func (a *jobAnswer) enlist(w *jobWaiter) bool {
	a.end.CompareAndSwap(nil, nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waits == noMore {
		return false
	}
	if w.next = a.waits; w.next != nil {
		w.next.prev = w
	}
	a.waits, w.isListed = w, true
	return true
}

// withdraw is the reverse of enlist. If tell has taken w from the list, it has also sent to w.wake.
func (a *jobAnswer) withdraw(w *jobWaiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !w.isListed {
		<-w.wake
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		a.waits = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.isListed = nil, nil, false
}

type rawFields map[string]json.RawMessage

// JobFormat is the Format of the records that this release writes. In a record of another format
// this release reads the fields that it knows.
const JobFormat = 1

// JobOrigin says where a job comes from.
type JobOrigin struct {
	Invocation uuid.UUID         `json:"invocation,omitzero"` // the call that sent it
	Principal  string            `json:"principal,omitempty"` // the function of that call
	Depth      int               `json:"depth,omitempty"`     // the number of calls and jobs above the job's calls
	Trigger    string            `json:"trigger,omitempty"`   // what started the call that sent it, see Origin
	Door       string            `json:"door,omitempty"`      // the front door, see Origin
	RequestID  string            `json:"requestId,omitempty"` // the ID that the front door's platform gave the request
	Timeout    time.Duration     `json:"timeout,omitempty"`   // bounds each delivery, if it is shorter than the function's timeout
	Key        string            `json:"key,omitempty"`       // the key by which sticky aliases choose a version
	Carried    map[string][]byte `json:"carried,omitempty"`   // what carriers have saved, by the carrier's name
	ReplayOf   uuid.UUID         `json:"replayOf,omitzero"`   // the job of which this one is a replay
	Job        uuid.UUID         `json:"job,omitzero"`        // of a job that delivers to a destination: the job whose end it reports
	Delivers   string            `json:"delivers,omitempty"`  // of such a job: DeliversSuccess or DeliversFailure for a Go func; empty for a function
}

// origin returns the Origin of the job's calls.
func (o *JobOrigin) origin() Origin {
	return Origin{Trigger: o.Trigger, Door: o.Door, RequestID: o.RequestID, Timeout: o.Timeout, Key: o.Key, ReplayOf: o.ReplayOf}
}

// The values of [JobOrigin].Delivers in a job that delivers to a Go func: which of its
// function's destinations it calls in place of the handler.
const (
	DeliversSuccess = "success"
	DeliversFailure = "failure"
)

// JobEnd is how a delivery of a job ended. Kind and Outcome are those of [EndOf].
type JobEnd struct {
	At         time.Time     `json:"at"`
	Invocation uuid.UUID     `json:"invocation,omitzero"` // zero: the delivery was refused
	Version    string        `json:"version,omitempty"`   // the version that ran
	Kind       Kind          `json:"kind,omitempty"`
	Outcome    Outcome       `json:"outcome,omitempty"`
	Reason     Reason        `json:"reason,omitempty"`
	Error      string        `json:"error,omitempty"`
	ErrorType  string        `json:"errorType,omitempty"` // the name of the error's Go type, or Lambda's name for it
	Duration   time.Duration `json:"duration,omitempty"`  // that of the Execution
}

// JobProgress is how far a running job is, as its handler has reported by the func Progress: Done
// of Total, in the handler's unit, and a note.
type JobProgress struct {
	Done, Total int64
	Note        string
}

// plainRecord has the fields of a JobRecord without its methods, so that encoding/json encodes
// the fields.
type plainRecord JobRecord

// MarshalJSON encodes the record.
func (rec JobRecord) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(plainRecord(rec))
	if err != nil || len(rec.rest) == 0 {
		return data, err
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(data, []byte("}")))
	for _, name := range slices.Sorted(maps.Keys(rec.rest)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b.WriteByte(',')
		b.Write(key)
		b.WriteByte(':')
		b.Write(rec.rest[name])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON decodes a record of this format, and the known fields of one of a later format.
func (rec *JobRecord) UnmarshalJSON(data []byte) error {
	var plain plainRecord
	known := json.NewDecoder(bytes.NewReader(data))
	known.DisallowUnknownFields()
	if known.Decode(&plain) == nil { // the common case is the fast one, since an engine decodes a record for each delivery
		*rec = JobRecord(plain)
		return nil
	}
	plain = plainRecord{}
	if err := json.Unmarshal(data, &plain); err != nil {
		return err
	}
	var all rawFields
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return isRecordField(name) })
	if len(all) > 0 {
		plain.rest = all
	}
	*rec = JobRecord(plain)
	return nil
}

// isRecordField reports whether encoding/json reads a name into a field of JobRecord. It ignores
// case, as encoding/json does.
func isRecordField(name string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[JobRecord]()) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag != "" && tag != "-" && strings.EqualFold(tag, name) {
			return true
		}
	}
	return false
}

// jobMore has the fields of a record that few waiting jobs have, and those of a job's end. It is
// constant once an item has it, so a job's answer can share it with the item.
type jobMore struct {
	name      string // the name by which the function is called; name and state are set for a settled job only
	state     JobState
	condition JobCondition
	settled   int64 // in Unix nanoseconds
	output    []byte
	used      time.Duration
	last      *JobEnd
	origin    *JobOrigin
	rare      *jobRare // nil: no field of it is set
	end       JobEnd   // in a queue in memory: the room for what last points to, see jobEnd.more
}

// jobRare has the fields of a record that few jobs have. They are apart because a queue in memory
// keeps a jobMore for each settled job.
type jobRare struct {
	parkedFor JobWait
	maxAge    time.Duration
	uniqueKey string
	uniqueFor time.Duration
	labels    map[string]string
	rest      rawFields
	items     int
	parts     []uuid.UUID
}

// calledName returns the name by which the job's function is called.
func (rec *JobRecord) calledName() string {
	if rec.Name != "" {
		return rec.Name
	}
	return rec.Function
}

// jobTime returns the wall clock's time in the form that records have: UTC, without a monotonic
// part.
func jobTime() time.Time { return time.Now().Round(0).UTC() }
