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

// JobRecord is all that is known about a job. A [JobQueue] keeps it; programs see it as
// a JobInfo. It encodes as JSON, with Format as the version of the encoding. A field
// that a later release has added survives: what Unmarshal does not know Marshal writes
// again. An engine that keeps the payload apart sets Payload to nil before it encodes.
//
// Times are wall-clock times: a job outlives the process whose monotonic clock it is.
type JobRecord struct { //nolint:recvcheck // as encoding/json asks: a record that is a value must encode too
	Format    int          `json:"format"`             // of the encoding; JobFormat
	ID        uuid.UUID    `json:"id"`                 // the job's, which is none of its invocations'
	NewID     bool         `json:"newId,omitempty"`    // to Put, and of what follows to Settle: the ID was made for this job, so that no other function's has it; never set in an answer
	Revision  uint64       `json:"-"`                  // set by the queue: another one after each write; never 0
	Function  string       `json:"function"`           // the base name, without version or alias
	Name      string       `json:"name,omitempty"`     // as it was sent, if that differs: "resize:live"; resolved at each delivery
	Tenant    string       `json:"tenant,omitempty"`   // for which it runs
	Priority  int          `json:"priority,omitempty"` // among its tenant's jobs
	State     JobState     `json:"state"`
	Condition JobCondition `json:"condition,omitempty"` // of a settled job: why; of a part of a batch that was given up: why it will be dead

	Accepted  time.Time `json:"accepted"`            // when it was sent
	Due       time.Time `json:"due"`                 // when it should run first; its age counts from here
	NotBefore time.Time `json:"notBefore,omitzero"`  // when it may run next; a parked job waits no longer than this
	ParkedFor JobWait   `json:"parkedFor,omitempty"` // of a parked job: what it waits for
	Settled   time.Time `json:"settled,omitzero"`    // when it entered its terminal state; zero before
	KeepUntil time.Time `json:"keepUntil,omitzero"`  // of a settled job: when the queue may forget it

	MaxAge    time.Duration `json:"maxAge,omitempty"`    // from Due; 0: as WithMaxAge of its function says
	OrderKey  string        `json:"orderKey,omitempty"`  // jobs of a function and tenant with the same one run one at a time
	UniqueKey string        `json:"uniqueKey,omitempty"` // of which there is one job of a function and tenant
	UniqueFor time.Duration `json:"uniqueFor,omitempty"` // from Accepted

	Payload []byte            `json:"payload,omitempty"` // the encoded input
	Items   int               `json:"items,omitempty"`   // of the batch that it is; 0: it is none
	Output  []byte            `json:"output,omitempty"`  // the encoded output of a job that succeeded
	Labels  map[string]string `json:"labels,omitempty"`
	Origin  *JobOrigin        `json:"origin,omitempty"` // nil: sent from outside of any call, by no front door

	Attempts   int           `json:"attempts,omitempty"`   // deliveries that count against the policy of retries
	Deliveries int           `json:"deliveries,omitempty"` // all that have ended, refused ones included, and not those of hosts that died
	Refusals   int           `json:"refusals,omitempty"`   // deliveries in a row that were no attempt: the backoff grows with them
	Crashes    int           `json:"crashes,omitempty"`    // leases that ran out; counted by the queue
	Used       time.Duration `json:"used,omitempty"`       // the sum of Execution.Duration of its deliveries
	Last       *JobEnd       `json:"last,omitempty"`       // how the last delivery ended; nil before the first has
	Parts      []uuid.UUID   `json:"parts,omitempty"`      // of a batch that was split: the jobs of its items

	Progress  JobProgress `json:"-"` // set by the queue: what the holder of the lease told last
	KeyHolder uuid.UUID   `json:"-"` // set by the queue: the job that holds this one's order key; zero: none, or this one

	rest    rawFields  // those that Unmarshal did not know
	answer  *jobAnswer // that the sender holds, in a queue in memory; nil: there is none
	expires time.Time  // of a job with an order key in a queue in memory: when it is too old; zero: not known
}

// jobAnswer is the end of a job for the [Job] that its sender holds. The Job keeps the answer
// when the queue has forgotten the job. A queue in memory sets the answer as it settles the job,
// and then drops its own pointer to it: so the answer lives as long as the Job. It shares the end
// with the settled record, which nothing changes.
//
// A Wait that has such an answer does not ask the queue.
type jobAnswer struct {
	end  atomic.Pointer[jobMore] // of the settled record; nil: it is not known
	mu   sync.Mutex              // guards done
	done chan struct{}           // closed once the queue tells nothing more; nil: no Wait has asked, and it may still tell
}

// noMore is the value of jobAnswer.done once the queue tells nothing more, and from the start if
// it never tells anything. It is closed.
var noMore = func() chan struct{} { //nolint:gochecknoglobals // a constant
	c := make(chan struct{})
	close(c)
	return c
}()

// untoldAnswer returns an answer that no queue has: Wait asks the queue for the record.
func untoldAnswer() *jobAnswer { return &jobAnswer{done: noMore} }

// isKnown reports whether the end is known. A delivery asks as it begins.
func (a *jobAnswer) isKnown() bool { return a != nil && a.end.Load() != nil }

