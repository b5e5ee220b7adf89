package faasnats

import (
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/inproc/faas"
)

// What the tests need of the encoding.

func Token(name string) string           { return token(name) }
func Untoken(text string) (string, bool) { return untoken(text) }

func Version(text string) (major, minor int, ok bool) { return version(text) }

// PlaceSubject is the subject of a job that is in line.
func PlaceSubject(rec *faas.JobRecord) string { return placeOf(rec).at(rec.ID, inLine) }

// WhereTaken is the subject at which Put looks whether an ID is taken.
func WhereTaken(rec *faas.JobRecord) string { return whereTaken(placeOf(rec), rec) }

// Bucket is where a job is put.
func Bucket(rec *faas.JobRecord) string { return placeOf(rec).bucket }

// Encode makes the message of a job that is in line, with what follows from it.
func Encode(rec *faas.JobRecord, follow []byte) (*nats.Msg, error) {
	return message(placeOf(rec), rec, inLine, follow, large{})
}

// Decode reads a message of a job.
func Decode(subject string, header nats.Header, data []byte) (rec faas.JobRecord, follow []byte, err error) {
	s, err := decode(subject, header, data, 1)
	if err != nil {
		return rec, nil, err
	}
	return s.rec, s.follow, nil
}

// ParseSubject takes a subject apart.
func ParseSubject(subject string) (function, bucket string, id uuid.UUID, state string, ok bool) {
	p, id, state, ok := parseSubject(subject)
	return p.function, p.bucket, id, state, ok
}
