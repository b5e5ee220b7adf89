package faasnats

import (
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/inproc/faas"
)

// The parts of the encoding that tests use.

func Token(name string) string           { return token(name) }
func Untoken(text string) (string, bool) { return untoken(text) }

func Version(text string) (major, minor int, ok bool) { return version(text) }

// PlaceSubject returns the subject of a job that is in line.
func PlaceSubject(rec *faas.JobRecord) string { return placeOf(rec).at(rec.ID, inLine) }

// WhereTaken returns the subject under which Put looks whether an ID is taken.
func WhereTaken(rec *faas.JobRecord) string { return whereTaken(placeOf(rec), rec) }

// Bucket returns the bucket or partition of a job.
func Bucket(rec *faas.JobRecord) string { return placeOf(rec).bucket }

// Encode makes the message of a job that is in line. follow has the jobs that follow from it.
func Encode(rec *faas.JobRecord, follow []byte) (*nats.Msg, error) {
	return message(placeOf(rec), rec, inLine, follow, large{})
}

// Decode decodes the message of a job.
func Decode(subject string, header nats.Header, data []byte) (rec faas.JobRecord, follow []byte, err error) {
	s, err := decode(subject, header, data, 1)
	if err != nil {
		return rec, nil, err
	}
	return s.rec, s.follow, nil
}

// ParseSubject returns the parts of a subject.
func ParseSubject(subject string) (function, bucket string, id uuid.UUID, state string, ok bool) {
	p, id, state, ok := parseSubject(subject)
	return p.function, p.bucket, id, state, ok
}

// Room is the count of how full the store is, without a server.
type Room struct{ r *room }

func NewRoom(most int64) Room { return Room{&room{most: most, mine: map[string]int64{}}} }

// Take counts a write of Put, if there is room for it.
func (r Room) Take(n int64) bool { ok, _ := r.r.take("", n, n); return ok }

// Begin counts another write.
func (r Room) Begin(n int64) { r.r.begin(n) }

// Stored, Refused and Unsure end a write.
func (r Room) Stored(n int64)  { r.r.end(n, isStored) }
func (r Room) Refused(n int64) { r.r.end(n, isRefused) }
func (r Room) Unsure(n int64)  { r.r.end(n, isUnsure) }

// Ask begins to ask the server. The result takes its answer.
func (r Room) Ask() func(bytes int64) {
	k := r.r.known()
	return func(bytes int64) { r.r.set(uint64(bytes), k) }
}

// Used returns the count, and by how much it may be too high.
func (r Room) Used() (used, excess int64) { return r.r.used, r.r.excess }