// tell tells the end; nil: the job is lost with its queue, and it is not known.
func (a *jobAnswer) tell(end *jobMore) {
	if end != nil {
		a.end.Store(end)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done != nil && a.done != noMore {
		close(a.done)
	}
	a.done = noMore
}

// await returns the end once the queue tells it, and nil if the queue tells nothing more, or if
// the context or stop has ended before.
func (a *jobAnswer) await(ctx context.Context, stop <-chan struct{}) *jobMore {
	select {
	case <-a.wait():
	case <-stop:
	case <-doneOf(ctx):
	}
	return a.end.Load() // also if stop has won: perhaps it was closed after the job was settled
}

// wait returns a channel that is closed once the end is known, or the queue tells nothing more.
// What the caller of wait wrote before is visible to deliveries that begin later: the
// compare-and-swap here, and the load in isKnown, order the two.
func (a *jobAnswer) wait() <-chan struct{} {
	a.end.CompareAndSwap(nil, nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil {
		a.done = make(chan struct{})
	}
	return a.done
}

type rawFields map[string]json.RawMessage

// JobFormat is the Format of the records that this release writes. A record of another
// format is read as far as its fields are known.
const JobFormat = 1

// JobOrigin says where a job comes from.
type JobOrigin struct {
	Invocation uuid.UUID         `json:"invocation,omitzero"` // the call that sent it
	Principal  string            `json:"principal,omitempty"` // the function of that call
	Depth      int               `json:"depth,omitempty"`     // calls and jobs above it
	Trigger    string            `json:"trigger,omitempty"`   // what started the function that sent it
	Door       string            `json:"door,omitempty"`      // the front door
	RequestID  string            `json:"requestId,omitempty"` // of the platform that the front door speaks for
	Timeout    time.Duration     `json:"timeout,omitempty"`   // of each delivery, if shorter than the function's
	Key        string            `json:"key,omitempty"`       // by which sticky aliases choose a version
	Carried    map[string][]byte `json:"carried,omitempty"`   // what carriers have saved, by their names
	ReplayOf   uuid.UUID         `json:"replayOf,omitzero"`   // the job that was replayed
	Job        uuid.UUID         `json:"job,omitzero"`        // of a job that delivers to a destination: the one whose end it tells
	Delivers   string            `json:"delivers,omitempty"`  // of such a job: DeliversSuccess or DeliversFailure if it calls a Go func; empty if it calls a function
}

// origin is what the calls of the job say about where they come from.
func (o *JobOrigin) origin() Origin {
	return Origin{Trigger: o.Trigger, Door: o.Door, RequestID: o.RequestID, Timeout: o.Timeout, Key: o.Key, ReplayOf: o.ReplayOf}
}

// What a job that delivers to a Go func has as [JobOrigin].Delivers: which destination
// of its function it calls in place of the handler.
const (
	DeliversSuccess = "success"
	DeliversFailure = "failure"
)

// JobEnd is how a delivery of a job ended. Kind and Outcome are those of [EndOf].
type JobEnd struct {
	At         time.Time     `json:"at"`
	Invocation uuid.UUID     `json:"invocation,omitzero"` // zero: it was refused
	Version    string        `json:"version,omitempty"`   // that ran
	Kind       Kind          `json:"kind,omitempty"`
	Outcome    Outcome       `json:"outcome,omitempty"`
	Reason     Reason        `json:"reason,omitempty"`
	Error      string        `json:"error,omitempty"`
	ErrorType  string        `json:"errorType,omitempty"` // the name of the error's Go type, or Lambda's word for it
	Duration   time.Duration `json:"duration,omitempty"`  // of the Execution
}

// JobProgress is how far a running job is, in the handler's own words. See Progress.
type JobProgress struct {
	Done, Total int64
	Note        string
}

// plainRecord has the fields of a record, and not its methods.
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

// UnmarshalJSON decodes a record, of this format or a later one.
func (rec *JobRecord) UnmarshalJSON(data []byte) error {
	var plain plainRecord
	known := json.NewDecoder(bytes.NewReader(data))
	known.DisallowUnknownFields()
	if known.Decode(&plain) == nil { // nearly always: an engine reads a record for each delivery
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

// isRecordField reports whether encoding/json reads the name into a field, which it does
// without regard to case.
func isRecordField(name string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[JobRecord]()) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag != "" && tag != "-" && strings.EqualFold(tag, name) {
			return true
		}
	}
	return false
}

// jobMore is what few jobs that wait have, and what is known of the end of one. It is constant
// once an item has it: so the job's answer shares it.
type jobMore struct {
	name      string // by which the job's function is called; of a settled job, as state
	state     JobState
	condition JobCondition
	parkedFor JobWait
	settled   int64 // in Unix nanoseconds
	maxAge    time.Duration
	uniqueKey string
	uniqueFor time.Duration
	output    []byte
	used      time.Duration
	last      *JobEnd
	labels    map[string]string
	origin    *JobOrigin
	rest      rawFields
	items     int
	parts     []uuid.UUID
	end       JobEnd // last points to it, if the delivery was one from a queue in memory; see jobEnd.more
}

// calledName is the name by which the job's function is called.
func (rec *JobRecord) calledName() string {
	if rec.Name != "" {
		return rec.Name
	}
	return rec.Function
}

// jobTime is the wall clock's time, as records have it.
func jobTime() time.Time { return time.Now().Round(0).UTC() }
