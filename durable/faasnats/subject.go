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

// The stream has one subject for each job and state, j.<function>.<bucket>.<id>.<state>,
// and one for each unique key, u.<function>.<tenant>.<key>. Function and bucket come
// first, so that the filter of a consumer never walks over the IDs of others.
//
// buckets keep the tenants of a function apart: each has a consumer of its own, and a
// backlog in one does not delay another. A job with an order key is in a partition
// instead, whose consumer gives one job at a time.
const (
	buckets    = 4
	partitions = 64
)

// The states, as the last token of a subject.
const (
	inLine    = "go"   // ready, running, or succeeded: what the consumer gives
	inFuture  = "at"   // waits for its time, as a schedule of the server
	inPark    = "park" // parked, as such a schedule
	inHand    = "hold" // beside inLine, which stays the token of the delivery: the record as its holder has written it
	isDead    = "dead"
	isDropped = "drop" // canceled
)

// place is where the jobs of one consumer are.
type place struct {
	function string // as it is named
	bucket   string
}

// placeOf returns the place of a job.
func placeOf(rec *faas.JobRecord) place {
	if rec.OrderKey != "" {
		return place{rec.Function, fmt.Sprintf("o%d", hashOf(rec.Tenant, rec.OrderKey)%partitions)}
	}
	return place{rec.Function, strconv.FormatUint(hashOf(rec.Tenant)%buckets, 10)}
}

// isOrdered reports whether the place is a partition of order keys.
func (p place) isOrdered() bool { return strings.HasPrefix(p.bucket, "o") }

// consumer is the name of the place's consumer.
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

// filter is the subject filter of the place's consumer: it gives the jobs in line.
func (p place) filter() string { return p.subject("*", inLine) }

// of is the subject of all records of a job.
func (p place) of(id uuid.UUID) string { return p.subject(idToken(id), ">") }

// owner is how the name of an object says to which job it belongs.
func (p place) owner(id uuid.UUID) string { return strings.TrimSuffix(p.of(id), ".>") }

// at is the subject of a job in a state.
func (p place) at(id uuid.UUID, state string) string { return p.subject(idToken(id), state) }

func (p place) subject(id, state string) string {
	return "j." + token(p.function) + "." + p.bucket + "." + id + "." + state
}

// anywhere is the subject of all records of a job whose place is not known.
func anywhere(id uuid.UUID) string { return "j.*.*." + idToken(id) + ".>" }

// sweepSubject is a key of which the process sweeps the objects that has it. No function has
// this token.
const sweepSubject = "u.=.sweep.0"

// keySubject is the subject of a unique key.
func keySubject(rec *faas.JobRecord) string {
	return fmt.Sprintf("u.%s.%016x.%s", token(rec.Function), hashOf(rec.Tenant), keyToken(rec.Tenant, rec.UniqueKey))
}

// parseSubject takes the subject of a job apart.
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

// token writes a name as one token of a subject, and as part of a consumer's name: bytes
// other than letters, digits, '-' and '_' as "=XX".
func token(name string) string {
	i := 0
	for i < len(name) && isPlain(name[i]) {
		i++
	}
	if i == len(name) { // nearly always: there are several subjects for each write
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

// hashOf spreads names over buckets. It must stay what it is: jobs that are stored were
// placed by it.
func hashOf(names ...string) uint64 {
	h := fnv.New64a()
	for _, name := range names {
		_, _ = h.Write([]byte(name))
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64() // FNV's low bits mix badly: the finalizer of SplitMix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
