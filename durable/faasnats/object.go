package faasnats

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// A payload or an output that is larger than WithInline allows is stored as an object, in an
// object store beside the stream. The object is written first, and then the record that names
// it. So a process that dies in between leaves an object that no record names, and sweep
// removes that later. The reverse, a record whose object is missing, does not occur.
//
// This file writes the chunks and the description of an object in the format of NATS (ADR-20),
// so that `nats object` can read them. It does not use the client's object store, because here
// each chunk is acknowledged before the next is sent, and both subjects are made from the
// object's name.

const (
	mostFollow   = 64 << 10 // the largest payload of a job that follows, inside the record of the other job
	chunkSize    = 512 << 10
	objectSuffix = "_objects" // the end of the bucket's name, after the stream's name
	// holdTime is for how long a process removes no objects after a backup's last announcement.
	holdTime = time.Minute
)

// objectStore stores the large parts of records. It gets records as arguments, and does not
// depend on Queue.
type objectStore struct {
	js     jetstream.JetStream
	conn   *nats.Conn
	stream jetstream.Stream
	bucket string
	inline int // the largest part of a record that is not an object
	author string
	writes atomic.Uint64 // counts the objects of this author, for their names
	held   atomic.Int64  // until this time, in nanoseconds of Unix time, objects stay for a backup
	room   *room         // counts the bytes of the objects too
	log    *slog.Logger
}

func newObjectStore(conn *nats.Conn, js jetstream.JetStream, stream jetstream.Stream, author string, r *room, s *settings) *objectStore {
	return &objectStore{js: js, conn: conn, stream: stream, bucket: bucketOf(s.stream), inline: s.inline, author: author, room: r, log: s.log}
}

func bucketOf(stream string) string       { return stream + objectSuffix }
func objectStreamOf(stream string) string { return "OBJ_" + bucketOf(stream) }

// openObjects returns the stream of the object store, and makes the store if there is none.
func openObjects(ctx context.Context, js jetstream.JetStream, s *settings) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, objectStreamOf(s.stream))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: bucketOf(s.stream), Description: "large payloads and outputs of jobs", Storage: jetstream.FileStorage, Replicas: s.replicas,
		})
		if err == nil {
			stream, err = js.Stream(ctx, objectStreamOf(s.stream))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("faasnats: open the object store %s: %w", bucketOf(s.stream), err)
	}
	if has := stream.CachedInfo().Config.Replicas; has < s.replicas {
		return nil, fmt.Errorf("faasnats: the object store %s has %d replicas, and %d are asked for; set them with `nats stream edit`", bucketOf(s.stream), has, s.replicas)
	}
	return stream, nil
}

// chunks returns the subject of an object's content, and about the subject of its description.
func (s *objectStore) chunks(name string) string {
	return "$O." + s.bucket + ".C." + base64.URLEncoding.EncodeToString([]byte(name))
}

