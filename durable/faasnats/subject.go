package faasnats

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// The stream has one subject for each job and state, j.<function>.<bucket>.<id>.<state>, and
// one for each unique key, u.<function>.<tenant>.<key>. Function and bucket come first, so that
// the server, which applies a consumer's filter, never walks over the IDs of other functions
// and buckets.
//
// A function has 4 buckets, over which its tenants are spread. Each bucket has a consumer of
// its own, so that a backlog in one bucket does not delay the jobs of another. A job with an
// order key is in one of 64 partitions instead. The consumer of a partition gives one job at a
// time.
const (
	buckets    = 4
	partitions = 64
)

// The states of a job's message: the last token of its subject.
const (
	inLine    = "go"   // a job that is ready, running, or succeeded; the consumer delivers these messages
	inFuture  = "at"   // a job that waits for its time: the message is a schedule, which the server fires
	inPark    = "park" // a parked job: also a schedule
	inHand    = "hold" // a newer record of a job, written by the process that holds it; the inLine message stays, since its delivery makes that process the holder
	isDead    = "dead"
	isDropped = "drop" // canceled
)

// place names a bucket or a partition of a function: the part of the stream that one consumer
// delivers.
type place struct {
	function string // the function's name, without encoding
	bucket   string
}

// placeOf returns the place of a job, from its function, tenant and order key.
func placeOf(rec *faas.JobRecord) place {
	if rec.OrderKey != "" {
		return place{rec.Function, fmt.Sprintf("o%d", hashOf(rec.Tenant, rec.OrderKey)%partitions)}
	}
	return place{rec.Function, strconv.FormatUint(hashOf(rec.Tenant)%buckets, 10)}
}

// isOrdered reports whether the place is a partition of order keys.
func (p place) isOrdered() bool { return strings.HasPrefix(p.bucket, "o") }

// consumer returns the name of the place's consumer.
func (p place) consumer() string { return "c_" + token(p.function) + "_" + p.bucket }

// placeOfConsumer is the reverse of consumer.
func placeOfConsumer(name string) (place, bool) {
	rest, ok := strings.CutPrefix(name, "c_")
	at := strings.LastIndexByte(rest, '_')
	if !ok || at < 0 {
		return place{}, false
	}
	function, ok := untoken(rest[:at])
	return place{function, rest[at+1:]}, ok
}

// filter returns the subject filter of the place's consumer, which selects the messages inLine.
func (p place) filter() string { return p.subject("*", inLine) }

// of returns the subject that matches all records of a job.
func (p place) of(id uuid.UUID) string { return p.subject(idToken(id), ">") }

// owner returns the first part of an object's name, which says to which job the object belongs.
func (p place) owner(id uuid.UUID) string { return strings.TrimSuffix(p.of(id), ".>") }

// at returns the subject of a job's record in a state.
func (p place) at(id uuid.UUID, state string) string { return p.subject(idToken(id), state) }

func (p place) subject(id, state string) string {
	return "j." + token(p.function) + "." + p.bucket + "." + id + "." + state
}

// anywhere returns the subject that matches all records of a job whose place is not known.
func anywhere(id uuid.UUID) string { return "j.*.*." + idToken(id) + ".>" }

// sweepSubject is the subject of a message that one of the processes writes before it sweeps
// the object store: the others leave the sweep to it until the message expires. It can't be a
// unique key, since no function has the token "=".
const sweepSubject = "u.=.sweep.0"

// keySubject returns the subject of a unique key.
func keySubject(rec *faas.JobRecord) string {
	return fmt.Sprintf("u.%s.%016x.%s", token(rec.Function), hashOf(rec.Tenant), keyToken(rec.Tenant, rec.UniqueKey))
}

// parseSubject returns the parts of a job's subject.
func parseSubject(subject string) (p place, id uuid.UUID, state string, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 5 || parts[0] != "j" || len(parts[3]) != 2*len(id) {
		return p, id, "", false
	}
	function, ok := untoken(parts[1])
	if !ok {
		return p, id, "", false
	}
	_, err := hex.Decode(id[:], []byte(parts[3]))
	return place{function, parts[2]}, id, parts[4], err == nil
}

func idToken(id uuid.UUID) string { return hex.EncodeToString(id[:]) }

// token encodes a name as one token of a subject, or as part of a consumer's name. Letters,
// digits, '-' and '_' stay; each other byte becomes "=XX", in hexadecimal.
func token(name string) string {
	i := 0
	for i < len(name) && isPlain(name[i]) {
		i++
	}
	if i == len(name) { // the fast path: nearly every name is plain, and each write makes several subjects
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; isPlain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func isPlain(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// untoken is the reverse of token.
func untoken(text string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '=' {
			b.WriteByte(text[i])
			continue
		}
		if i+3 > len(text) {
			return "", false
		}
		c, err := hex.DecodeString(text[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b.WriteByte(c[0])
		i += 2
	}
	return b.String(), true
}

// hashOf spreads names over buckets. It must never change: stored jobs have been placed by it.
func hashOf(names ...string) uint64 {
	h := fnv.New64a()
	for _, name := range names {
		_, _ = h.Write([]byte(name))
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64() // FNV's low bits mix badly, so the finalizer of SplitMix64 follows
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
