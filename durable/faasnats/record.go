package faasnats

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// The headers of a job's message. Its body is the payload, then the output, then the records of
// the jobs that follow from the job, as JSON.
const (
	headerRecord    = "Faas-Record"    // the record as JSON, without payload and output
	headerState     = "Faas-State"     // only of a settled job: its state, or forgotten. A delivery with it is not a job to run
	headerParts     = "Faas-Parts"     // the lengths of the payload and the output in the body; 0 for one that is an object
	headerWrite     = "Faas-Write"     // the name of the write, by which its author recognizes it
	headerDelivered = "Faas-Delivered" // of an inHand record: how many deliveries of the inLine message its holders have accounted for, see countCrash
	headerClaimed   = "Faas-Claimed"   // of an inHand record: the holder was about to run the job. Of a settled job: it may have inHand records, to be swept
	forgotten       = "Forgotten"      // a value of headerState: the job was purged, and its ID stays taken until the message expires
)

// keyToken returns a unique key as a token of a subject. It is a hash, since a key may be long
// and have any bytes.
func keyToken(tenant, key string) string {
	sum := sha256.Sum256([]byte(tenant + "\x00" + key))
	return hex.EncodeToString(sum[:16])
}

// stored is a job's record as one message of the stream has it.
type stored struct {
	rec       faas.JobRecord
	place     place
	state     string // the last token of its subject
	seq       uint64
	settled   bool
	forgotten bool
	large     large
	follow    []byte // the jobs that follow from a settled job, as JSON; nil: none
	write     string
	delivered uint64
	claimed   bool
}

// decode returns what the message of a job has.
func decode(subject string, header nats.Header, data []byte, seq uint64) (*stored, error) {
	p, id, state, ok := parseSubject(subject)
	if !ok {
		return nil, fmt.Errorf("faasnats: %q is not the subject of a job", subject)
	}
	s := &stored{place: p, state: state, seq: seq, write: header.Get(headerWrite), claimed: header.Get(headerClaimed) != ""}
	s.delivered, _ = strconv.ParseUint(header.Get(headerDelivered), 10, 64)
	word := header.Get(headerState)
	s.settled, s.forgotten = word != "", word == forgotten
	if err := s.rec.UnmarshalJSON([]byte(header.Get(headerRecord))); err != nil { // not json.Unmarshal, which would parse the text twice
		return nil, fmt.Errorf("faasnats: the record of job %v does not decode: %w", id, err)
	}
	s.rec.ID, s.rec.Revision = id, seq
	if text := header.Get(headerLarge); text != "" {
		if err := json.Unmarshal([]byte(text), &s.large); err != nil {
			return nil, fmt.Errorf("faasnats: the list of the objects of job %v does not decode: %w", id, err)
		}
	}
	return s, s.split(header.Get(headerParts), data)
}

// split gives the record its payload and output, from the message's body.
func (s *stored) split(parts string, data []byte) error {
	first, second, _ := strings.Cut(parts, " ")
	n, err1 := strconv.Atoi(first)
	m, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || n < 0 || m < 0 || n > len(data) || m > len(data)-n {
		return fmt.Errorf("faasnats: the message of job %v has %d bytes and the parts %q", s.rec.ID, len(data), parts)
	}
	s.rec.Payload, s.rec.Output, s.follow = part(data[:n]), part(data[n:n+m]), part(data[n+m:])
	return nil
}

func part(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	return slices.Clip(data)
}

// show returns the record as Get and List return it: as ready, if the job is not settled and
// its time has come.
func (s *stored) show(now time.Time) faas.JobRecord {
	rec := s.rec
	if !rec.State.IsSettled() && (s.state == inLine || !whenOf(&rec).After(now)) {
		rec.State = faas.JobReady
	}
	return rec
}

// whenOf returns the time from which on a job that is not settled may run.
func whenOf(rec *faas.JobRecord) time.Time {
	if rec.NotBefore.IsZero() {
		return rec.Due
	}
	return rec.NotBefore
}

// stateOf returns the state (inLine, …) that the subject of the record's message has.
func stateOf(rec *faas.JobRecord, now time.Time) string {
	switch {
	case rec.State == faas.JobSucceeded:
		return inLine
	case rec.State == faas.JobDead:
		return isDead
	case rec.State == faas.JobCanceled:
		return isDropped
	case !whenOf(rec).After(now):
		return inLine
	case rec.State == faas.JobParked:
		return inPark
	}
	return inFuture
}

// message makes the message of a record in a state (inLine, …). The parts that the parameter at
// lists are objects, and are left out of the body.
func message(p place, rec *faas.JobRecord, state string, follow []byte, at large) (*nats.Msg, error) {
	bare := *rec
	bare.Payload, bare.Output, bare.NewID = nil, nil, false
	text, err := bare.MarshalJSON() // not json.Marshal, which would parse what MarshalJSON returns
	if err != nil {
		return nil, fmt.Errorf("faasnats: the record of job %v does not encode: %w", rec.ID, err)
	}
	msg := nats.NewMsg(p.at(rec.ID, state))
	msg.Header.Set(headerRecord, string(text))
	payload, output := at.inBody(rec)
	msg.Header.Set(headerParts, strconv.Itoa(len(payload))+" "+strconv.Itoa(len(output)))
	msg.Data = make([]byte, 0, len(payload)+len(output)+len(follow))
	msg.Data = append(append(append(msg.Data, payload...), output...), follow...)
	if err := at.mark(msg); err != nil {
		return nil, err
	}
	switch state {
	case inFuture, inPark:
		msg.Header.Set(jetstream.ScheduleHeader, "@at "+whenOf(rec).UTC().Format(time.RFC3339Nano))
		msg.Header.Set(jetstream.ScheduleTargetHeader, p.at(rec.ID, inLine))
	}
	if rec.State.IsSettled() {
		msg.Header.Set(headerState, rec.State.String())
		if d, ok := keptFor(rec); ok {
			msg.Header.Set(jetstream.MsgTTLHeader, ttl(d))
		}
	}
	return msg, nil
}

// keptFor returns how long the record of a settled job is kept. A record stays at least as long
// as its unique key is taken, since the key leads to the record. ok is false if the record is
// kept for ever.
func keptFor(rec *faas.JobRecord) (d time.Duration, ok bool) {
	if rec.KeepUntil.IsZero() {
		return 0, false
	}
	d = time.Until(rec.KeepUntil)
	if rec.UniqueKey != "" {
		d = max(d, time.Until(rec.Accepted.Add(rec.UniqueFor))+2*time.Second)
	}
	return d, true
}

// ttl writes a duration as a message's time to live: in whole seconds, rounded up, at least
// one.
func ttl(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10) + "s"
}

// fence makes the server store a message only if last is the sequence of the newest message under
// the subject of, which may have wildcards. If last is 0, there must be no such message.
func fence(msg *nats.Msg, last uint64, of string) {
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, of)
}

// purging makes the server remove the job's schedule in the same write. A schedule that stayed
// would fire later and overwrite what this message stores.
func purging(msg *nats.Msg, p place, id uuid.UUID, schedule string) {
	msg.Header.Set(jetstream.SchedulerHeader, p.at(id, schedule))
	msg.Header.Set(jetstream.ScheduleNextHeader, "purge")
}