func (s *objectStore) about(name string) string {
	return "$O." + s.bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

// enlarge writes the large parts of a record as objects, and returns which parts are objects. It
// does not write a part again whose content is in an object of the parameter had.
func (s *objectStore) enlarge(ctx context.Context, rec *faas.JobRecord, had large, owner string) (at large, err error) {
	if at.Payload, err = s.object(ctx, rec.Payload, s.inline, had.Payload, owner); err == nil {
		at.Output, err = s.object(ctx, rec.Output, s.inline, had.Output, owner)
	}
	return at, err
}

// object writes data as an object, and returns the object. It writes nothing in two cases: if
// data is small, it returns a zero object; and if the parameter had is an object with the same
// content, it returns that.
func (s *objectStore) object(ctx context.Context, data []byte, inline int, had object, owner string) (object, error) {
	if len(data) <= inline {
		return object{}, nil
	}
	o := s.newObject(data, owner)
	if had.Sum == o.Sum {
		return had, nil
	}
	n := s.storedSize(o)
	s.room.begin(n)
	err := s.putObject(ctx, o, data)
	if err == nil {
		s.room.end(n, isStored)
	} else {
		s.room.end(n, isUnsure) // some of its messages may be stored
	}
	return o, err
}

// newObject returns the object that data is to be. It writes nothing.
func (s *objectStore) newObject(data []byte, owner string) object {
	sum := sha256.Sum256(data)
	return object{Name: fmt.Sprintf("%s/%s-%d", owner, s.author, s.writes.Add(1)), Size: len(data), Sum: hex.EncodeToString(sum[:])}
}

// storedSize returns how many bytes an object takes in the store, or a little more: 64 for each
// message besides its subject and content, and 512 in the description besides the name.
func (s *objectStore) storedSize(o object) int64 {
	perMessage, messages := len(s.about(o.Name))+64, (o.Size+chunkSize-1)/chunkSize+1
	return int64(o.Size + messages*perMessage + 3*len(o.Name) + 512)
}

// putObject writes an object. No other object may have its name.
func (s *objectStore) putObject(ctx context.Context, o object, data []byte) error {
	sum, err := hex.DecodeString(o.Sum)
	if err != nil {
		return err
	}
	n := uint32(0)
	for chunk := range slices.Chunk(data, chunkSize) {
		if _, err := publish(ctx, s.js, &nats.Msg{Subject: s.chunks(o.Name), Data: chunk}); err != nil {
			return err
		}
		n++
	}
	about, err := json.Marshal(jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: o.Name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunkSize}}, Bucket: s.bucket,
		NUID: base64.URLEncoding.EncodeToString([]byte(o.Name)), Size: uint64(o.Size), Chunks: n,
		Digest: "SHA-256=" + base64.URLEncoding.EncodeToString(sum),
	})
	if err == nil {
		_, err = publish(ctx, s.js, &nats.Msg{Subject: s.about(o.Name), Data: about})
	}
	return err
}

// errLost means that an object is missing or damaged.
var errLost = errors.New("a part of the job that was too large for its record is lost")

// getObject reads an object. If it is not whole, getObject tries twice more, since a replica
// may be behind.
func (s *objectStore) getObject(ctx context.Context, o object) (data []byte, err error) {
	for try := range 3 {
		if try > 0 && !pause(ctx, time.Second) {
			return nil, ctx.Err()
		}
		if data, err = s.readObject(ctx, o); err != nil {
			return nil, err
		}
		if sum := sha256.Sum256(data); o.Sum == hex.EncodeToString(sum[:]) {
			return data, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", errLost, o.Name)
}

// pause waits for d. It returns false if ctx has ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *objectStore) readObject(ctx context.Context, o object) (data []byte, err error) {
	for from, more := uint64(1), uint64(1); more > 0; {
		had := len(data)
		more, err = direct(ctx, s.conn, "OBJ_"+s.bucket, s.chunks(o.Name), from, 256, func(msg *nats.Msg, seq uint64) {
			data, from = append(data, msg.Data...), seq+1
		})
		if err != nil || len(data) == had || len(data) > o.Size {
			return data, err
		}
	}
	return data, nil
}

// load reads the large parts of a record into it. The error Is errLost if an object is missing;
// the record then lacks that part.
func (s *objectStore) load(ctx context.Context, rec *faas.JobRecord, at *large) error {
	var err1, err2 error
	if at.Payload.Name != "" && rec.Payload == nil {
		rec.Payload, err1 = s.getObject(ctx, at.Payload)
	}
	if at.Output.Name != "" && rec.Output == nil {
		rec.Output, err2 = s.getObject(ctx, at.Output)
	}
	return errors.Join(err1, err2)
}

// forget removes the objects of a record that is gone, or was not stored. An object that
// belongs to two jobs, or that can't be removed, is left to sweep.
func (s *objectStore) forget(ctx context.Context, l *large) {
	for _, o := range []object{l.Payload, l.Output} {
		if o.Name == "" || strings.Contains(o.Name, ownerSeparator) || s.isHolding() {
			continue
		}
		if err := s.removeObject(ctx, o.Name); err != nil {
			s.log.Debug("faasnats: an object stays for now", "object", o.Name, "error", err)
		}
	}
}

// removeObject removes an object. The chunks go last: sweep finds by them an object that was
// removed in part.
func (s *objectStore) removeObject(ctx context.Context, name string) error {
	err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(s.about(name)))
	if err == nil {
		err = s.stream.Purge(ctx, jetstream.WithPurgeSubject(s.chunks(name)))
	}
	return err
}
